"""Many small jobs in threads, for work that waits on processes of its own (decoders, encoders)."""

import threading
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.pool import ThreadPool
from typing import TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


def run_jobs(
    make_work: Callable[[], Callable[[Job], Result]], jobs: Iterable[Job], workers: int
) -> Iterator[tuple[Job, Result]]:
    """(job, result) in the order of completion; each of the threads makes its own `work` once."""
    local = threading.local()

    def run(job: Job) -> tuple[Job, Result]:
        if not hasattr(local, "work"):
            local.work = make_work()
        return job, local.work(job)

    with ThreadPool(max(1, workers)) as pool:
        yield from pool.imap_unordered(run, jobs)
