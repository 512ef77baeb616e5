"""What copies of videos are made like; imports nothing that takes time, so that a command line can name the defaults."""

from dataclasses import dataclass

from slowfast_ext.errors import DataError

ENCODERS = {"h264": "libx264", "h265": "libx265", "vp9": "libvpx-vp9"}
"""Codec -> the encoder of FFmpeg."""


@dataclass(frozen=True)
class Recipe:
    """Short side [px] (smaller videos keep their size), frames from key frame to key frame, codec,
    constant quality (lower is better and larger)."""

    short_side: int = 256
    gop: int = 12
    codec: str = "h264"
    crf: int = 20

    def __post_init__(self) -> None:
        if self.codec not in ENCODERS:
            raise DataError(f"codec '{self.codec}' is not one of {', '.join(ENCODERS)}")
