"""The index of a video: what is really in the file, and which reader may be trusted with it."""

import bisect
import math
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

from slowfast_ext.data.decode.orientation import Orientation


@dataclass(frozen=True, slots=True)
class VideoIndex:
    """Facts of one file or folder of images. Times of frames are counted from the first one.

    `pts` has one time stamp for each frame that can be decoded, in the order of showing; for a
    folder, the image numbers. `keys` are the stamps of key frames, where decoding may start.
    """

    pts: tuple[int, ...]
    keys: tuple[int, ...]
    time_base: tuple[int, int]
    fps: float
    height: int
    width: int
    container: str
    codec: str
    pix_fmt: str = ""
    rotation: int = 0
    """Degrees (0, 90, 180, 270), counter-clockwise, that the stored picture is turned by; height and width are after it."""
    mirrored: bool = False
    """The stored picture is mirrored left to right before it is turned."""
    stream: int = 0
    seekable: bool = True
    """The stamps name the frames: false where the container's stamps are absent or wrong."""
    decord_exact: bool = False
    counted: bool = False
    """Frames were counted by decoding all of them, because packets did not tell."""
    damaged: int = 0
    """Packets that the codec rejects; their frames are not in `pts`."""
    template: str = ""
    """How the images of a folder are named; empty for a video."""
    failed: tuple[str, ...] = ()
    """Readers that failed on the file: not asked again."""

    def __len__(self) -> int:
        return len(self.pts)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width as shown."""
        return self.height, self.width

    @property
    def orientation(self) -> Orientation:
        """How the stored picture is turned and mirrored to be shown."""
        return Orientation(self.rotation // 90, self.mirrored)

    @property
    def duration(self) -> float:
        """Seconds from the first frame's start to the last one's end."""
        return self.seconds(len(self) - 1) + 1 / self.fps

    def seconds(self, frame: int) -> float:
        """When a frame is shown, from the first frame on."""
        return float((self.pts[frame] - self.pts[0]) * Fraction(*self.time_base))

    def frame_at(self, seconds: float) -> int:
        """First frame shown at or after a time; `len(self)` after the end."""
        # 0.4 as a float lies a little above 2/5: the nearest simple fraction is what was meant.
        exact = Fraction(seconds).limit_denominator(10**6)
        ticks = math.ceil(exact / Fraction(*self.time_base))
        return bisect.bisect_left(self.pts, self.pts[0] + ticks)

    def key_before(self, frame: int) -> int | None:
        """Stamp of the last key frame shown at or before a frame; frames shown from it on need nothing earlier."""
        position = bisect.bisect_right(self.keys, self.pts[frame])
        return self.keys[position - 1] if position else None

    def to_json(self) -> dict[str, Any]:
        """Plain lists and numbers."""
        return asdict(self)

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> "VideoIndex":
        """The inverse of `to_json`."""
        lists = ("pts", "keys", "time_base", "failed")
        return cls(**{**facts, **{name: tuple(facts[name]) for name in lists if name in facts}})


def frame_rate(pts: tuple[int, ...], time_base: Fraction, declared: Fraction | None) -> float:
    """Frames a second: the header's claim where the stamps agree within 1 %, else what they say."""
    span = (pts[-1] - pts[0]) * time_base
    if span <= 0:
        return float(declared or 1)
    measured = (len(pts) - 1) / span
    if declared and abs(declared - measured) <= measured / 100:
        return float(declared)
    return float(measured)
