"""Windows that slide over a video, by seconds or by frames."""

from collections.abc import Callable
from dataclasses import dataclass

from slowfast_ext.data.decode.index import VideoIndex
from slowfast_ext.data.decode.piece import piece_of
from slowfast_ext.data.records import VideoRecord
from slowfast_ext.errors import ConfigError


@dataclass(frozen=True)
class Window:
    """Some frames of a video, and when they are shown, in seconds from its first frame on."""

    frames: range
    start: float
    end: float


Plan = Callable[[VideoIndex], list[Window]]
"""The windows of a video."""


def by_seconds(window: float, stride: float) -> Plan:
    """A window every `stride` seconds as long as it ends inside the video, then one that ends where the video does.

    A video that is shorter is one window. Each has the frames that a list's `start` and `end` would cut out.
    """
    require_positive(window, stride)

    def plan(index: VideoIndex) -> list[Window]:
        seconds, slack = index.duration, 0.5 / index.fps
        if seconds <= window + slack:
            return [Window(range(len(index)), 0.0, seconds)]
        count = int((seconds - window + slack) / stride) + 1
        starts = [round(number * stride, 6) for number in range(count)]
        if starts[-1] + window < seconds - slack:
            starts.append(round(seconds - window, 6))
        return [_cut(index, start, start + window) for start in starts]

    return plan


def by_frames(window: int, stride: int) -> Plan:
    """The same with `window` frames every `stride` frames; the last is not moved back but left out."""
    require_positive(window, stride)

    def plan(index: VideoIndex) -> list[Window]:
        first = range(0, max(1, len(index) - window + 1), stride)
        pieces = [range(start, min(start + window, len(index))) for start in first]
        return [Window(piece, *_times(index, piece)) for piece in pieces]

    return plan


def require_positive(window: float, stride: float) -> None:
    """Raises ConfigError for lengths that are none."""
    for name, value in (("window", window), ("stride", stride)):
        if not value > 0:
            raise ConfigError(f"{name} = {value:g}: must be more than 0")


def _cut(index: VideoIndex, start: float, end: float) -> Window:
    record = VideoRecord("", (), "", start=start, end=end)
    return Window(piece_of(record, index), start, round(end, 6))


def _times(index: VideoIndex, piece: range) -> tuple[float, float]:
    """From the first frame's beginning to that of the frame behind the last."""
    behind = index.duration if piece.stop >= len(index) else index.seconds(piece.stop)
    return index.seconds(piece.start), behind
