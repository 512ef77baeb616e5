"""Train a tiny run for some minutes while everything goes wrong, and compare it with the run that nothing happened to.

python -m benchmarks soak [--minutes 10] [--seed 0]

Random signals to random processes (the run, its group, a rank, a loader worker, a decoder) at random moments, bits
flipped in the newest checkpoint and in the index of the videos, a disk that is full for a while, broken files among the
videos, 1 to 3 processes. A life is a training from its start to its end; lives alternate between one process, whose
numbers must be those of the unbroken run bit for bit, and changing numbers of processes, whose losses must be within
1e-4 of it (these train without mixup and drop path, which every process draws for its own clips). The exit code is 0
where every number and every exit code is as promised.
"""

import argparse
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from slowfast_ext.config import load_config
from slowfast_ext.data.annotations import read_videos
from slowfast_ext.engine.checkpoint import CheckpointStore, read_checkpoint
from slowfast_ext.engine.log import read_stats

SETTINGS = {
    "TRAIN.DATASET": "motionshapes", "TEST.DATASET": "motionshapes", "MODEL.NUM_CLASSES": 12,
    "MOTION.NUM_TRAIN": 24, "MOTION.NUM_VAL": 13, "MOTION.SIZE": 32, "MOTION.NUM_FRAMES": 8,
    "DATA.NUM_FRAMES": 4, "DATA.SAMPLING_RATE": 2, "DATA.TRAIN_CROP_SIZE": 32, "DATA.TEST_CROP_SIZE": 32,
    "DATA.TRAIN_JITTER_SCALES": [32, 36], "DATA.MAX_BAD_SHARE": 1.0, "DATA_LOADER.NUM_WORKERS": 1,
    "VIT.EMBED_DIM": 32, "VIT.DEPTH": 2, "VIT.NUM_HEADS": 2, "VIT.PATCH_SIZE": [2, 8, 8], "MODEL.DROP_PATH": 0.2,
    "MIXUP.ENABLE": True, "TRAIN.EMA_DECAY": 0.9, "TRAIN.BATCH_SIZE": 6, "TRAIN.CHECKPOINT_STEPS": 3,
    "TRAIN.EVAL_PERIOD": 5, "TEST.ENABLE": False, "SOLVER.MAX_EPOCH": 10, "SOLVER.BASE_LR": 0.001,
    "LOG_PERIOD": 1, "TENSORBOARD.ENABLE": False, "DEVICE": "cpu",
}  # fmt: skip
UNDRAWN = {"MIXUP.ENABLE": False, "MODEL.DROP_PATH": 0.0}
"""In the place of what processes draw, so that their number does not matter."""

BROKEN_VIDEOS = 2
PATIENCE = 120.0
"""Seconds in which a process that was told to end must have, on a machine that does other things too."""
A_WHOLE_RUN = 600.0
"""Seconds for a training that nothing happens to."""

ASKING = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
TARGETS = ("run", "group", "rank", "worker", "decoder")
Numbers = tuple[dict[tuple[str, str], float], dict[str, torch.Tensor]]


