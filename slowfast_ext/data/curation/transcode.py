"""Smaller, quickly seekable copies of videos: short side, key frame distance and codec of one's choice.

A copy has the same frames at the same times as its source, upright, without sound. It appears under its
name only when it is whole and its frames have been counted, so an interrupted run goes on where it stopped.
"""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import partial
from typing import cast

import av
import numpy as np

from slowfast_ext.data.annotations.text import read_json
from slowfast_ext.data.curation.parallel import run_jobs
from slowfast_ext.data.curation.recipe import ENCODERS, Recipe
from slowfast_ext.data.decode.ffmpeg import best_video_stream, open_container
from slowfast_ext.data.decode.orientation import Orientation, orientation_of
from slowfast_ext.data.decode.watchdog import Watchdog
from slowfast_ext.errors import DataError

OPTIONS: dict[str, dict[str, str]] = {
    "h264": {},
    "h265": {"x265-params": "log-level=none"},
    "vp9": {"b": "0"},
}
RECIPE_FILE = "transcode.json"
TIME_BASE = Fraction(1, 90000)
FALLBACK_FPS = 25
LONGEST_SECONDS = 3600.0


@dataclass(frozen=True)
class Copy:
    """A file to transcode and where to; equal sources lead to equal targets."""

    source: str
    target: str


@dataclass(frozen=True)
class Outcome:
    """Frames of a copy, or why there is none."""

    num_frames: int = 0
    error: str = ""


def plan(paths: Sequence[str], root: str, out: str, recipe: Recipe) -> list[Copy]:
    """Copies that are still to be made: paths below `root` to the same path below `out`, as mp4.

    Raises DataError where `out` holds copies of another recipe.
    """
    _claim(out, recipe)
    targets = {path: _target(path, root, out) for path in dict.fromkeys(paths)}
    by_target: dict[str, str] = {}
    for path, target in targets.items():
        if by_target.setdefault(target, path) != path:
            raise DataError(f"{path} and {by_target[target]} would both become {target}")
    return [Copy(path, target) for path, target in targets.items() if not os.path.exists(target)]


def _target(path: str, root: str, out: str) -> str:
    relative = os.path.relpath(path, root)
    if relative.startswith(os.pardir):
        raise DataError(f"{path} is not below DATA.PATH_PREFIX '{root}', so its copy has no path")
    return os.path.join(out, os.path.splitext(relative)[0] + ".mp4")


def _claim(out: str, recipe: Recipe) -> None:
    path = os.path.join(out, RECIPE_FILE)
    try:
        os.makedirs(out, exist_ok=True)
        if not os.path.exists(path):
            with open(path, "w", encoding="utf-8") as file:
                json.dump(asdict(recipe), file)
    except OSError as error:
        raise DataError(f"{out}: cannot be written to: {error.strerror}") from error
    there = read_json(path)
    if there != asdict(recipe):
        raise DataError(
            f"{out} holds copies made with {there}; choose another folder, or the same values"
        )


def transcode_all(
    copies: Sequence[Copy], recipe: Recipe, workers: int, limit_seconds: float = LONGEST_SECONDS
) -> Iterator[tuple[Copy, Outcome]]:
    """Make the copies in `workers` processes that may crash, or be ended at `limit_seconds` a copy.

    A source that cannot be read gives its error.
    """
    yield from run_jobs(partial(_make_work, recipe, limit_seconds), copies, workers)


def _make_work(recipe: Recipe, limit_seconds: float) -> Callable[[Copy], Outcome]:
    return partial(_outcome, recipe=recipe, watchdog=Watchdog(limit_seconds))


def _outcome(copy: Copy, recipe: Recipe, watchdog: Watchdog) -> Outcome:
    try:
        return Outcome(watchdog.call(transcode, copy.source, copy.target, recipe))
    except DataError as error:
        reason = str(error).removeprefix(f"{copy.source}: ")
        return Outcome(error=f"{copy.source}: {reason}")


