"""Times of calls: which counts, and how many are made."""

import pytest
import torch

from slowfast_ext.analysis import timing
from slowfast_ext.analysis.timing import least_seconds, median_seconds

CPU = torch.device("cpu")


@pytest.fixture
def clock(monkeypatch):
    """Work that takes 9, 4, 1, 5 .. seconds of a clock that only it moves."""

    class Clock:
        now, calls = 0.0, 0

        def work(self):
            self.now += (9.0, 4.0, 1.0, 5.0)[self.calls]
            self.calls += 1

    clock = Clock()
    monkeypatch.setattr(timing.time, "perf_counter", lambda: clock.now)
    return clock


def test_the_first_call_is_left_out(clock):
    assert median_seconds(clock.work, CPU, 3) == 4.0


def test_least(clock):
    assert least_seconds(clock.work, CPU, 3, enough=100) == 1.0
    assert clock.calls == 4


def test_long_work_is_done_twice(clock):
    assert least_seconds(clock.work, CPU, 3, enough=5) == 4.0
    assert clock.calls == 2
