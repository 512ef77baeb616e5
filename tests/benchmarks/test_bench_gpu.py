import json

import pytest

from benchmarks import gpu, trial

TINY = ["VIT.EMBED_DIM", "32", "VIT.DEPTH", "1", "VIT.NUM_HEADS", "2", "DATA.TRAIN_CROP_SIZE", "32",
        "DATA.TEST_CROP_SIZE", "32", "DATA.NUM_FRAMES", "4", "DATA.TRAIN_JITTER_SCALES", "[32, 36]"]  # fmt: skip


@pytest.fixture
def in_this_process(monkeypatch):
    """Trials without processes of their own, each of which would import torch."""
    monkeypatch.setattr(gpu, "in_own_process", lambda timeout, work, *args: work(*args))
    monkeypatch.setattr(gpu, "run_trial", lambda cfg, setting, timeout: trial.measure(cfg, setting))


@pytest.mark.usefixtures("in_this_process")
def test_the_whole_command_at_a_tiny_size(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu, "STEPS_WITH_DATA", 2)
    monkeypatch.setattr("benchmarks.sample_clip.SECONDS", 1)
    code = gpu.main(
        ["--out", str(tmp_path), "--exp", "motionformer_joint_k400", "--batches", "1", "2", "--forms", "eager",
         "plain equations", "--workers", "0", "--repeats", "1", "--opts", *TINY]
    )  # fmt: skip
    rows = json.loads((tmp_path / "gpu.json").read_text())
    assert code == 0, rows
    assert [row["form"] for row in rows] == ["eager", "plain equations"]
    for row in rows:
        assert row["clips_per_second"] > 0
        assert 0 < row["mfu"] < 1
        assert row["failure"] == ""
    assert 0 < rows[0]["data_wait"] < 1
    assert "cpu" in rows[0]["attention"]
    assert rows[1]["attention"] == "", "the plain equations call no fused attention"
    assert "motionformer_joint_k400" in (tmp_path / "gpu.md").read_text()
    assert (tmp_path / "gpu.png").stat().st_size > 1000


def test_what_does_not_run_is_a_row_and_the_exit_code(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu, "run_trial", lambda *_: trial.Outcome(failure="out of memory"))
    code = gpu.main(
        ["--out", str(tmp_path), "--exp", "motionformer_joint_k400", "--batches", "1", "--forms", "eager",
         "--peak-tflops", "1", "--opts", *TINY]
    )  # fmt: skip
    (row,) = json.loads((tmp_path / "gpu.json").read_text())
    assert code == 1
    assert row["failure"] == "out of memory"
    assert "out of memory" in (tmp_path / "gpu.md").read_text()


def test_peak_is_given_known_or_measured(monkeypatch):
    assert gpu.peak_flops(10, "bf16") == (1e13, "10 TFLOPS (given)")
    assert "measured" in gpu.peak_flops(None, "fp32")[1]
    monkeypatch.setattr(gpu, "device_name", lambda: "NVIDIA H200")
    assert gpu.peak_flops(None, "bf16")[0] == 989e12


@pytest.mark.parametrize("name", gpu.FAMILIES)
def test_families_are_experiments(name):
    assert (gpu.EXP / name / "config.yaml").is_file()
