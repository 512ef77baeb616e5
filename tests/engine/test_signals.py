"""Signals and deaths: to the whole group, a rank, the launcher, torchrun, in start-up, in an evaluation, of a worker."""

import ipaddress
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import process_tree
import pytest
import torch
from tiny_run import ROOT, command, losses, pairs_of, run_command, train

from slowfast_ext.engine.log import read_stats
from slowfast_ext.launched import LAUNCHER

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc"),
]

ENDS_WITHIN = 15
"""Seconds of a machine with nothing else to do; tests allow for others."""

MORE = {"SOLVER__MAX_EPOCH": 4, "TRAIN__CHECKPOINT_STEPS": 1}


def start(settings, argv=None, **changes):
    """The training in the background, in a process group of its own."""
    changes["TEST__ENABLE"] = False
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        argv or command(settings, **changes), env=environment, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def wait_for(process, condition, seconds=200):
    deadline = time.monotonic() + seconds
    while process.poll() is None and not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def steps(settings):
    return len(read_stats(settings["OUTPUT_DIR"], "train_iter"))


def ended(process, seconds=16 * ENDS_WITHIN):
    _, errors = process.communicate(timeout=seconds)
    return process.returncode, errors


def gone(pids, seconds=60):
    deadline = time.monotonic() + seconds
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


def ranks(process):
    """Process ids of the ranks that a launcher has started, in their order."""
    found = {}
    for pid in process_tree.descendants(process.pid):
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
        rank = [item for item in environment if item.startswith(b"RANK=")]
        if rank and int(parent) == process.pid:
            found[int(rank[0][5:])] = pid
    return [found[rank] for rank in sorted(found)]


@pytest.fixture
def unbroken(settings, tmp_path):
    """Losses and weights of a run that nothing happens to."""
    return train({**settings, "OUTPUT_DIR": tmp_path / "unbroken"}, **MORE)


@pytest.fixture
def goes_on(settings, unbroken):
    """Ends a run that was stopped, with the same numbers as the unbroken one."""

    def check(**changes):
        resumed = train(settings, **MORE, **changes)
        assert resumed[0] == unbroken[0]
        assert all(torch.equal(resumed[1][name], tensor) for name, tensor in unbroken[1].items())
        assert not (settings["OUTPUT_DIR"] / "bad_videos.csv").exists()
        assert not list(settings["OUTPUT_DIR"].rglob(".*"))

    return check


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_whole_group_twice(settings, goes_on, number):
    process = start(settings, DATA_LOADER__NUM_WORKERS=2, **MORE)
    wait_for(process, lambda: steps(settings) >= 2)
    os.killpg(process.pid, number)
    time.sleep(0.2)
    os.killpg(process.pid, number)
    code, errors = ended(process)
    assert code == 75, errors
    goes_on()


def test_a_signal_while_it_starts(settings, goes_on):
    """With several processes not one of them may die of it, however early it comes."""
    process = start(settings, NUM_GPUS=2, **MORE)
    wait_for(process, lambda: len(ranks(process)) == 2)
    os.killpg(process.pid, signal.SIGTERM)
    code, errors = ended(process)
    assert code == 75, errors
    process = start(settings, **MORE)
    wait_for(process, lambda: b"libtorch" in Path(f"/proc/{process.pid}/maps").read_bytes())
    process.send_signal(signal.SIGUSR1)
    code, errors = ended(process)
    assert (code, errors.strip()) == (75, "stopped by SIGUSR1; the same command goes on")
    goes_on()


def test_a_signal_to_one_rank_in_an_evaluation(settings, goes_on):
    process = start(settings, NUM_GPUS=2, **MORE)
    epoch = settings["OUTPUT_DIR"] / "checkpoints/checkpoint_epoch_00001.pyth"
    wait_for(process, epoch.exists)
    os.kill(ranks(process)[1], signal.SIGTERM)
    code, errors = ended(process)
    assert code == 75, errors
    assert "Traceback" not in errors
    run_command(settings, NUM_GPUS=2, TEST__ENABLE=False, **MORE)
    assert losses(settings).keys() == {
        (f"{epoch}/4", f"{step}/4") for epoch in (1, 2, 3, 4) for step in (1, 2, 3, 4)
    }


def test_processes_listen_here_only_and_end_with_a_launcher_that_is_killed(settings):
    process = start(settings, NUM_GPUS=2, DATA_LOADER__NUM_WORKERS=1, SOLVER__MAX_EPOCH=500)
    wait_for(process, lambda: steps(settings) >= 2)
    everyone = process_tree.descendants(process.pid)
    assert len(everyone) >= 4
    assert _listening([process.pid, *everyone]) <= {"127.0.0.1", "::1"}
    process.kill()
    process.communicate()
    assert gone(everyone)


