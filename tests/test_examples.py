"""The scripts in examples/ run as they stand, on tiny settings."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import slowfast_ext
from slowfast_ext.data.motion import MotionSettings, render_clip, write_video

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
TINY = """\
MODEL: {NUM_CLASSES: 2}
DATA: {NUM_FRAMES: 4, SAMPLING: segment, TRAIN_CROP_SIZE: 32, TEST_CROP_SIZE: 32, TRAIN_JITTER_SCALES: [32, 36]}
TEST: {NUM_ENSEMBLE_VIEWS: 2, NUM_SPATIAL_CROPS: 1}
VIT: {EMBED_DIM: 16, DEPTH: 1, NUM_HEADS: 2, PATCH_SIZE: [1, 8, 8]}
"""


@pytest.fixture
def tiny(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path


@pytest.fixture
def videos(tmp_path):
    """Two classes of two videos for each split."""
    for split in ("train", "val", "test"):
        for index in range(4):
            frames = render_clip(index, "train", index % 2, MotionSettings(size=32, num_frames=8))
            folder = tmp_path / "videos" / split / "ab"[index % 2]
            folder.mkdir(parents=True, exist_ok=True)
            write_video(folder / f"{index}.mp4", frames, 12, 20)
    return tmp_path / "videos"


def test_train_on_folder_then_evaluate(tiny, videos, tmp_path, capsys):
    out = tmp_path / "trained.pyth"
    sizes = ["--frames", "4", "--size", "32", "--epochs", "1", "--batch", "2", "--workers", "0"]
    train = runpy.run_path(str(EXAMPLES / "train_on_folder.py"))["main"]
    train([str(videos), "--model", str(tiny), "--out", str(out), *sizes])
    assert "epoch 0: loss" in capsys.readouterr().out
    evaluate = runpy.run_path(str(EXAMPLES / "evaluate_checkpoint.py"))["main"]
    evaluate([str(tiny), str(out), "class_folders", str(videos)])
    assert "top1_acc: " in capsys.readouterr().out


def test_variant_in_one_file_is_named_in_import(tiny):
    settings = {"IMPORT": [str(EXAMPLES / "pooled_attention.py")], "ATTENTION.POOLED.STRIDE": 3}
    model = slowfast_ext.create_model(tiny, settings=settings | {"ATTENTION.CYCLE": ["pooled"]})
    clip = torch.randn(1, 3, 4, 32, 32)
    assert model(clip).shape == (1, 2)
    assert type(model.backbone.blocks[0].attn).__name__ == "Pooled"


@pytest.mark.slow
def test_variant_runs_as_a_script():
    command = [sys.executable, str(EXAMPLES / "pooled_attention.py")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "torch.Size([1, 400])", done.stderr
