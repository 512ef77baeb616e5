import json

import pytest

from slowfast_ext.analysis.compare import as_rows, read_experiments
from slowfast_ext.config import load_config
from slowfast_ext.errors import DataError


@pytest.fixture
def roots(tmp_path):
    """Two seeds of `good`, one of `poor`, and a run without a test."""
    for seed, name, top1 in ((0, "good", 60.0), (1, "good", 64.0), (0, "poor", 10.0)):
        results = tmp_path / f"seed{seed}" / name / "results"
        results.mkdir(parents=True)
        (results / "metrics.json").write_text(json.dumps({"top1_acc": top1}))
        (results.parent / "config.yaml").write_text(load_config([], ["VIT.DEPTH", "1"]).dump())
    (tmp_path / "seed1" / "untested").mkdir()
    return [tmp_path / "seed0", tmp_path / "seed1"]


def test_runs_of_a_name_are_one_row_and_the_best_comes_first(roots):
    good, poor = as_rows(read_experiments(roots, "top1_acc"))
    assert good[:5] == ("good", "2", "62.0", "2.8", "60.0 64.0")
    assert poor[:5] == ("poor", "1", "10.0", "-", "10.0")
    assert good[5:] == poor[5:]


@pytest.mark.parametrize(
    ("folder", "metric", "words"),
    [
        ("seed0", "mean_ap", "no metric mean_ap; there is top1_acc"),
        ("seed1/good", "top1_acc", "test.sh"),
    ],
)
def test_says_what_is_missing(roots, folder, metric, words):
    with pytest.raises(DataError, match=words):
        read_experiments([roots[0].parent / folder], metric)
