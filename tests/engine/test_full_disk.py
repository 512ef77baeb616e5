"""A disk that is full, wherever the run meets it: one line, an exit code of its own, and nothing older is lost."""

import errno
import os
import resource
import signal
import sqlite3
from functools import partial

import pytest
import torch
from tiny_run import config, losses, run_command, train

from slowfast_ext.cli import jobs, reported
from slowfast_ext.engine.checkpoint import CheckpointStore, read_checkpoint
from slowfast_ext.errors import DataError, WriteError
from slowfast_ext.loggers import base
from slowfast_ext.loggers.tensorboard import TensorBoard, TensorboardOptions

pytestmark = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")


@pytest.mark.parametrize("name", ["stdout.log", "stats.jsonl"])
def test_a_file_of_the_run_that_cannot_be_written_is_named(settings, name):
    settings["OUTPUT_DIR"].mkdir()
    (settings["OUTPUT_DIR"] / name).symlink_to("/dev/full")
    with pytest.raises(WriteError, match=rf"{name}: not written .*No space left"):
        train(settings)
    assert not (settings["OUTPUT_DIR"] / ".running").exists()


def test_unreadable_videos_that_cannot_be_listed(settings):
    folder = settings["DATA.PATH_TO_DATA_DIR"]
    video = sorted(folder.rglob("*train*/**/*.mp4"))[0]
    good = video.read_bytes()
    settings["OUTPUT_DIR"].mkdir()
    (settings["OUTPUT_DIR"] / "bad_videos.csv").symlink_to("/dev/full")
    video.write_bytes(b"no video" * 100)
    try:
        with pytest.raises(WriteError, match=r"bad_videos.csv: not written"):
            train(settings, DATA__MAX_BAD_SHARE=1.0)
    finally:
        video.write_bytes(good)


def limit_files(size):
    """The largest file, as a disk that becomes full while it is written; None: any."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard if size is None else size, hard))


def test_results_that_cannot_be_written_leave_the_old_ones(settings):
    jobs.train_and_test(config(settings))
    results = settings["OUTPUT_DIR"] / "results"
    before = {path.name: path.read_bytes() for path in results.iterdir()}
    log = (settings["OUTPUT_DIR"] / "stdout.log").stat().st_size
    for path in ("stdout.log", "stats.jsonl"):
        (settings["OUTPUT_DIR"] / path).unlink()
    limit_files(min(len(before["scores.safetensors"]) // 2, log // 2))
    try:
        with pytest.raises(WriteError, match="not written"):
            jobs.train_and_test(config(settings, TRAIN__ENABLE=False))
    finally:
        limit_files(None)
    assert {path.name: path.read_bytes() for path in results.iterdir()} == before


def test_a_checkpoint_that_does_not_fit_and_the_run_after_the_disk_was_freed(settings, tmp_path):
    """The command says it in a line and ends with 74; what was written is sound, and the same command goes on."""
    unbroken = train({**settings, "OUTPUT_DIR": tmp_path / "unbroken"})
    train(settings, SOLVER__MAX_EPOCH=2, TRAIN__CHECKPOINT_STEPS=1, TRAIN__KEEP_CHECKPOINTS=0)
    store = CheckpointStore(settings["OUTPUT_DIR"], 0)
    for path in store.newest_first():
        if "00000_step_000002" not in path.name:
            path.unlink()
    with (settings["OUTPUT_DIR"] / "stats.jsonl").open("a") as file:
        file.write('{"_type": "train_iter", "loss": 1')  # as a full disk cuts a line short
    size = store.newest_first()[0].stat().st_size
    limited = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({size // 2},) * 2)"
    (tmp_path / "limit.py").write_text(limited)
    done = run_command(settings, IMPORT=f"['{tmp_path / 'limit.py'}']", TEST__ENABLE=False)
    assert done.returncode == 74, done.stderr
    assert (
        "No space" in done.stderr or "File too large" in done.stderr or "not written" in done.stderr
    )
    assert "Traceback" not in done.stderr
    assert not list(settings["OUTPUT_DIR"].rglob(".*"))
    assert all(read_checkpoint(path) for path in store.newest_first())
    resumed = train(settings)
    assert resumed[0] == unbroken[0] == losses(settings)
    assert all(torch.equal(resumed[1][name], tensor) for name, tensor in unbroken[1].items())


def test_tensorboard_is_left_out_and_says_so_once(tmp_path, capsys, monkeypatch):
    """Its thread prints nothing of its own."""
    pytest.importorskip("tensorboard")
    said = []
    monkeypatch.setattr(base.logger, "warning", lambda _, name, *rest: said.append(name))
    limit_files(200)
    try:
        make = partial(TensorBoard, TensorboardOptions(), tmp_path, {})
        loggers = base.Loggers({"TensorBoard": make})
        for step in range(200):
            loggers.scalars("train", {"loss": 1.0}, step)
        loggers.close()
    finally:
        limit_files(None)
    assert "Traceback" not in capsys.readouterr().err
    assert said == ["TensorBoard"]


def no_space():
    raise OSError(errno.ENOSPC, "No space left on device")


def data_error():
    """A disk that is full, found by what tells of videos: predict, features, data."""
    try:
        no_space()
    except OSError as error:
        raise DataError("cannot be rendered there") from error


def full_database():
    with sqlite3.connect(":memory:") as database:
        database.execute("PRAGMA max_page_count = 2")
        database.execute("CREATE TABLE t (x)")
        database.execute("INSERT INTO t VALUES (?)", ("x" * 100_000,))


@pytest.mark.parametrize(
    ("job", "code", "words"),
    [
        (no_space, 74, "No space left"),
        (data_error, 74, "cannot be rendered"),
        (full_database, 74, "full"),
        (lambda: 1 / 0, 1, "Zero"),
    ],
)
def test_a_full_disk_anywhere_has_an_exit_code_of_its_own(job, code, words, capsys):
    """Where nobody foresaw it, too."""
    assert reported(lambda _: job())([]) == code
    said = capsys.readouterr().err
    assert words in said
    assert ("Traceback" in said) == (code == 1)
