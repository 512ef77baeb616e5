"""Jobs in threads."""

import threading

import pytest

from slowfast_ext.data.curation.parallel import run_jobs


def test_every_job_once_with_work_made_once_a_thread():
    made = []

    def make_work():
        made.append(threading.get_ident())
        return lambda job: job * job

    assert dict(run_jobs(make_work, range(100), workers=3)) == {
        job: job * job for job in range(100)
    }
    assert len(made) == len(set(made)) <= 3


def test_no_jobs():
    assert list(run_jobs(lambda: None, [], workers=0)) == []


def test_an_error_comes_out():
    with pytest.raises(ZeroDivisionError):
        list(run_jobs(lambda: lambda job: 1 / job, [1, 0], workers=2))
