"""Tests on a changed file, in forks of a process that has collected them and knows which functions each of them calls.

A change inside a function replaces the function's code, and runs the tests that call it, the shortest first. What is
outside of functions (constants, defaults) was used while the file was imported: such a change runs the tests in a
process that imports the file anew.
"""

import functools
import gc
import importlib.machinery
import importlib.util
import inspect
import os
import resource
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import NamedTuple

import pytest

from benchmarks.mutation import Mutant

SURVIVED, CAUGHT, ENDLESS, RELOAD = "survived", "caught", "endless", "reload"
LONGEST_S = 6.0
"""Tests that take more CPU time are left out: they are not quick."""
MEMORY = 12 * 2**30
"""Bytes of address space, for changes that make a size enormous."""
RELOAD_S = 100.0
WAITS = 30
"""A change may wait so many times as long as it may compute: the machine may do much else."""
# Without addopts: the processes that -n starts would import the file from the disk. pytest-timeout takes our alarm.
OPTIONS = "-q -o addopts= -o tmp_path_retention_policy=none -p no:cacheprovider -p no:timeout"
NOT_SLOW = ["-m", "not slow"]


class Where(NamedTuple):
    """A function: file, qualified name, first line."""

    file: str
    name: str
    line: int


def in_fork(work: Callable[[], int], limit_s: float) -> str:
    """What an exit code says, or that there was none in so much CPU time."""
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            os.setsid()
            signal.alarm(int(WAITS * limit_s))
            signal.setitimer(signal.ITIMER_PROF, limit_s)
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            code = work()
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGALRM, signal.SIGPROF):
        return ENDLESS
    return SURVIVED if status == 0 else CAUGHT


def reloaded(mutant: Mutant, path: Path, tests: Sequence[str]) -> str:
    """What the tests make of a change, in a fork that imports the file anew. This process has not imported it."""

    def work() -> int:
        sys.meta_path.insert(0, _Finder(mutant.source, path))
        silent()
        return int(pytest.main(["-x", *OPTIONS.split(), *NOT_SLOW, *tests]))

    return in_fork(work, RELOAD_S)


def silent() -> None:
    """What tests print is of no interest."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)


class _Finder:
    """Imports one file from a text instead of the disk."""

    def __init__(self, source: str, path: Path) -> None:
        self.name = ".".join(path.with_suffix("").parts).removesuffix(".__init__")
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


class Trials:
    """A plugin of pytest: in place of running the tests, `work(trials)` tries changes on them."""

    def __init__(self, files: Sequence[Path], work: Callable[["Trials"], None]) -> None:
        self.files = {str(path.resolve()) for path in files}
        self.work = work
        self.items: set[pytest.Item] = set()
        self.unsound: set[str] = set()
        self.seconds: dict[pytest.Item, float] = {}
        self.callers: dict[Where, list[pytest.Item]] = defaultdict(list)
        self.failed: list[str] = []
        self._functions: dict[Where, list[FunctionType]] = defaultdict(list)
        self._caches: list = []

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """In place of pytest's own."""
        for item in session.items:
            self._look(item)
        quick = [item for item in session.items if self.seconds[item] <= LONGEST_S]
        self.unsound = {*self.failed, *self._fails_in_a_fork(quick)}
        self.failed.clear()
        self.items = {item for item in quick if item.nodeid not in self.unsound}
        for thing in gc.get_objects():
            if isinstance(thing, FunctionType) and thing.__code__.co_filename in self.files:
                self._functions[_where(thing.__code__)].append(thing)
            elif isinstance(thing, functools._lru_cache_wrapper):
                self._caches.append(thing)
        gc.freeze()
        self.work(self)
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A phase of a test."""
        if report.failed:
            self.failed.append(report.nodeid)

    def tests_of(self, path: Path) -> list[str]:
        """Names of the tests that call any function of a file."""
        name = str(path.resolve())
        found = {
            item: None
            for where in self.callers
            if where.file == name
            for item in self.callers[where]
        }
        return [
            item.nodeid
            for item in sorted(found, key=self.seconds.__getitem__)
            if item in self.items
        ]

    def tried(self, mutant: Mutant, path: Path) -> str:
        """What the tests make of a change, or that the file has to be imported anew for it."""
        name = str(path.resolve())
        codes = [
            compile(text, name, "exec")
            for text in (path.read_text(encoding="utf-8"), mutant.source)
        ]
        pairs = changed_functions(*codes)
        tests = self._callers([_where(old) for old, _ in pairs or ()])
        if not tests:
            return RELOAD

        def work() -> int:
            for old, new in pairs:
                for function in self._functions[_where(old)]:
                    if function.__code__ == old:
                        function.__code__ = new
            for cache in self._caches:
                cache.cache_clear()
            self._run(tests, only_to_a_failure=True)
            return len(self.failed)

        return in_fork(work, 10 + 5 * sum(self.seconds[item] for item in tests))

    def _callers(self, functions: list[Where]) -> list[pytest.Item]:
        """Tests that call any of the functions, the shortest first."""
        found = {item for where in functions for item in self.callers.get(where, ())}
        return sorted(found.intersection(self.items), key=self.seconds.__getitem__)

    def _fails_in_a_fork(self, items: list[pytest.Item]) -> list[str]:
        """Names of the tests that fail as a change is tried, where there is none: the order is another one."""
        with tempfile.NamedTemporaryFile("w+") as file:

            def work() -> int:
                self.failed.clear()
                self._run(sorted(items, key=self.seconds.__getitem__))
                file.write("\n".join(self.failed))
                file.flush()
                return 0

            in_fork(work, 10 + 5 * sum(self.seconds[item] for item in items))
            file.seek(0)
            return file.read().splitlines()

    def _run(self, tests: list[pytest.Item], only_to_a_failure: bool = False) -> None:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["TMPDIR"] = tempfile.tempdir = folder
            for item, following in zip(tests, [*tests[1:], None], strict=True):
                item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
                if self.failed and only_to_a_failure:
                    break

    def _look(self, item: pytest.Item) -> None:
        """One test as it is: its time, and the functions that it calls."""
        seen: set[Where] = set()

        def called(frame: FrameType, event: str, argument: object) -> None:
            if frame.f_code.co_filename in self.files:
                seen.add(_where(frame.f_code))

        started = time.process_time()
        sys.settrace(called)
        try:
            item.ihook.pytest_runtest_protocol(item=item, nextitem=None)
        finally:
            sys.settrace(None)
        self.seconds[item] = time.process_time() - started
        for where in seen:
            self.callers[where].append(item)


def changed_functions(before: CodeType, after: CodeType) -> list[tuple[CodeType, CodeType]] | None:
    """The functions that differ, before and after, and those in which they are; None where something outside does.

    The inner ones may have been made while the file was imported.
    """
    if before == after:
        return []
    is_function = before.co_flags & inspect.CO_OPTIMIZED
    if not is_function and _own(before) != _own(after):
        return None
    pairs = [(before, after)] if is_function else []
    for pair in zip(_inner(before), _inner(after), strict=False):
        inner = changed_functions(*pair)
        if inner is None:
            return None
        pairs += inner
    return pairs


def _own(code: CodeType) -> tuple:
    constants = [repr(value) for value in code.co_consts if not isinstance(value, CodeType)]
    return code.co_code, code.co_names, constants


def _inner(code: CodeType) -> Iterator[CodeType]:
    return (value for value in code.co_consts if isinstance(value, CodeType))


def _where(code: CodeType) -> Where:
    return Where(code.co_filename, code.co_qualname, code.co_firstlineno)
