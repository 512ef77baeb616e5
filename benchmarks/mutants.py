"""Do the tests bite? Small changes of one file, one at a time, and whether its tests notice.

    python -m benchmarks mutants slowfast_ext/tasks/metrics.py tests/tasks/test_metrics.py [MORE_TESTS] [--sample 40]

The changes are cosmic-ray's (operators, comparisons, constants, conditions). Each is tested in a fork of a process
that has the large libraries loaded: cosmic-ray's own runner starts Python and torch anew for each, which takes ten times
as long, and mutmut leaves out decorated functions. Slow tests are left out. Exit code 1 where a change survives.

Changes that nobody can see from outside stand in equivalent_mutants.txt, with the reason, and are not tried.
"""

import argparse
import ast
import contextlib
import difflib
import importlib.machinery
import importlib.util
import os
import random
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator

BINARY = "Add_Sub Sub_Add Mul_Div Div_Mul Mod_Mul FloorDiv_Mul Pow_Mul BitAnd_BitOr BitOr_BitAnd"
COMPARISON = "Eq_NotEq NotEq_Eq Lt_LtE LtE_Lt Gt_GtE GtE_Gt Lt_Gt Gt_Lt Is_IsNot IsNot_Is"
OTHERS = (
    "ReplaceUnaryOperator_Delete_Not ReplaceUnaryOperator_Delete_USub ReplaceUnaryOperator_Delete_Invert "
    "NumberReplacer ReplaceTrueWithFalse ReplaceFalseWithTrue ReplaceAndWithOr ReplaceOrWithAnd AddNot"
)
OPERATORS = [
    *(f"core/ReplaceBinaryOperator_{pair}" for pair in BINARY.split()),
    *(f"core/ReplaceComparisonOperator_{pair}" for pair in COMPARISON.split()),
    *(f"core/{name}" for name in OTHERS.split()),
]
LOADED = (
    "torch",
    "numpy",
    "pytest",
    "hypothesis",
    "sklearn.metrics",
    "safetensors.torch",
    "yacs.config",
    "rich",
    "av",
)
LIMIT_S = 300
EQUIVALENT = Path(__file__).with_name("equivalent_mutants.txt")
SURVIVED, CAUGHT, ENDLESS = "survived", "caught", "endless"


class Mutant(NamedTuple):
    """A changed source and the lines that differ."""

    source: str
    change: str


def mutants(source: str) -> Iterator[Mutant]:
    """All changes of a file that change what it does: those of annotations and documentation do not."""
    seen = {_meaning(source)}
    for name in OPERATORS:
        operator, occurrence = get_operator(name)(), 0
        while (changed := mutate_code(source, operator, occurrence)) is not None:
            occurrence += 1
            with contextlib.suppress(SyntaxError):
                if (meaning := _meaning(changed)) not in seen:
                    seen.add(meaning)
                    yield Mutant(changed, _change(source, changed))


def tried(mutant: Mutant, path: Path, tests: Sequence[str]) -> str:
    """What the tests make of it, in a fork of this process."""
    pid = os.fork()
    if pid == 0:
        os.setsid()
        signal.alarm(LIMIT_S)
        os._exit(_run(mutant.source, path, tests))
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM:
        return ENDLESS
    return SURVIVED if status == 0 else CAUGHT


def _run(source: str, path: Path, tests: Sequence[str]) -> int:
    import pytest

    sys.meta_path.insert(0, _Finder(source, path))
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    # Without addopts: the processes that -n starts would import the file from the disk.
    options = ["-x", "-q", "-o", "addopts=", "-p", "no:cacheprovider", "-m", "not slow"]
    try:
        return int(pytest.main([*options, *tests]))
    except BaseException:
        return 99


class _Finder:
    """Imports one file from a text instead of the disk."""

    def __init__(self, source: str, path: Path) -> None:
        self.name = ".".join(path.with_suffix("").parts)
        self.path, self.source = str(path.resolve()), source

    def find_spec(self, name: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        if name != self.name:
            return None
        loader = _Loader(name, self.path)
        loader.source = self.source
        return importlib.util.spec_from_file_location(name, self.path, loader=loader)


class _Loader(importlib.machinery.SourceFileLoader):
    source = ""

    def get_code(self, fullname: str) -> object:
        return compile(self.source, self.path, "exec")


def equivalent(path: Path) -> set[str]:
    """The changes of a file that change nothing which can be seen, as they are printed, without the line's number.

    A row: the file, the change and the reason, between tabs.
    """
    rows = [row.split("\t") for row in EQUIVALENT.read_text(encoding="utf-8").splitlines()]
    return {change for file, change, _ in rows if file == str(path)}


def _meaning(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.arg | ast.AnnAssign):
            node.annotation = ast.Constant(None) if isinstance(node, ast.AnnAssign) else None
        elif isinstance(node, ast.FunctionDef):
            node.returns = None
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "zip":
            node.keywords = []  # strict=True is an assertion: it does nothing where it holds
    return ast.dump(tree)


def _change(before: str, after: str) -> str:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    place, *rest = list(lines)[2:]
    return f"{place.split()[1]} " + "  ".join(
        " ".join(line.split()) for line in rest if line[:1] in "+-"
    )


def main(argv: Sequence[str]) -> int:
    """Print what survives, and the share that is caught."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("path", type=Path, help="file below the working folder")
    parser.add_argument("tests", nargs="+", help="test files, or pytest's own selections")
    parser.add_argument("--sample", type=int, default=0, help="so many changes of all, drawn")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    for name in LOADED:
        importlib.import_module(name)
    source = args.path.read_text(encoding="utf-8")
    if tried(Mutant(source, ""), args.path, args.tests) != SURVIVED:
        parser.error("the tests fail without any change")
    if tried(Mutant("raise RuntimeError", ""), args.path, args.tests) == SURVIVED:
        parser.error(f"the tests do not import {args.path} in their own process")
    known = equivalent(args.path)
    found = list(mutants(source))
    every = [mutant for mutant in found if mutant.change.partition(" ")[2] not in known]
    drawn = random.Random(args.seed).sample(every, min(args.sample or len(every), len(every)))
    survived, started = 0, time.monotonic()
    for mutant in drawn:
        verdict = tried(mutant, args.path, args.tests)
        survived += verdict == SURVIVED
        if verdict != CAUGHT:
            print(f"{verdict}: {args.path}:{mutant.change}", flush=True)
    caught = len(drawn) - survived
    print(
        f"{args.path}: {caught} of {len(drawn)} changes caught ({100 * caught / max(len(drawn), 1):.0f} %), "
        f"{len(every)} possible, {len(found) - len(every)} equivalent, {time.monotonic() - started:.0f} s"
    )
    return int(survived > 0)