def test_torchrun_that_is_told_to_end(settings, goes_on):
    """Its own exit code is 1 whatever its processes say."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "1"]  # fmt: skip
    changes = {key.replace("__", "."): value for key, value in MORE.items()}
    pairs = pairs_of({**settings, **changes, "DATA_LOADER.NUM_WORKERS": 2, "TEST.ENABLE": False})
    process = start(settings, [*launcher, str(ROOT / "tools/run_net.py"), *pairs])
    wait_for(process, lambda: steps(settings) >= 2)
    everyone = process_tree.descendants(process.pid)
    process.send_signal(signal.SIGTERM)
    code, errors = ended(process)
    assert code != 0
    assert "stopped by SIGTERM" in errors
    assert gone(everyone)
    goes_on()


WORKER_ENDS = {
    "an error": "raise ZeroDivisionError('odd')",
    "an error that cannot be made again": "raise Odd(1, 2)",
    "SystemExit": "raise SystemExit(3)",
    "an exit": "os._exit(4)",
    "an error beside a worker that is busy": "time.sleep(500) if get_worker_info().id else 1 / 0",
}

TASK = """
import os, pathlib, time
from torch.utils.data import get_worker_info
from slowfast_ext.data.dataset import TrainClips
class Odd(Exception):
    def __init__(self, one, two): super().__init__(one)
def fail(self, draw):
    if os.getpid() != MAIN:
        pathlib.Path(RAISED).touch()
        END
    return before(self, draw)
MAIN, before = os.getpid(), TrainClips.__getitem__
TrainClips.__getitem__ = fail
"""


def seconds_of_an_idle_machine(process, wall):
    """How long `wall` seconds are here: a start needs a core all the time, so its CPU time is what it should take."""
    user, system = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    busy = (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    return max(1.0, wall / max(busy, 1.0))


@pytest.mark.parametrize(
    ("how", "told"),
    [*((how, False) for how in WORKER_ENDS), ("SystemExit", True), (list(WORKER_ENDS)[-1], True)],
)
def test_whatever_a_worker_raises_the_run_ends(settings, tmp_path, how, told):
    """Within 15 s of an idle machine, by itself or by SIGTERM."""
    raised = tmp_path / "raised"
    code = TASK.replace("END", WORKER_ENDS[how]).replace("RAISED", repr(str(raised)))
    (tmp_path / "odd.py").write_text(code)
    started = time.monotonic()
    process = start(
        settings, IMPORT=f"['{tmp_path / 'odd.py'}']", DATA_LOADER__NUM_WORKERS=2, **MORE
    )
    wait_for(process, raised.exists)
    since = time.monotonic()
    slower = seconds_of_an_idle_machine(process, since - started)
    if told:
        process.send_signal(signal.SIGTERM)
    code, errors = ended(process, 2 * ENDS_WITHIN * slower)
    # Told while Python itself ends, nobody can answer any more.
    assert code == 1 or (told and code in (75, -signal.SIGTERM))
    assert "Error" in errors or code != 1


def test_two_runs_in_one_folder(settings):
    """The second, be it a test, is told who has the folder; the first goes on."""
    process = start(settings, SOLVER__MAX_EPOCH=500)
    try:
        wait_for(process, lambda: steps(settings) >= 1)
        for changes in ({}, {"TRAIN__ENABLE": False}, {"NUM_GPUS": 2}):
            second = run_command(settings, **changes)
            assert second.returncode == 2
            assert f"process {process.pid} on" in second.stderr
            assert "Traceback" not in second.stderr
        assert process.poll() is None
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        assert ended(process)[0] == 75
    assert not (settings["OUTPUT_DIR"] / "results").exists()


@pytest.mark.parametrize("command", ["train", "test"])
def test_a_process_whose_launcher_is_gone_does_not_begin(command):
    """It looks before it imports what takes seconds."""
    environment = {**os.environ, LAUNCHER: "1"}
    argv = [sys.executable, "-m", "slowfast_ext", command, "--explain", "RNG_SEED"]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "")


def _listening(pids):
    """Addresses at which processes accept connections."""
    inodes = set()
    for pid in pids:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile
                target = os.readlink(descriptor)
                inodes |= {target[8:-1]} if target.startswith("socket:[") else set()
    found = set()
    for table, size in (("tcp", 4), ("tcp6", 16)):
        for row in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            words = row.split()
            if words[3] == "0A" and words[9] in inodes:
                raw = bytes.fromhex(words[1].split(":")[0])
                parts = [raw[i : i + 4][::-1] for i in range(0, size, 4)]
                found.add(str(ipaddress.ip_address(b"".join(parts))))
    return found
