"""Which frames and which views: pure functions of length, frame rate, options and generator.

All indices are 0-based, sorted and inside the video; a clip longer than the video repeats the
last frame. `length` is the number of frames of the (trimmed) video, `fps` its frame rate.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slowfast_ext.options import Options, option, section


@section("DATA", "Videos, clips and views")
@dataclass(frozen=True)
class SamplingOptions(Options):
    """Which frames of a video make a clip."""

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
    test_clips: str = option(
        "spread",
        "where several test clips lie: spread over the video, or on VideoMAE's grid (dense: every SAMPLING_RATE-th frame of the video; segment: InternVideo2 on Something-Something too); parts: XViT's of segment, the middle of each part, its first frame, its last",
        choices=("spread", "grid", "parts"),
    )
    sampling_share: float = option(
        0.0,
        "distance of a dense clip's frames as a share of the one that spreads it over the whole video (1.0), whatever its "
        "length; 0: SAMPLING_RATE",
        low=0,
        high=1,
    )


@section("TEST", "Multi-view testing")
@dataclass(frozen=True)
class ViewOptions(Options):
    """How many views of a video are tested."""

    num_ensemble_views: int = option(10, "clips in time per video", unit="clips", low=1)
    num_spatial_crops: int = option(
        3,
        "crops per clip along the side with more room; 1: centre",
        unit="crops",
        choices=(1, 2, 3),
    )


Indices = NDArray[np.int64]

CENTRE = 1
CROPS = {1: (CENTRE,), 2: (0, 2), 3: (0, CENTRE, 2)}


@dataclass(frozen=True, slots=True)
class View:
    """One look at a video: clip number in time, crop along the side with more room (0 first, 1 centre, 2 last)."""

    clip: int
    crop: int


def views(options: ViewOptions) -> list[View]:
    """The views of multi-view testing, the crops of a clip next to each other."""
    crops = CROPS[options.num_spatial_crops]
    return [View(clip, crop) for clip in range(options.num_ensemble_views) for crop in crops]


def centre_view() -> list[View]:
    """The one view of validation during training."""
    return [View(0, CENTRE)]


def train_indices(
    length: int, fps: float, options: SamplingOptions, rng: np.random.Generator
) -> Indices:
    """Frames of a training clip that starts at random: int64 [num_frames]."""
    if options.sampling == "segment":
        first, last = _segment_bounds(length, options.num_frames)
        return rng.integers(first, last, endpoint=True)
    step = _dense_step(length, fps, options)
    room = _dense_room(length, step, options)
    if options.frame_spacing == "linspace":
        start = rng.uniform(0, room)
    else:
        start = int(rng.integers(0, int(room), endpoint=True))
    return _dense(length, start, step, options)


def test_indices(
    length: int, fps: float, options: SamplingOptions, clip: int, num_clips: int
) -> Indices:
    """Frames of test clip `clip` of `num_clips`, spread evenly: int64 [num_frames]."""
    if options.test_clips == "grid" and num_clips > 1:
        return _on_grid(length, fps, options, clip, num_clips)
    if options.sampling == "segment" and options.test_clips == "parts":
        first, last = _segment_bounds(length, options.num_frames)
        return ((first + last) // 2, first, last)[clip]
    if options.sampling == "segment":
        first, _ = _segment_bounds(length, options.num_frames)
        gap = (length - 1) / options.num_frames
        return first + int(gap / (num_clips + 1) * (clip + 1))
    step = _dense_step(length, fps, options)
    room = _dense_room(length, step, options)
    if not options.use_offset_sampling:
        start = room * clip / num_clips
    elif num_clips == 1:
        start = room // 2
    else:
        start = clip * (room // (num_clips - 1))
    return _dense(length, start, step, options)


def _on_grid(
    length: int, fps: float, options: SamplingOptions, clip: int, num_clips: int
) -> Indices:
    """VideoMAE's test clips.

    Segment: the same share of every part. Dense: clips of a list of every SAMPLING_RATE-th frame from the first on,
    its last repeated for short videos.
    """
    n = options.num_frames
    if options.sampling == "segment":
        part = length / n
        return (clip * part / num_clips + part * np.arange(n)).astype(np.int64)
    listed = np.arange(0, length, _dense_step(length, fps, options)).astype(np.int64)
    start = int(clip * (max(len(listed) - n, 0) / (num_clips - 1)))
    return listed[np.minimum(start + np.arange(n), len(listed) - 1)]


def clip_seconds(fps: float, options: SamplingOptions) -> float:
    """Time between the first and the last frame of a dense clip of a fixed SAMPLING_RATE, in seconds."""
    return (options.num_frames - 1) * _dense_step(0, fps, options) / fps


def clip_span(fps: float, options: SamplingOptions) -> float:
    """Source frames that a clip needs, first and last included; a shorter video repeats its last frame."""
    if options.sampling == "segment" or options.sampling_share:
        return float(options.num_frames)
    return (options.num_frames - 1) * _dense_step(0, fps, options) + 1


def _dense_step(length: int, fps: float, options: SamplingOptions) -> float:
    """Distance of neighbouring frames in source frames."""
    if options.sampling_share:
        return options.sampling_share * length / options.num_frames
    if options.target_fps and fps:
        return options.sampling_rate * fps / options.target_fps
    return float(options.sampling_rate)


def _dense_room(length: int, step: float, options: SamplingOptions) -> float:
    """Source frames that the start of a clip can move over; PySlowFast counts a span of n steps."""
    n = options.num_frames
    span = n * step if options.frame_spacing == "linspace" else (n - 1) * step + 1
    return max(length - span, 0.0)


def _dense(length: int, start: float, step: float, options: SamplingOptions) -> Indices:
    n = options.num_frames
    if options.frame_spacing == "linspace":
        positions: NDArray[Any] = np.linspace(start, start + n * step - 1, n)
    else:
        positions = int(start) + np.arange(n) * step
    return np.minimum(positions, length - 1).astype(np.int64)


def _segment_bounds(length: int, n: int) -> tuple[Indices, Indices]:
    """First and last frame of n equal parts, both inclusive, rounded half to even (TSN, UniFormer)."""
    edges = np.round((length - 1) / n * np.arange(n + 1)).astype(np.int64)
    return edges[:-1], edges[1:]
