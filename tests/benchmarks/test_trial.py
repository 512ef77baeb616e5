import torch

from benchmarks import trial
from benchmarks.trial import TRAIN, Setting, run_trial
from slowfast_ext.config import load_config

TINY = ["VIT.EMBED_DIM", "32", "VIT.DEPTH", "1", "VIT.NUM_HEADS", "2", "MODEL.NUM_CLASSES", "5",
        "DATA.TRAIN_CROP_SIZE", "32", "DATA.TEST_CROP_SIZE", "32", "DATA.NUM_FRAMES", "2"]  # fmt: skip


def test_a_trial_measures_speed_and_memory():
    outcome = run_trial(load_config([], TINY), Setting(work=TRAIN, repeats=1))
    assert not outcome.failure
    assert outcome.clips_per_second > 0
    assert outcome.peak_bytes > 0


def test_peak_memory_is_not_that_of_the_parent():
    alive = torch.ones(300 * 2**20, dtype=torch.uint8)
    outcome = run_trial(load_config([], TINY), Setting(work=TRAIN, repeats=1))
    assert 0 < outcome.peak_bytes < alive.nbytes


def test_out_of_memory_is_a_result():
    huge = load_config([], [*TINY, "VIT.EMBED_DIM", str(2**26)])
    assert run_trial(huge, Setting(repeats=1)).failure == "out of memory"


def test_time_out_is_a_result():
    assert "0 s" in run_trial(load_config([], TINY), Setting(), timeout=0.01).failure


def test_layouts_and_precisions_run(monkeypatch):
    cfg = load_config([], TINY)
    for setting in (Setting(channels_last=True), Setting(precision="bf16", work=TRAIN)):
        assert trial.measure(cfg, setting).clips_per_second > 0
    assert torch.get_default_dtype() == torch.float32
