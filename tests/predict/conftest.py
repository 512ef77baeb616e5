"""A tiny model, trained once on rendered clips and tested by the command of tests."""

import csv
from types import SimpleNamespace

import pytest
import torch
from engine.tiny_run import config
from safetensors.torch import load_file

from slowfast_ext.cli.jobs import train_and_test
from slowfast_ext.data.motion.video import write_video
from slowfast_ext.models import build_model
from slowfast_ext.predict.recognizer import Recognizer

LONG_FRAMES, LONG_FPS = 120, 12


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """Folder, checkpoint, scores of its test and the videos in the order of the scores."""
    folder = tmp_path_factory.mktemp("run")
    settings = {"DATA.PATH_TO_DATA_DIR": folder / "data", "OUTPUT_DIR": folder / "out"}
    train_and_test(config(settings))
    with (folder / "out/results/predictions.csv").open() as file:
        videos = [row["video"] for row in csv.DictReader(file)]
    return SimpleNamespace(
        folder=folder / "out",
        checkpoint=folder / "out/checkpoints/checkpoint_epoch_00002.pyth",
        scores=load_file(folder / "out/results/scores.safetensors")["scores0"],
        videos=videos,
        data=folder / "data",
    )


@pytest.fixture(scope="session")
def recognizer(run):
    return Recognizer(run.checkpoint, "cpu")


@pytest.fixture(scope="session")
def long_video(tmp_path_factory):
    """Ten seconds of a square that goes right, then down, at 12 frames a second."""
    frames = torch.zeros(LONG_FRAMES, 48, 64, 3, dtype=torch.uint8)
    for number, frame in enumerate(frames):
        half = LONG_FRAMES // 2
        x, y = (number % half, 0) if number < half else (0, min(40, number % half))
        frame[y : y + 8, x : x + 8] = 220
        frame[..., 2] += number
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    write_video(path, frames.numpy(), fps=LONG_FPS)
    return path


@pytest.fixture
def make_checkpoint(tmp_path):
    """A checkpoint with initial weights: `make_checkpoint(names=(...), MODEL__NUM_CLASSES=3)`."""

    def make(names=(), **changes):
        cfg = config({}, **changes)
        torch.manual_seed(0)
        state = {
            "model_state": build_model(cfg).state_dict(),
            "cfg": cfg.dump(),
            "class_names": names,
        }
        path = tmp_path / "made.pyth"
        torch.save(state, path)
        return path

    return make
