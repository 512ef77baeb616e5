"""Jobs in processes that may hang or crash."""

import os
import time
from functools import partial

import pytest

from slowfast_ext.data.jobs import Lost, run_jobs


def square(job):
    if job == "hang":
        time.sleep(60)
    if job == "crash":
        os._exit(7)
    return job * job


def make_square():
    return square


def make_nothing():
    os._exit(3)


def test_hanging_and_crashing_jobs_are_lost_alone():
    jobs = [1, "hang", 2, "crash", 3, 4]
    results = dict(run_jobs(make_square, jobs, workers=2, limit_seconds=5))
    assert {job: results[job] for job in (1, 2, 3, 4)} == {1: 1, 2: 4, 3: 9, 4: 16}
    assert results["hang"] == Lost("no result within 5 s")
    assert "exit code 7" in results["crash"].reason


def test_no_jobs():
    assert list(run_jobs(make_square, [], workers=0, limit_seconds=1)) == []


def test_workers_that_cannot_start():
    with pytest.raises(RuntimeError, match="exit code 3"):
        list(run_jobs(make_nothing, ["a"], workers=1, limit_seconds=0))


def test_partial_work_is_passed_to_the_processes():
    assert dict(run_jobs(partial(partial, pow, 2), [3, 4], 1, 0)) == {3: 8, 4: 16}
