"""A decoder that hangs or crashes costs a call, not the run."""

import os
import pickle
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import fake_decoders as fakes
import numpy as np
import process_tree
import pytest

from slowfast_ext.data.decode.base import read_frames
from slowfast_ext.data.decode.decord_reader import DecordReader
from slowfast_ext.data.decode.watchdog import Watchdog
from slowfast_ext.errors import DataError
from slowfast_ext.processes import SIGNALS

LIMIT = 2.0
SLACK = 20.0
"""For a machine that is busy with other things."""


@pytest.fixture
def watchdog():
    watchdog = Watchdog(LIMIT)
    yield watchdog
    watchdog.close()


def read(watchdog, reader, indices=(3, 1)):
    return watchdog.call_for_array(read_frames, reader, "a.mp4", None, list(indices))


def test_frames_come_back(watchdog):
    frames = read(watchdog, fakes.GoodReader)
    assert frames.shape == (2, 4, 6, 3)
    assert frames[:, 0, 0, 0].tolist() == [3, 1]
    assert frames.flags.owndata
    assert frames.flags.writeable


def test_memory_grows_and_answers_stay(watchdog):
    """An answer is the caller's own: the next one does not write over it."""
    first = read(watchdog, fakes.GoodReader, [7])
    large = read(watchdog, fakes.GoodReader, range(200))
    small = read(watchdog, fakes.GoodReader, [9])
    assert first.max() == first.min() == 7
    assert np.array_equal(large[:, 0, 0, 0], np.arange(200))
    assert small.max() == small.min() == 9


def test_one_process_for_many_calls_and_not_this_one(watchdog):
    processes = {watchdog.call(fakes.process_id) for _ in range(3)}
    assert len(processes) == 1
    assert os.getpid() not in processes


def test_the_child_is_light(watchdog):
    from slowfast_ext.data.decode.scan import scan_video

    with pytest.raises(DataError):
        watchdog.call(scan_video, "no_such_file.mp4")
    assert watchdog.call(fakes.loaded, "av")
    assert not watchdog.call(fakes.loaded, "torch")


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc")
def test_decord_comes_without_cuda(watchdog):
    """It is one more process for each loader worker: half a gigabyte of libraries would matter."""
    if DecordReader.missing():
        pytest.skip(DecordReader.missing())
    before = watchdog.call(fakes.resident_mb)
    watchdog.call(fakes.load_decord)
    assert watchdog.call(fakes.resident_mb) - before < 150


def test_a_hang_is_ended_and_the_next_call_works(watchdog):
    read(watchdog, fakes.GoodReader)
    start = time.monotonic()
    with pytest.raises(DataError, match="no answer within 2 s"):
        read(watchdog, fakes.HangingReader)
    assert LIMIT <= time.monotonic() - start < LIMIT + SLACK
    assert read(watchdog, fakes.GoodReader).shape == (2, 4, 6, 3)


def test_a_crash_is_told_and_the_next_call_works(watchdog):
    with pytest.raises(DataError, match=r"crashed \(signal 11"):
        read(watchdog, fakes.CrashingReader)
    with pytest.raises(DataError, match=r"crashed \(exit code 3"):
        watchdog.call(fakes.end_with, 3)
    assert read(watchdog, fakes.GoodReader).shape == (2, 4, 6, 3)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_to_the_process_group_costs_no_call(number):
    """Neither in the middle of one nor while the process starts."""
    watchdog = Watchdog(30.0)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(watchdog.call, fakes.answer_slowly, 0.5)
        while watchdog._child is None and not answer.done():
            _signal_children(number)
            time.sleep(0.02)
        _signal_children(number)
        assert answer.result() == "answer"
    watchdog.close()


def _signal_children(number):
    for pid in process_tree.descendants():
        os.kill(pid, number)


def test_a_decoder_that_another_process_killed_is_asked_again(watchdog):
    """The out-of-memory killer and `kill -9` say nothing about the file."""
    child = watchdog.call(fakes.process_id)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(watchdog.call, fakes.answer_slowly, 0.5)
        time.sleep(0.2)
        os.kill(child, signal.SIGKILL)
        assert answer.result() == "answer"
    with pytest.raises(DataError, match="signal 9"):
        watchdog.call(fakes.end_with_signal, signal.SIGKILL)


@pytest.mark.parametrize("limit", [LIMIT, 0])
def test_an_exception_that_nobody_foresaw_is_the_files_fault(limit):
    """Damage finds every way through a reader; the place is told, and the next call works."""
    watchdog = Watchdog(limit)
    with pytest.raises(
        DataError, match=r"AttributeError: .*no_such_attribute.* \(fake_decoders.py:"
    ):
        read(watchdog, fakes.BuggyReader)
    assert read(watchdog, fakes.GoodReader).shape == (2, 4, 6, 3)
    watchdog.close()


def test_a_library_that_is_absent_is_no_bad_file(watchdog):
    with pytest.raises(RuntimeError, match="no_such_library"):
        watchdog.call(fakes.import_what_is_absent)
    with pytest.raises(ImportError):
        Watchdog(0).call(fakes.import_what_is_absent)


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc")
def test_a_call_has_a_limit_of_memory():
    watchdog = Watchdog(LIMIT, memory=200 << 20)
    assert watchdog.call(fakes.take_memory, 100 << 20) == 100 << 20
    first = watchdog.call(fakes.process_id)
    with pytest.raises(DataError, match=r"more than the 0.195 GiB .*DATA.DECODE_MEMORY"):
        watchdog.call(fakes.take_memory, 300 << 20)
    assert watchdog.call(fakes.process_id) != first
    assert read(watchdog, fakes.GoodReader).shape == (2, 4, 6, 3)
    copy = pickle.loads(pickle.dumps(watchdog))
    with pytest.raises(DataError, match="GiB"):
        copy.call(fakes.take_memory, 300 << 20)
    copy.close()
    watchdog.close()


def test_without_a_limit_it_is_a_plain_call():
    watchdog = Watchdog(0)
    assert watchdog.call(fakes.process_id) == os.getpid()
    assert read(watchdog, fakes.GoodReader).shape == (2, 4, 6, 3)


def test_a_copy_has_a_child_of_its_own(watchdog):
    copy = pickle.loads(pickle.dumps(watchdog))
    assert copy.call(fakes.process_id) != watchdog.call(fakes.process_id)
    copy.close()


def test_a_forked_process_has_a_child_of_its_own(watchdog):
    ours = watchdog.call(fakes.process_id)
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        theirs = watchdog.call(fakes.process_id)
        watchdog.close()
        os.write(writing, str(theirs).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    assert int(os.read(reading, 100)) != ours
    assert watchdog.call(fakes.process_id) == ours


def _is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().split()[2] != "Z"
    except OSError:
        return False


def _gone(pid, seconds):
    end = time.monotonic() + seconds
    while _is_running(pid) and time.monotonic() < end:
        time.sleep(0.05)
    return not _is_running(pid)


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc")
@pytest.mark.parametrize("hanging", [False, True])
def test_the_child_does_not_outlive_a_killed_parent(hanging):
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        watchdog = Watchdog(1.0)
        os.write(writing, str(watchdog.call(fakes.process_id)).encode())
        if hanging:
            child = watchdog._child
            child.socket.send((fakes.hang, (), False, 1.0))
            time.sleep(0.5)
        os._exit(0)
    os.waitpid(pid, 0)
    assert _gone(int(os.read(reading, 100)), 30)
