"""One run a folder: who holds it, and what a dead holder leaves."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from slowfast_ext import lock
from slowfast_ext.errors import ConfigError
from slowfast_ext.lock import FILE, only_run_in

HOLD = (
    "import sys, time; from slowfast_ext.lock import only_run_in\n"
    "with only_run_in(sys.argv[1]): print('held', flush=True); time.sleep(100)"
)


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_the_second_run_is_told_who_holds_the_folder(tmp_path, holder):
    words = rf"{tmp_path}.*process {holder.pid} on {re.escape(socket.gethostname())} since 20"
    for _ in range(2):
        with pytest.raises(ConfigError, match=words), only_run_in(tmp_path):
            pass


def test_a_killed_holder_is_taken_over_at_once_and_nothing_stays(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with only_run_in(tmp_path) as taken_over:
        assert f"process {holder.pid}" in taken_over
    assert list(tmp_path.iterdir()) == []
    with only_run_in(tmp_path) as taken_over:
        assert taken_over == ""


def test_forked_children_do_not_hold_it_on(tmp_path):
    """Loader workers live a moment longer than a run that is killed."""
    code = "import os, time\n" + HOLD.replace("print(", "os.fork() or time.sleep(5); print(")
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    try:
        with only_run_in(tmp_path) as taken_over:
            assert f"process {process.pid}" in taken_over
    finally:
        os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """The lock as a run on another machine wrote it, and this one less patient."""
    monkeypatch.setattr(lock, "PATIENCE_SECONDS", 1.0)
    path = tmp_path / FILE
    path.write_text(json.dumps({"host": "node7", "pid": 1, "since": "2026-01-01"}))
    return path


def test_a_living_holder_on_another_machine(tmp_path, elsewhere):
    ended = threading.Event()

    def live():
        while not ended.wait(0.1):
            os.utime(elsewhere)

    thread = threading.Thread(target=live)
    thread.start()
    try:
        with pytest.raises(ConfigError, match="process 1 on node7"), only_run_in(tmp_path):
            pass
    finally:
        ended.set()
        thread.join()
    assert elsewhere.exists()


def test_a_dead_holder_on_another_machine(tmp_path, elsewhere):
    started = time.monotonic()
    with only_run_in(tmp_path) as taken_over:
        assert "process 1 on node7" in taken_over
    assert time.monotonic() - started >= 1.0


def test_the_holder_shows_signs_of_life(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "TOUCH_SECONDS", 0.05)
    with only_run_in(tmp_path):
        first = (tmp_path / FILE).stat().st_mtime_ns
        time.sleep(0.3)
        assert (tmp_path / FILE).stat().st_mtime_ns > first


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 3'])
def test_a_lock_cut_short_is_taken_over(tmp_path, text):
    (tmp_path / FILE).write_text(text)
    with only_run_in(tmp_path):
        pass
