"""Many small jobs in processes that may hang or crash: each such job is lost, not the run.

A decoder in C++ can hold the interpreter's lock for ever or take its process down; a time limit helps
only from outside, by a process that can be killed.
"""

import multiprocessing
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")
Work = Callable[[Job], Result]

POLL_SECONDS = 1.0


@dataclass(frozen=True)
class Lost:
    """A job without a result, and why."""

    reason: str


def run_jobs(
    make_work: Callable[[], Work[Job, Result]],
    jobs: Iterable[Job],
    workers: int,
    limit_seconds: float,
) -> Iterator[tuple[Job, Result | Lost]]:
    """(job, result) in the order of completion.

    Each worker process calls `make_work` once and what it gives once a job; both must be picklable.
    An error of a job that is no crash belongs into its result. A job that takes longer than
    `limit_seconds` (0: no limit), or whose process dies, gives Lost. Raises RuntimeError where a
    process cannot start.
    """
    queue = iter(jobs)
    crew = [_Worker(make_work, limit_seconds) for _ in range(max(1, workers))]
    try:
        busy = [worker for worker in crew if worker.start_next(queue)]
        while busy:
            wait([worker.pipe for worker in busy], timeout=POLL_SECONDS)
            for worker in [worker for worker in busy if worker.is_done()]:
                yield worker.take()
                if not worker.start_next(queue):
                    busy.remove(worker)
    finally:
        for worker in crew:
            worker.stop()


class _Worker(Generic[Job, Result]):
    """One process with one job at a time; replaced when it dies or is killed."""

    pipe: Connection

    def __init__(self, make_work: Callable[[], Work[Job, Result]], limit_seconds: float) -> None:
        self._make_work = make_work
        self._limit = limit_seconds
        self._process: Any = None
        self._is_ready = False
        self._job: Job

    def start_next(self, queue: Iterator[Job]) -> bool:
        """Take a job of the queue; False where it is empty."""
        try:
            self._job = next(queue)
        except StopIteration:
            return False
        if self._process is None:
            self._start_process()
        self._deadline = self._time_out() if self._is_ready else float("inf")
        with suppress(BrokenPipeError):  # a process that could not even start: `take` will say so
            self.pipe.send(self._job)
        return True

    def is_done(self) -> bool:
        """Is there a result, an end of the process, or no time left? Time counts from when it is ready."""
        if not self._is_ready and self.pipe.poll():
            with suppress(EOFError, OSError):
                self._is_ready = self.pipe.recv()
                self._deadline = self._time_out()
        return self.pipe.poll() or time.monotonic() > self._deadline

    def _time_out(self) -> float:
        return time.monotonic() + self._limit if self._limit else float("inf")

    def take(self) -> tuple[Job, Result | Lost]:
        """The job and its result; without a result the process is ended."""
        if not self.pipe.poll():
            self.stop()
            return self._job, Lost(f"no result within {self._limit:g} s")
        try:
            return self._job, self.pipe.recv()
        except (EOFError, OSError):
            self._process.join()
            code = self._process.exitcode
            self.stop()
            if not self._is_ready:
                raise RuntimeError(f"a worker process could not start (exit code {code})") from None
            return self._job, Lost(f"the process that read it died (exit code {code})")

    def stop(self) -> None:
        """End the process at once."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self.pipe.close()
            self._process = None

    def _start_process(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self._make_work))
        self._process.start()
        self._is_ready = False
        theirs.close()


def _serve(pipe: Connection, make_work: Callable[[], Work[Job, Result]]) -> None:
    """Say that it is ready, then answer each job until the other end closes."""
    work = make_work()
    pipe.send(True)
    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        pipe.send(work(job))
