"""Loading against a sensible loop and the plain way of the field: CPU time of a video, measured in turns.

What each way does is said in `benchmarks/data_ways.py`.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.data_ways import BATCH, POLICY, WAYS
from benchmarks.sample_clip import render_clip
from slowfast_ext.data.loader import start_worker


@dataclass(frozen=True)
class Case:
    """A row of the table: a kind of loading and the ways to do it: ours, sensible, plain.

    `target` is the least ratio of sensible to ours.
    """

    name: str
    target: float
    copies: int = 1
    ways: tuple[str, ...] = ("ours_training", "sensible_training", "plain_training")


CASES = (
    Case("decoding of a training clip alone", 0.0, ways=("ours_decode", "decord_decode")),
    Case(
        "the same in the killable process (sensible: ours without it)",
        0.0,
        ways=("GuardedDecode", "ours_decode"),
    ),
    Case("10 x 3 test views", 2.5, ways=("ours_views", "sensible_views", "plain_views")),
    Case(f"training, {POLICY}", 1.5),
    Case(f"training, {POLICY}, 2 copies a decode", 1.5, copies=2),
)


def main(argv: Sequence[str]) -> int:
    """Print the table; exit code 1 where a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks data", description=__doc__)
    parser.add_argument("--repeats", type=int, default=9, help="measurements of each way")
    parser.add_argument("--gop", type=int, nargs="+", default=[12, 250], help="frames between keys")
    args = parser.parse_args(argv)
    missed = False
    print("CPU ms of a video, one thread, medians of measurements in turns")
    print("| case | GOP | plain | sensible | ours | sensible / ours | plain / ours | target |")
    with tempfile.TemporaryDirectory() as folder, Processes() as processes:
        for gop in args.gop:
            path = str(Path(folder) / f"gop{gop}.mp4")
            render_clip(path, gop)
            for case in CASES:
                times = processes.medians(case.ways, path, case.copies, args.repeats)
                print(_row(case, gop, *times), flush=True)
                missed |= times[1] / times[0] < case.target
    return int(missed)


def _row(case: Case, gop: int, ours: float, sensible: float, plain: float = 0.0) -> str:
    cells = [case.name, gop, f"{plain:.0f}" if plain else "", f"{sensible:.0f}", f"{ours:.0f}"]
    cells += [f"{sensible / ours:.1f} x", f"{plain / ours:.1f} x" if plain else ""]
    return f"| {' | '.join(map(str, cells))} | {case.target:g} x |"


class Processes:
    """A process for each way, as a loader has it: one thread, and for ours the settings of loader processes."""

    def __enter__(self) -> "Processes":
        self._pools: dict[str, ProcessPoolExecutor] = {}
        self._stack = ExitStack()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def medians(self, ways: Sequence[str], path: str, copies: int, repeats: int) -> list[float]:
        """CPU milliseconds of one video by each way, in turns."""
        times = [
            [self._pool(way).submit(timed, way, path, copies, repeat).result() for way in ways]
            for repeat in range(repeats + 1)
        ]
        return [float(own) for own in np.median(times[1:], axis=0)]

    def _pool(self, way: str) -> ProcessPoolExecutor:
        if way not in self._pools:
            is_ours = WAYS[way].__name__.lower().startswith(("ours", "guarded"))
            start = start_worker if is_ours else torch.set_num_threads
            pool = ProcessPoolExecutor(1, get_context("spawn"), start, (1,))
            self._pools[way] = self._stack.enter_context(pool)
        return self._pools[way]


_made: dict[tuple[str, str, int], Any] = {}


def timed(way: str, path: str, copies: int, repeat: int) -> float:
    """CPU milliseconds of a video, stacking of its batch included."""
    key = way, path, copies
    if key not in _made:
        _made[key] = WAYS[way](path, copies)
    work = _made[key]
    clock = getattr(work, "cpu_seconds", time.process_time)
    started = clock()
    work(repeat)
    return 1000 * (clock() - started) / (BATCH if "training" in way else 1)