def transcode(source: str, target: str, recipe: Recipe) -> int:
    """Copy one video, give the number of its frames. Raises DataError where that fails.

    Every frame of the source must decode, and the copy must have as many.
    """
    os.makedirs(os.path.dirname(target) or ".", exist_ok=True)
    folder, name = os.path.split(target)
    partial_file = os.path.join(folder, f".{name}.{os.getpid()}.part")
    try:
        num_frames = _encode(source, partial_file, recipe)
        copied = sum(1 for _ in decoded_frames(partial_file))
        if copied != num_frames:
            raise DataError(f"has {num_frames} frames, its copy {copied}")
        os.replace(partial_file, target)
    except (DataError, av.FFmpegError, OSError) as error:
        raise DataError(f"{source}: cannot be transcoded: {error}") from error
    finally:
        if os.path.exists(partial_file):
            os.remove(partial_file)
    return num_frames


def decoded_frames(path: str) -> Iterator[av.VideoFrame]:
    """All frames of a file, in order. Raises DataError for a file without a video stream."""
    with open_container(path) as container:
        yield from container.decode(best_video_stream(container))


def _encode(source: str, path: str, recipe: Recipe) -> int:
    with open_container(source) as container, av.open(path, "w", format="mp4") as output:
        stream = best_video_stream(container)
        encoder = None
        clock = Clock(stream.average_rate or FALLBACK_FPS)
        for frame in container.decode(stream):
            picture = upright(frame)
            if encoder is None:
                encoder = _add_stream(output, picture, clock.fps, recipe)
            scaled = picture.reformat(
                encoder.width, encoder.height, "yuv420p", interpolation="BICUBIC"
            )
            scaled.pts, scaled.time_base = clock.ticks(frame), TIME_BASE
            output.mux(encoder.encode(scaled))
        if encoder is None:
            raise DataError("has no frames")
        output.mux(encoder.encode())
    return clock.num_frames


class Clock:
    """Times of the copy's frames: those of the source from 0 on, each later than the one before."""

    def __init__(self, fps: Fraction | int) -> None:
        self.fps = fps
        self.num_frames = 0
        self._start: float | None = None
        self._last = -1

    @property
    def started(self) -> float:
        """Time of the first frame in the source, in seconds."""
        return self._start or 0.0

    def ticks(self, frame: av.VideoFrame) -> int:
        """Time of the next frame in TIME_BASE; by the frame rate where the source has no times."""
        time = self.num_frames / float(self.fps) if frame.time is None else frame.time
        self._start = time if self._start is None else self._start
        self._last = max(round((time - self._start) / TIME_BASE), self._last + 1)
        self.num_frames += 1
        return self._last


def _add_stream(
    output: av.container.OutputContainer,
    picture: av.VideoFrame,
    fps: Fraction | int,
    recipe: Recipe,
) -> av.VideoStream:
    stream = cast(av.VideoStream, output.add_stream(ENCODERS[recipe.codec], rate=fps))
    stream.width, stream.height = _even_size(picture.width, picture.height, recipe.short_side)
    stream.pix_fmt = "yuv420p"
    stream.time_base = stream.codec_context.time_base = TIME_BASE
    stream.codec_context.gop_size = recipe.gop
    stream.thread_count = 1
    stream.options = {"crf": str(recipe.crf), **OPTIONS[recipe.codec]}
    return stream


def _even_size(width: int, height: int, short_side: int) -> tuple[int, int]:
    """Width and height with the short side as asked, even, never larger than before."""
    scale = min(1.0, short_side / min(width, height))
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)


def upright(frame: av.VideoFrame) -> av.VideoFrame:
    """The frame as a player shows it: its display matrix applied to the pixels."""
    orientation = orientation_of(frame)
    if orientation == Orientation():
        return frame
    shown_HWC = orientation.upright(frame.to_ndarray(format="rgb24"))
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(shown_HWC), format="rgb24")
