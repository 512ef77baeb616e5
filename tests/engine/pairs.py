"""Several trainings in one pair of processes: starting them costs more than the trainings."""

import os
import shutil
import socket
import traceback
from pathlib import Path

import torch.multiprocessing as multiprocessing
from tiny_run import config

from slowfast_ext.cli.jobs import train_and_test


def train_in_pair(runs, starts=None):
    """Train with each of the settings in `runs` in two processes; returns the trace of each run that failed.

    `starts` names, for a run that resumes, the checkpoint that it finds in its folder.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with multiprocessing.get_context("spawn").Manager() as manager:
        failures = manager.dict()
        multiprocessing.spawn(_work, (runs, starts or {}, port, failures), nprocs=2)
        return dict(failures)


def _work(rank, runs, starts, port, failures):
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2", LOCAL_WORLD_SIZE="2")
    os.environ.update(MASTER_ADDR="127.0.0.1", OMP_NUM_THREADS="1")
    for number, (name, settings) in enumerate(runs.items()):
        os.environ["MASTER_PORT"] = str(port + number)
        if rank == 0 and name in starts:
            folder = Path(settings["OUTPUT_DIR"]) / "checkpoints"
            folder.mkdir(parents=True)
            shutil.copy(starts[name], folder)
        try:
            train_and_test(config(settings))
        except Exception:
            failures.setdefault(name, traceback.format_exc())
