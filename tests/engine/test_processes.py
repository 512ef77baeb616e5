"""What several processes say: one of them speaks, the errors of the others are not lost, too many are a mistake."""

import logging
import os
import signal

import pytest
import torch
from tiny_run import run_command, train

from slowfast_ext import launched
from slowfast_ext.cli import signals
from slowfast_ext.cli.launch import run_everywhere
from slowfast_ext.config import load_config
from slowfast_ext.data.advice import cores
from slowfast_ext.engine.distributed import World, check_processes, pick_device
from slowfast_ext.engine.log import setup_logging
from slowfast_ext.engine.options import RunOptions
from slowfast_ext.errors import ConfigError

ODD = """
import atexit, os, time
from slowfast_ext.data.dataset import TrainClips
before = TrainClips.__getitem__
def fail(self, draw):
    if os.environ.get("RANK") == "1":
        atexit.register(time.sleep, 2)  # the others notice, and end sooner
        raise ZeroDivisionError("odd")
    return before(self, draw)
TrainClips.__getitem__ = fail
"""


@pytest.mark.slow
def test_what_ends_another_process_than_the_first_is_said_once(settings, tmp_path):
    (tmp_path / "odd.py").write_text(ODD)
    done = run_command(
        settings, IMPORT=f"['{tmp_path / 'odd.py'}']", NUM_GPUS=3, TEST__ENABLE=False
    )
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("rank 1 ended with exit code 1; the other processes were stopped") == 1
    assert done.stderr.count("ZeroDivisionError: odd") == 1
    assert done.stderr.count("fewer are faster") == (cores() < 3)


@pytest.mark.parametrize("rank", [0, 1])
def test_the_first_process_speaks_and_all_say_their_errors(tmp_path, rank, capfd):
    root = logging.getLogger("slowfast_ext")
    before = root.handlers[:], root.level, root.propagate
    try:
        setup_logging(World(rank, 2, rank, 2, torch.device("cpu")), tmp_path)
        for level in (logging.INFO, logging.WARNING, logging.ERROR):
            logging.getLogger("slowfast_ext.data").log(level, "said at %d", level)
        said = "".join(capfd.readouterr())
        log = tmp_path / "stdout.log"
        written = log.read_text() if log.exists() else ""
    finally:
        for handler in root.handlers:
            handler.close()
        root.handlers[:], root.level, root.propagate = before
    for level in (logging.INFO, logging.WARNING):
        assert said.count(f"said at {level}") == written.count(f"said at {level}") == (rank == 0)
    assert said.count(f"said at {logging.ERROR}") == 1


@pytest.mark.parametrize(
    ("rank", "launcher", "speaks"),
    [(None, None, True), ("0", None, True), ("1", None, False), ("0", 7, False), ("1", 7, False)],
)
def test_a_note_on_keys_is_of_one_process(tmp_path, monkeypatch, caplog, rank, launcher, speaks):
    """Of the launcher; under torchrun of the first."""
    monkeypatch.delenv("RANK", raising=False)
    if rank is not None:
        monkeypatch.setenv("RANK", rank)
    monkeypatch.setattr(launched._Joined, "process", launcher)
    file = tmp_path / "published.yaml"
    file.write_text(
        "MODEL:\n  ARCH: uniformer\n  MODEL_NAME: Uniformer\n  DROPOUT_RATE: 0.5\n"
        "UNIFORMER:\n  PRUNE_RATIO: [[], [], [1, 0.5], [0.5]]\n"
    )
    load_config([file])
    assert ("without effect, left out" in caplog.text) == speaks


def test_more_processes_than_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for fitting in (RunOptions(num_gpus=2), RunOptions(num_gpus=-1)):
        assert check_processes(fitting, cores=1) == ""
    with pytest.raises(ConfigError, match=r"NUM_GPUS = 3: torch sees 2 GPUs .* use NUM_GPUS -1"):
        check_processes(RunOptions(num_gpus=3), cores=8)
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(ConfigError, match=r"NUM_GPUS = 3: torch sees 2 GPUs .*--nproc-per-node 2"):
        run_everywhere(lambda: pytest.fail("begun"), RunOptions(num_gpus=3), [])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(ConfigError, match="GPU 2, counted from 0: torch sees 2 GPUs"):
        pick_device("auto", 2)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ConfigError, match="torch sees 1 GPU on this machine"):
        check_processes(RunOptions(num_gpus=2), cores=8)


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_more_processes_than_cores(monkeypatch, device):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0 if device == "auto" else 8)
    assert check_processes(RunOptions(num_gpus=4, device=device), cores=4) == ""
    note = check_processes(RunOptions(num_gpus=5, device=device), cores=4)
    assert note == "NUM_GPUS = 5 without a GPU: 5 processes share 4 cores; fewer are faster"


def test_a_batch_larger_than_the_data(settings):
    """Is filled with repeated videos, and said."""
    train(settings, TRAIN__BATCH_SIZE=30, SOLVER__MAX_EPOCH=1)
    log = (settings["OUTPUT_DIR"] / "stdout.log").read_text()
    assert log.count("a batch of 30 videos is larger than the training set") == 1
    assert "lower TRAIN.BATCH_SIZE" in log


@pytest.mark.parametrize(("launcher", "ends"), [(None, True), (7, False)])
def test_a_ctrl_c_that_the_launcher_passes_on_late_is_no_second_one(monkeypatch, launcher, ends):
    monkeypatch.setattr(signals, "PATIENCE", -1.0)
    monkeypatch.setattr(launched._Joined, "process", launcher)
    ended = False
    with signals.stop_on_signals() as request:
        os.kill(os.getpid(), signal.SIGINT)
        assert request.name == "SIGINT"
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            ended = True
    assert ended == ends
