"""A tiny real run: a few rendered clips, a small ViT, seconds on a CPU."""

import os
import subprocess
import sys
from pathlib import Path

from slowfast_ext.cli.jobs import train_and_test
from slowfast_ext.config import load_config
from slowfast_ext.engine.checkpoint import CheckpointStore, read_checkpoint
from slowfast_ext.engine.log import read_stats

ROOT = Path(__file__).resolve().parents[2]

SETTINGS = {
    "TRAIN.DATASET": "motionshapes", "TEST.DATASET": "motionshapes", "MODEL.NUM_CLASSES": 12,
    "MOTION.NUM_TRAIN": 24, "MOTION.NUM_VAL": 13, "MOTION.SIZE": 32, "MOTION.NUM_FRAMES": 8,
    "DATA.NUM_FRAMES": 4, "DATA.SAMPLING_RATE": 2, "DATA.TRAIN_CROP_SIZE": 32, "DATA.TEST_CROP_SIZE": 32,
    "DATA.TRAIN_JITTER_SCALES": [32, 36], "DATA_LOADER.NUM_WORKERS": 0,
    "VIT.EMBED_DIM": 32, "VIT.DEPTH": 2, "VIT.NUM_HEADS": 2, "VIT.PATCH_SIZE": [2, 8, 8],
    "TRAIN.BATCH_SIZE": 6, "SOLVER.MAX_EPOCH": 2, "SOLVER.BASE_LR": 0.001, "TRAIN.EVAL_PERIOD": 1,
    "TEST.NUM_ENSEMBLE_VIEWS": 2, "TEST.NUM_SPATIAL_CROPS": 3, "TEST.BATCH_SIZE": 4,
    "LOG_PERIOD": 1, "TENSORBOARD.ENABLE": False, "DEVICE": "cpu",
}  # fmt: skip


def pairs_of(changes):
    """KEY VALUE pairs of the tiny run with changes."""
    return [str(part) for item in {**SETTINGS, **changes}.items() for part in item]


def config(settings, **changes):
    """The tiny run's configuration; TRAIN__BATCH_SIZE=3 changes TRAIN.BATCH_SIZE."""
    dotted = {key.replace("__", "."): value for key, value in changes.items()}
    return load_config([], pairs_of({**settings, **dotted}))


def command(settings, *arguments, **changes):
    """The command line of the tiny run."""
    dotted = {key.replace("__", "."): value for key, value in changes.items()}
    pairs = pairs_of({**settings, **dotted})
    return [sys.executable, str(ROOT / "tools/run_net.py"), *arguments, *pairs]


def run_command(settings, *arguments, env=None, **changes):
    """Run it to its end; returns the completed process with its output as text."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **(env or {})}
    return subprocess.run(
        command(settings, *arguments, **changes),
        capture_output=True, text=True, env=environment, timeout=300,
    )  # fmt: skip


def train(settings, **changes):
    """Train in this process; returns the losses of the steps and the final weights."""
    train_and_test(config(settings, TEST__ENABLE=False, **changes))
    return losses(settings), final_weights(settings)


def losses(settings):
    """Epoch, step, loss and rate of every step, the last word on each."""
    stats = read_stats(settings["OUTPUT_DIR"], "train_iter")
    return {(s["epoch"], s["iter"]): (s["loss"], s["lr"], s["top1_acc"]) for s in stats}


def final_weights(settings):
    """Model state of the newest checkpoint."""
    return read_checkpoint(CheckpointStore(settings["OUTPUT_DIR"], 0).find(""))["model_state"]
