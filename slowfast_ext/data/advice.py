"""What a user should know of loading: the memory it takes, and what helps when training waits for it."""

import math
import os
import shutil
from pathlib import Path

from yacs.config import CfgNode

from slowfast_ext.config import options_of
from slowfast_ext.data.loader import LoaderOptions
from slowfast_ext.data.sampling import SamplingOptions
from slowfast_ext.data.transforms.resize_crop import CropOptions
from slowfast_ext.options import pair
from slowfast_ext.screen import plural

SHARED_MEMORY = Path("/dev/shm")
"""Where loader processes put their batches (Linux)."""


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def batch_bytes(clips: int, frames: int, size: tuple[int, int]) -> int:
    """Memory of the pixels of a batch as the loader hands it over (uint8 RGB)."""
    return clips * frames * 3 * size[0] * size[1]


def memory_in_words(cfg: CfgNode, processes: int) -> tuple[str, bool]:
    """The host memory of the training batches that `processes` of a node hold ready, and whether it fits.

    It fits when the batches leave half of the free shared memory, which containers often limit to 64 MiB. Nothing is
    said where no process loads ahead.
    """
    options, sampling = options_of(cfg, LoaderOptions), options_of(cfg, SamplingOptions)
    clips = cfg.TRAIN.BATCH_SIZE // processes * cfg.AUG.NUM_SAMPLE
    size = pair(options_of(cfg, CropOptions).train_crop_size)
    one = batch_bytes(clips, sampling.num_frames, size)
    ready = processes * options.num_workers * options.prefetch_factor
    if not ready:
        return "", True
    words = (
        f"loading: {plural(processes * options.num_workers, 'worker')} keep up to {ready} batches of {_mib(one)} "
        f"ready: {_mib(ready * one)} of host memory"
    )
    free = shutil.disk_usage(SHARED_MEMORY).free if SHARED_MEMORY.is_dir() else math.inf
    if ready * one <= free / 2:
        return words, True
    return (
        f"{words}, but only {_mib(free)} of shared memory ({SHARED_MEMORY}) are free: enlarge it (docker run "
        "--shm-size 16g), or lower DATA_LOADER.NUM_WORKERS or DATA_LOADER.PREFETCH_FACTOR"
    ), False


def _mib(size: float) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.1f} MiB"


class SlowData:
    """Notices that training waits for data over a stretch, and says once what helps."""

    SHARE = 0.25
    SECONDS = 120.0

    def __init__(self, options: LoaderOptions, processes: int, repeats: int) -> None:
        """`processes` of this node share its cores; `repeats`: clips of each decoded video."""
        self._options, self._processes, self._repeats = options, processes, repeats
        self._waited = self._elapsed = 0.0
        self._told = False

    def add(self, seconds: float, share: float) -> str:
        """The time since the last call and the share of it spent waiting; returns advice, or "" while all is well."""
        if self._told:
            return ""
        self._waited += seconds * share
        self._elapsed += seconds
        if self._elapsed < self.SECONDS:
            return ""
        waited, elapsed = self._waited, self._elapsed
        self._waited = self._elapsed = 0.0
        if waited < self.SHARE * elapsed:
            return ""
        self._told = True
        return (
            f"training waited for data in {100 * waited / elapsed:.0f} % of the last {elapsed:.0f} s. "
            f"What helps: {'; '.join(self._remedies())}"
        )

    def _remedies(self) -> list[str]:
        workers, have = self._options.num_workers, cores()
        free = have // self._processes - workers
        remedies = [
            f"more DATA_LOADER.NUM_WORKERS (now {workers} for each of {self._processes} processes, {have} cores)"
            if free > 0
            else f"more cores (all {have} are in use)",
            "smaller copies of the videos (slowfast-ext data transcode)",
        ]
        if self._repeats == 1:
            remedies.append("several clips of each decoded video (AUG.NUM_SAMPLE)")
        return remedies
