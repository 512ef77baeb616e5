"""Readers that misbehave as real ones do. In a module of its own, so that a child process can load it."""

import ctypes
import os
import signal
import time

from slowfast_ext.data.decode.pyav_reader import PyAVReader


class GoodReader:
    """Gives the frame's number as its colour."""

    guarded = True
    size = (4, 6)

    def __init__(self, path, index, short_side=0):
        pass

    @staticmethod
    def missing():
        return ""

    @staticmethod
    def exact(index):
        return True

    def frames(self, indices, out):
        for place, index in enumerate(indices):
            out[place] = index

    def close(self):
        pass


class ExactlyDecord(GoodReader):
    """Stands in decord's place."""

    @staticmethod
    def exact(index):
        return index.decord_exact


class HangingReader(GoodReader):
    """Sleeps inside C with the interpreter's lock held."""

    def frames(self, indices, out):
        ctypes.PyDLL(None).sleep(1000)


class CrashingReader(GoodReader):
    def frames(self, indices, out):
        os.kill(os.getpid(), signal.SIGSEGV)


class BuggyReader(GoodReader):
    def frames(self, indices, out):
        self.no_such_attribute  # noqa: B018


def answer_slowly(seconds):
    time.sleep(seconds)
    return "answer"


def end_with_signal(number):
    os.kill(os.getpid(), number)


def process_id():
    return os.getpid()


def loaded(name):
    import sys

    return name in sys.modules


def load_decord():
    from slowfast_ext.data.decode.decord_reader import import_decord

    import_decord()


def resident_mb():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def peak_mb():
    """Of this process since it started."""
    with open("/proc/self/status") as file:
        peak = next(line for line in file if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 1024


def import_what_is_absent():
    import no_such_library  # noqa: F401


def take_memory(size):
    return len(bytearray(size))


def hang():
    ctypes.PyDLL(None).sleep(1000)


def end_with(code):
    os._exit(code)


class MoodyReader(PyAVReader):
    """Hangs and crashes on the files whose names say so, and reads the others."""

    def frames(self, indices, out):
        if "hang" in self.path:
            hang()
        if "crash" in self.path:
            os.kill(os.getpid(), signal.SIGSEGV)
        super().frames(indices, out)
