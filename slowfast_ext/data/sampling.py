"""Which frames and which views: pure functions of length, frame rate, configuration and generator.

All indices are 0-based, sorted and inside the video; a clip longer than the video repeats the
last frame. `length` is the number of frames of the (trimmed) video, `fps` its frame rate.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from yacs.config import CfgNode

from slowfast_ext.options import Options, option, section


@section("DATA", "Videos, clips and views")
@dataclass(frozen=True)
class SamplingOptions(Options):
    """Videos, clips and views: the section DATA."""

    num_frames: int = option(8, "frames of a clip", unit="frames", low=1)
    sampling: str = option(
        "dense",
        "which frames: dense, neighbours at SAMPLING_RATE; segment, one from each of NUM_FRAMES equal parts",
        choices=("dense", "segment"),
    )
    sampling_rate: int = option(
        8, "distance of a dense clip's frames in the source", unit="frames", low=1
    )
    frame_spacing: str = option(
        "stride",
        "dense frames lie SAMPLING_RATE apart, or linspace over the span (PySlowFast: 4.2 for 16x4)",
        choices=("stride", "linspace"),
    )
    target_fps: float = option(
        0.0, "rate that SAMPLING_RATE is counted at; 0: the source's own", unit="frames/s", low=0
    )
    use_offset_sampling: bool = option(
        True,
        "test clips start at whole frames from first to last, centre for one (PySlowFast's key)",
    )


@section("TEST", "Multi-view testing")
@dataclass(frozen=True)
class ViewOptions(Options):
    """Multi-view testing: the section TEST."""

    num_ensemble_views: int = option(10, "clips in time per video", unit="clips", low=1)
    num_spatial_crops: int = option(
        3, "crops per clip along the longer side; 1: centre", unit="crops", choices=(1, 2, 3)
    )


Indices = NDArray[np.int64]

CENTRE = 1
CROPS = {1: (CENTRE,), 2: (0, 2), 3: (0, CENTRE, 2)}


@dataclass(frozen=True, slots=True)
class View:
    """One look at a video: clip number in time, crop along the longer side (0 first, 1 centre, 2 last)."""

    clip: int
    crop: int


def views(cfg: CfgNode) -> list[View]:
    """The views of multi-view testing, the crops of a clip next to each other."""
    crops = CROPS[cfg.TEST.NUM_SPATIAL_CROPS]
    return [View(clip, crop) for clip in range(cfg.TEST.NUM_ENSEMBLE_VIEWS) for crop in crops]


def centre_view() -> list[View]:
    """The one view of validation during training."""
    return [View(0, CENTRE)]


def train_indices(length: int, fps: float, cfg: CfgNode, rng: np.random.Generator) -> Indices:
    """Frames of a training clip, at a random place: int64 [NUM_FRAMES]."""
    if cfg.DATA.SAMPLING == "segment":
        first, last = _segment_bounds(length, cfg.DATA.NUM_FRAMES)
        return rng.integers(first, last, endpoint=True)
    step = _dense_step(fps, cfg)
    room = _dense_room(length, step, cfg)
    if cfg.DATA.FRAME_SPACING == "linspace":
        start = rng.uniform(0, room)
    else:
        start = rng.integers(0, int(room), endpoint=True)
    return _dense(length, start, step, cfg)


def test_indices(length: int, fps: float, cfg: CfgNode, clip: int, num_clips: int) -> Indices:
    """Frames of test clip `clip` of `num_clips`, at a fixed place: int64 [NUM_FRAMES]."""
    if cfg.DATA.SAMPLING == "segment":
        first, _ = _segment_bounds(length, cfg.DATA.NUM_FRAMES)
        gap = (length - 1) / cfg.DATA.NUM_FRAMES
        return first + int(gap / (num_clips + 1) * (clip + 1))
    step = _dense_step(fps, cfg)
    room = _dense_room(length, step, cfg)
    if not cfg.DATA.USE_OFFSET_SAMPLING:
        start = room * clip / num_clips
    elif num_clips == 1:
        start = room // 2
    else:
        start = clip * (room // (num_clips - 1))
    return _dense(length, start, step, cfg)


def clip_seconds(fps: float, cfg: CfgNode) -> float:
    """Time between the first and the last frame of a dense clip, in seconds."""
    return (cfg.DATA.NUM_FRAMES - 1) * _dense_step(fps, cfg) / fps


def clip_span(fps: float, cfg: CfgNode) -> float:
    """Source frames that a clip needs, first and last included; a shorter video repeats its last frame."""
    if cfg.DATA.SAMPLING == "segment":
        return float(cfg.DATA.NUM_FRAMES)
    return (cfg.DATA.NUM_FRAMES - 1) * _dense_step(fps, cfg) + 1


def _dense_step(fps: float, cfg: CfgNode) -> float:
    """Distance of neighbouring frames in source frames."""
    if cfg.DATA.TARGET_FPS and fps:
        return cfg.DATA.SAMPLING_RATE * fps / cfg.DATA.TARGET_FPS
    return float(cfg.DATA.SAMPLING_RATE)


def _dense_room(length: int, step: float, cfg: CfgNode) -> float:
    """Source frames that the start of a clip can move over; PySlowFast counts a span of n steps."""
    n = cfg.DATA.NUM_FRAMES
    span = n * step if cfg.DATA.FRAME_SPACING == "linspace" else (n - 1) * step + 1
    return max(length - span, 0.0)


def _dense(length: int, start: float, step: float, cfg: CfgNode) -> Indices:
    n = cfg.DATA.NUM_FRAMES
    if cfg.DATA.FRAME_SPACING == "linspace":
        places = np.linspace(start, start + n * step - 1, n)
    else:
        places = int(start) + np.arange(n) * step
    return np.clip(places, 0, length - 1).astype(np.int64)


def _segment_bounds(length: int, n: int) -> tuple[Indices, Indices]:
    """First and last frame of n equal parts, both inclusive, rounded half to even (TSN, UniFormer)."""
    edges = np.round((length - 1) / n * np.arange(n + 1)).astype(np.int64)
    return edges[:-1], edges[1:]
