"""Do the tests bite? Small changes of a file, one at a time, and whether the tests notice.

    python -m benchmarks mutants slowfast_ext/tasks/metrics.py [MORE_FILES] [--sample 40]
    python -m benchmarks mutants --all --sample 12

The tests that belong to a file stand in mutants.txt; `--tests` takes others. A row: the files, the tests, and those for
what is outside of functions (defaults, bounds), between tabs. Slow tests, and those of more than 6 s of CPU time, are left
out. A change inside a function takes a fraction of a second, one outside an import of everything: `--inside` has only the former.
Exit code 1 where a change survives. It needs Python 3.11.

Changes that nobody can see from outside stand in equivalent_mutants.txt, with the reason, and are not tried.
"""

import argparse
import importlib
import itertools
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import pytest

from benchmarks.mutant_trials import (
    CAUGHT,
    NOT_SLOW,
    OPTIONS,
    RELOAD,
    SURVIVED,
    Trials,
    reloaded,
    silent,
)
from benchmarks.mutation import Mutant, equivalent, mutants

LOADED = (
    "torch._dynamo",
    "numpy",
    "pytest",
    "hypothesis",
    "sklearn.metrics",
    "safetensors.torch",
    "yacs.config",
    "rich",
    "av",
)
TABLE = Path(__file__).with_name("mutants.txt")


class UntestedError(Exception):
    """The tests say nothing about changes."""


class Row(NamedTuple):
    """Files, the tests that belong to them, and those for what is outside of functions."""

    files: list[Path]
    tests: list[str]
    outside: list[str]


def rows() -> Iterator[Row]:
    """Those of the table. A file is of the first row that names it."""
    taken: set[Path] = set()
    for row in TABLE.read_text(encoding="utf-8").splitlines():
        pattern, tests, outside = row.split("\t")
        files = [path for path in sorted(Path().glob(pattern)) if path not in taken]
        taken.update(files)
        yield Row(files, tests.split(), outside.split())


def drawn(path: Path, sample: int, seed: int) -> Iterator[Mutant]:
    """All changes of a file that can be seen, or so many."""
    known = equivalent(path)
    every = mutants(path.read_text(encoding="utf-8"), seed if sample else None)
    visible = (mutant for mutant in every if mutant.change.partition(" ")[2] not in known)
    return itertools.islice(visible, sample or None)


def verdicts(row: Row, args: argparse.Namespace) -> Iterator[tuple[Path, Mutant, str]]:
    """What the tests make of each change of the files of a row."""
    files = row.files
    ours, theirs = multiprocessing.Pipe(duplex=False)
    pid = os.fork()
    if pid == 0:
        try:
            ours.close()
            _collected(theirs, row, args.sample, args.seed)
        finally:
            os._exit(0)
    theirs.close()
    known: dict[Path, list[str]] = {}
    later: list[tuple[Path, Mutant]] = []
    try:
        unsound, any_left, known = ours.recv()
        if unsound:
            print(f"left out, as they fail without any change: {' '.join(unsound)}", flush=True)
        if not any_left:
            raise UntestedError(f"no test passes without any change: {' '.join(row.tests)}")
        if strange := [str(path) for path in files if not known[path] and _does_something(path)]:
            print(f"no test calls a function of {' '.join(strange)}", flush=True)
        while (found := ours.recv()) is not None:
            path, mutant, verdict = found
            if verdict == RELOAD:
                later.append((path, mutant))
            else:
                yield path, mutant, verdict
    except EOFError:
        raise UntestedError(f"the tests cannot be collected: {' '.join(row.tests)}") from None
    finally:
        ours.close()
        os.waitpid(pid, 0)
    for path, mutant in [] if args.inside else later:
        yield path, mutant, reloaded(mutant, path, [*row.outside, *known[path]] or row.tests)


def _does_something(path: Path) -> bool:
    return "def " in path.read_text(encoding="utf-8")


def _collected(answers: Connection, row: Row, sample: int, seed: int) -> None:
    def work(trials: Trials) -> None:
        known = {path: trials.tests_of(path) for path in row.files}
        answers.send((sorted(trials.unsound), bool(trials.items), known))
        for path in row.files:
            for mutant in drawn(path, sample, seed):
                answers.send((path, mutant, trials.tried(mutant, path)))
        answers.send(None)

    silent()
    pytest.main([*OPTIONS.split(), *NOT_SLOW, *row.tests], plugins=[Trials(row.files, work)])


def main(argv: Sequence[str]) -> int:
    """Print what survives, and the share that is caught of each file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("paths", type=Path, nargs="*", help="files below the working folder")
    parser.add_argument("--all", action="store_true", help="every file that mutants.txt names")
    parser.add_argument("--tests", nargs="+", help="test files, or pytest's own selections")
    parser.add_argument("--inside", action="store_true", help="only changes inside functions")
    parser.add_argument("--sample", type=int, default=0, help="so many changes of a file, drawn")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    work = _work(args.paths, args.tests, args.all)
    if left := set(args.paths) - {path for row in work for path in row.files}:
        parser.error(f"mutants.txt names no tests for {' '.join(map(str, left))}; --tests does")
    for name in LOADED:
        importlib.import_module(name)
    started = time.monotonic()
    tried: Counter[Path] = Counter()
    survived: Counter[Path] = Counter()
    for row in work:
        try:
            for path, mutant, verdict in verdicts(row, args):
                tried[path] += 1
                survived[path] += verdict == SURVIVED
                if verdict != CAUGHT:
                    print(f"{verdict}: {path}:{mutant.change}", flush=True)
        except UntestedError as error:
            sys.exit(str(error))
    _table(tried, survived)
    print(f"{time.monotonic() - started:.0f} s")
    return int(survived.total() > 0)


def _work(paths: list[Path], tests: list[str] | None, every: bool) -> list[Row]:
    if tests:
        return [Row(paths, tests, [])]
    chosen = [
        row._replace(files=[path for path in row.files if every or path in paths]) for row in rows()
    ]
    return [row for row in chosen if row.files]


def _table(tried: Counter[Path], survived: Counter[Path]) -> None:
    print(f"{'file':60} tried caught survived share equivalent")
    for path in tried:
        _row(str(path), tried[path], survived[path], len(equivalent(path)))
    equivalents = sum(len(equivalent(path)) for path in tried)
    _row("all", tried.total(), survived.total(), equivalents)


def _row(name: str, tried: int, survived: int, equivalents: int) -> None:
    share = 100 * (tried - survived) / max(tried, 1)
    print(f"{name:60} {tried:5} {tried - survived:6} {survived:8} {share:4.0f}% {equivalents:10}")
