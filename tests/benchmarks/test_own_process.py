"""Calls in processes of their own: results, crashes, time-outs, memory."""

import os
import time

import torch

from benchmarks.own_process import Failure, in_own_process


def add(a, b=0):
    return a + b, os.getpid()


def ask_for(size):
    return torch.ones(size, dtype=torch.uint8).sum().item()


def test_results_come_from_another_process():
    total, process = in_own_process(60, add, 1, b=2)
    assert total == 3
    assert process != os.getpid()


def test_failures_are_results():
    assert in_own_process(60, os._exit, 3) == Failure("exit code 3")
    assert in_own_process(0.01, time.sleep, 60) == Failure("more than 0 s")


def test_more_memory_than_the_machine_has_is_refused():
    assert in_own_process(60, ask_for, 2**44) == Failure("out of memory")


def test_a_little_more_memory_than_is_left_is_refused():
    """A process that took it would be killed, and others with it."""
    available = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert in_own_process(60, ask_for, available) == Failure("out of memory")
