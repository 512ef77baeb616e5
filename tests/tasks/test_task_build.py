import pytest

from slowfast_ext.config import load_config
from slowfast_ext.engine.checks import CHECKS
from slowfast_ext.errors import ConfigError


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        (["TEST.METRIC", "map"], "single_label has no metric 'map'"),
        (["TEST.METRIC", "top1_ac"], "did you mean top1_acc"),
        (
            ["DATA.MULTI_LABEL", "True", "TEST.METRIC", "mean_class_acc"],
            "multi_label has no metric",
        ),
        (["MODEL.NUM_CLASSES", "[3, 4, 5]"], "has 3 heads"),
        (["MODEL.NUM_CLASSES", "[3, 4]", "DATA.MULTI_LABEL", "True"], "has 2 heads"),
        (["TASK", "multi_lable"], "did you mean multi_label"),
        (["DATA.MULTI_LABEL", "True", "TRAIN.BALANCED_SAMPLING", "True"], "several labels a video"),
    ],
)
def test_what_does_not_fit_the_task_is_said_at_the_start(pairs, words):
    with pytest.raises(ConfigError, match=words.replace("[", r"\[")):
        load_config([], pairs, CHECKS)


def test_multi_label_takes_its_own_metric_for_the_default():
    load_config([], ["DATA.MULTI_LABEL", "True"], CHECKS)
