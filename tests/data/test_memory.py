"""Loading takes no more memory the longer it runs, and freed buffers are used again."""

import resource
import subprocess
import sys

import pytest
from fakes import FakeSource, make_cfg, make_videos

from slowfast_ext.data.dataset import TrainClips
from slowfast_ext.data.samplers import Draw

FAULTS = """
import resource, sys, torch
from slowfast_ext.data.memory import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
def work():
    for _ in range(10):
        torch.zeros(4 << 20, dtype=torch.uint8)
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(mode):
    done = subprocess.run(
        [sys.executable, "-c", FAULTS, mode], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_freed_buffers_are_not_mapped_anew():
    # A system may report no faults at all; where it does, keeping memory must spare them.
    plain = page_faults("plain")
    assert page_faults("keep") <= plain / 4


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux only")
def test_memory_stays_flat_over_many_samples():
    cfg = make_cfg(
        AUG__AA_TYPE="rand-m7-n4-mstd0.5-inc1",
        AUG__RE_PROB=0.25,
        AUG__COLOR_JITTER=0.4,
        DATA__NUM_FRAMES=8,
    )
    clips = TrainClips.from_cfg(cfg, make_videos(5), FakeSource(height=96, width=128))
    peaks = []
    for epoch in range(300):
        clips[Draw(epoch, epoch % 5)]
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    assert peaks[-1] - peaks[99] < 4 * 1024, "KiB grew by more than 4 MiB in 200 samples"
