"""What configs/weights.yaml says of published weights."""

from collections import Counter
from pathlib import Path

import pytest

from slowfast_ext.config import load_config, options_of
from slowfast_ext.engine.options import TrainOptions
from slowfast_ext.released import released

EXP = Path(__file__).resolve().parents[2] / "exp"
STARTED = {
    name: tuple(part.lower() for part in weights.what.partition(": start of ")[2].split(" and "))
    for name, weights in released().items()
    if ": start of " in weights.what
}


def test_no_two_are_described_alike():
    described = Counter((weights.source, weights.what) for weights in released().values())
    assert [words for words, times in described.items() if times > 1] == []


@pytest.mark.parametrize("name", STARTED)
def test_the_families_that_start_from_a_file_do(name):
    for family in STARTED[name]:
        files = sorted(EXP.glob(f"{family.split()[0]}_*/config.yaml"))
        starts = (options_of(load_config([f]), TrainOptions).checkpoint_file_path for f in files)
        assert name in starts, family


def test_pairs_of_numbers_say_what_they_are():
    """EPIC-Kitchens has action and noun, where others have top-1 and top-5."""
    assert not [
        name for name, weights in released().items() if "/" in weights.what.partition(": ")[2]
    ]
    assert released()["ek_motionformer_224_16x4"].what.endswith("action 43.1, noun 56.5")


@pytest.mark.parametrize("classes", ["k710", "k400"])
@pytest.mark.parametrize("size", "sb")
def test_distilled_internvideo2_is_fetched_by_a_program(size, classes):
    """By the links of MODEL_ZOO.md; that of L leads to the model before its finetuning on Kinetics-710."""
    weights = released()[f"internvideo2_{size}_{classes}"]
    stage = {"k710": "ft_k710_f8", "k400": "ft_k710_ft_k400_f8"}[classes]
    folder = f"{size.upper()}14/{size.upper()}14_{stage}"
    assert weights.link.endswith(
        f"InternVideo2_distillation_models/resolve/main/stage1/{folder}/pytorch_model.bin"
    )
    assert not weights.browser