class Run:
    """One start of the training, as a process group of its own."""

    def __init__(self, out: Path, data: Path, ranks: int, exact: bool) -> None:
        self.out, self.ranks = out, ranks
        pairs = pairs_of(
            data, out, {"NUM_GPUS": ranks} if exact else {"NUM_GPUS": ranks, **UNDRAWN}
        )
        self.process = subprocess.Popen(
            [sys.executable, "-m", "slowfast_ext", "train", *pairs],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip

    def wait_for_steps(self, steps: int, seconds: float) -> None:
        """Until so many steps are in the log, so much time has passed, or the run has ended."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < deadline:
            if len(losses(self.out)) >= steps:
                return
            time.sleep(0.02)

    def members(self, target: str) -> list[int]:
        """Process ids of a kind: of the whole run if there is none of the kind yet."""
        run, tree = self.process.pid, _children(self.process.pid)
        ranks = [run] if self.ranks == 1 else tree.get(run, [])
        below = [pid for rank in ranks for pid in tree.get(rank, [])]
        workers = [pid for pid in below if "decode.child" not in _command(pid)]
        everyone = [pid for pids in tree.values() for pid in pids]
        decoders = [pid for pid in everyone if "decode.child" in _command(pid)]
        found = {"rank": ranks, "worker": workers, "decoder": decoders}
        return found.get(target) or [run]

    def ended(self, seconds: float = PATIENCE) -> tuple[int | None, str]:
        """Exit code and what it said; None where it did not end."""
        try:
            _, errors = self.process.communicate(timeout=seconds)
            return self.process.returncode, errors
        except subprocess.TimeoutExpired:
            return None, ""

    def is_gone(self) -> bool:
        """Whether all its processes end by themselves."""
        deadline = time.monotonic() + PATIENCE
        while _group(self.process.pid):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    def kill(self) -> None:
        """End all that is left of it."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()


class Soak:
    """Lives of the training under faults, and what came of them."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.data, self.folder, self.chance = folder / "data", folder, random.Random(seed)
        self.faults: Counter[str] = Counter()
        self.surprises: list[str] = []
        self.lives = self.starts = 0
        self.worst_loss = self.worst_weight = 0.0
        self.inexact = 0
        self._unbroken: dict[bool, Numbers] = {}
        prepare(self.data)

    def unbroken(self, exact: bool) -> Numbers:
        """Numbers of the run that nothing happens to, in one process."""
        if exact not in self._unbroken:
            run = Run(self.folder / f"unbroken{exact:d}", self.data, 1, exact)
            code, errors = run.ended(A_WHOLE_RUN)
            if code != 0:
                raise RuntimeError(f"the unbroken run ended with {code}: {errors}")
            self._unbroken[exact] = numbers(run.out)
        return self._unbroken[exact]

    def live(self, deadline: float) -> None:
        """One life: faults until the training or the time is over, then to the end in peace; compared."""
        self.lives += 1
        out, exact = self.folder / f"life{self.lives}", self.lives % 2 == 1
        wanted = self.unbroken(exact)
        code: int | None = 75
        while code != 0 and not self.surprises:
            calm = time.monotonic() > deadline
            if out.exists() and not calm:
                self._damage(out)
            run = Run(out, self.data, 1 if exact else self.chance.choice((1, 2, 3)), exact)
            self.starts += 1
            code = self._calm(run) if calm else self._trouble(run)
        if not self.surprises:
            self._compare(out, exact, wanted)
        shutil.rmtree(out, ignore_errors=True)

    def _calm(self, run: Run) -> int | None:
        code, errors = run.ended(A_WHOLE_RUN)
        if code != 0:
            self.surprises.append(f"a start without a fault ended with {code}: {errors[-500:]}")
        run.kill()
        return code

    def _trouble(self, run: Run) -> int | None:
        """A fault at a random moment, in start-up too; whether the run then ends as it should."""
        done = len(losses(run.out))
        ahead = self.chance.choice((0, 1, 2, 4, 7))
        if ahead:
            run.wait_for_steps(done + ahead, PATIENCE)
            time.sleep(self.chance.uniform(0, 0.2))
        else:
            time.sleep(self.chance.uniform(0.1, 8.0))
        if run.process.poll() is None and self.chance.random() < 0.12:
            return self._full_disk(run)
        target, number = self.chance.choice(TARGETS), self.chance.choice((*ASKING, signal.SIGKILL))
        victim = self.chance.choice(run.members(target))
        if victim == run.process.pid and target not in ("run", "group"):
            target = "run"
        if run.process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(victim, number) if target == "group" else os.kill(victim, number)
            self.faults[f"{number.name} to {target}"] += 1
        if target == "decoder" or (target == "worker" and number != signal.SIGKILL):
            run.wait_for_steps(len(losses(run.out)) + 2, PATIENCE)  # it must go on
            if run.process.poll() is None:
                os.killpg(run.process.pid, signal.SIGKILL)
            allowed = {0, -signal.SIGKILL}
        elif number == signal.SIGKILL:
            allowed = {0, 1, -signal.SIGKILL}
        else:
            # Python itself takes a moment to start, in which nobody can answer.
            allowed = {0, 75} if done or ahead else {0, 75, -number}
        return self._judge(run, f"{number.name} to {target}", allowed)

    def _full_disk(self, run: Run) -> int | None:
        for rank in run.members("rank"):
            with suppress(ProcessLookupError):
                resource.prlimit(rank, resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))
        self.faults["full disk"] += 1
        return self._judge(run, "full disk", {0, 74})

    def _judge(self, run: Run, fault: str, allowed: set[int]) -> int | None:
        before = time.monotonic()
        code, errors = run.ended()
        if not run.is_gone():
            self.surprises.append(f"{fault}: processes outlive the run")
        run.kill()
        if code not in allowed or (code in (74, 75) and "Traceback" in errors):
            took = time.monotonic() - before
            self.surprises.append(
                f"{fault}: ended with {code} after {took:.0f} s: {errors[-2000:]}"
            )
        return code

    def _damage(self, out: Path) -> None:
        """Bits of the newest checkpoint, or its end; bits of an entry of the index."""
        newest = CheckpointStore(out, 0).newest_first()[:1]
        if newest and self.chance.random() < 0.3:
            data = bytearray(newest[0].read_bytes())
            data[self.chance.randrange(len(data))] ^= 1 << self.chance.randrange(8)
            cut = self.chance.randrange(len(data)) if self.chance.random() < 0.3 else len(data)
            newest[0].write_bytes(data[:cut])
            self.faults["checkpoint damaged"] += 1
        index = sorted(self.data.rglob("video_index.sqlite"))
        if index and self.chance.random() < 0.3:
            self.faults["index entry damaged"] += _flip_entry(index[0], self.chance)

    def _compare(self, out: Path, exact: bool, wanted: Numbers) -> None:
        found = numbers(out)
        if found[0].keys() != wanted[0].keys():
            missing = len(wanted[0].keys() ^ found[0].keys())
            self.surprises.append(f"life {self.lives}: {missing} steps are missing or too many")
            return
        loss = max(abs(found[0][step] - wanted[0][step]) for step in wanted[0])
        weight = max(float((found[1][n] - wanted[1][n]).abs().max()) for n in wanted[1])
        if exact:
            self.inexact += bool(loss or weight)
        else:
            self.worst_loss, self.worst_weight = (
                max(loss, self.worst_loss),
                max(weight, self.worst_weight),
            )
        if (exact and (loss or weight)) or loss > 1e-4:
            self.surprises.append(
                f"life {self.lives}: loss differs by {loss:g}, weights by {weight:g}"
            )
        remove = sorted(path.name for path in out.rglob(".*"))
        if remove:
            self.surprises.append(f"life {self.lives}: left behind: {', '.join(remove)}")

    def report(self, minutes: float) -> str:
        """What happened, in lines."""
        kills = sum(n for name, n in self.faults.items() if name.startswith("SIG"))
        return "\n".join(
            [
                f"{minutes:.1f} minutes, {self.lives} lives, {self.starts} starts",
                f"{kills} signals and {sum(self.faults.values()) - kills} other faults:",
                *(f"  {count:4d} {name}" for name, count in sorted(self.faults.items())),
                f"one process: {self.inexact} of {(self.lives + 1) // 2} lives differ from the unbroken run (bit for bit)",
                f"1 to 3 processes: losses within {self.worst_loss:.2g}, weights within {self.worst_weight:.2g}",
                f"{len(self.surprises)} surprises",
                *self.surprises,
            ]
        )


def pairs_of(data: Path, out: Path, changes: Mapping[str, Any]) -> list[str]:
    """KEY VALUE pairs of the training."""
    own = {"DATA.PATH_TO_DATA_DIR": data, "DATA.INDEX_DIR": data, "OUTPUT_DIR": out}
    settings = {**SETTINGS, **own, **changes}
    return [str(part) for item in settings.items() for part in item]


def prepare(data: Path) -> None:
    """Render the videos and break a few."""
    cfg = load_config([], pairs_of(data, data / "out", {}))
    for split in ("train", "val"):
        read_videos(cfg, split)
    for path in sorted(data.rglob("*train*/**/*.mp4"))[:BROKEN_VIDEOS]:
        path.write_bytes(path.read_bytes()[:200])


def losses(out: Path) -> dict[tuple[str, str], float]:
    """Loss of every step, the last word on each."""
    return {(s["epoch"], s["iter"]): s["loss"] for s in read_stats(out, "train_iter")}


def numbers(out: Path) -> Numbers:
    """Losses and final weights."""
    return losses(out), read_checkpoint(CheckpointStore(out, 0).find(""))["model_state"]


def _flip_entry(index: Path, chance: random.Random) -> bool:
    with suppress(sqlite3.Error), sqlite3.connect(index) as database:
        (table,) = next(database.execute("SELECT name FROM sqlite_master WHERE type = 'table'"))
        rows = list(database.execute(f"SELECT path, entry FROM {table} ORDER BY path"))
        path, entry = chance.choice(rows)
        data = bytearray(entry)
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        database.execute(f"UPDATE {table} SET entry = ? WHERE path = ?", (bytes(data), path))
        return True
    return False


def _processes() -> list[tuple[int, str, int, int]]:
    """Process, state, parent and group of all there are."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, parent, group = stat.read_text().rpartition(")")[2].split()[:3]
            found.append((int(stat.parent.name), state, int(parent), int(group)))
    return found


def _group(number: int) -> list[int]:
    """The living members of a process group."""
    return [pid for pid, state, _, group in _processes() if group == number and state != "Z"]


def _children(root: int) -> dict[int, list[int]]:
    """Parent -> children, from a process downwards."""
    below: dict[int, list[int]] = {}
    for pid, _, parent, _ in _processes():
        below.setdefault(parent, []).append(pid)
    found, todo = {}, [root]
    while todo:
        parent = todo.pop()
        found[parent] = sorted(below.get(parent, []))
        todo += found[parent]
    return found


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    return ""


def main(argv: Sequence[str]) -> int:
    """Soak and print the report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks soak", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--minutes", type=float, default=10.0, help="how long faults are made")
    parser.add_argument("--seed", type=int, default=0, help="of the faults")
    args = parser.parse_args(argv)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="soak_") as folder:
        soak = Soak(Path(folder), args.seed)
        soak.unbroken(exact=True)
        deadline = time.monotonic() + 60 * args.minutes
        while time.monotonic() < deadline and not soak.surprises:
            soak.live(deadline)
    print(soak.report((time.monotonic() - started) / 60))
    return bool(soak.surprises)
