"""Small films for a page: frames of a video side by side in one image, played by moving over them.

Shapes: T frames, H W pixels.
"""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from slowfast_ext.config import load_text, options_of
from slowfast_ext.data.decode.source import DecodeOptions, LengthChangedError, VideoSource
from slowfast_ext.data.records import VideoRecord
from slowfast_ext.errors import ConfigError, DataError

logger = logging.getLogger(__name__)

FRAMES = 12
SHORT_SIDE = 96
_WIDEST = 240
_QUALITY = 60


@dataclass(frozen=True)
class Film:
    """An image of `count` frames side by side, each `width` x `height`; length of the video in seconds."""

    image: bytes
    count: int
    width: int
    height: int
    seconds: float

    def payload(self) -> dict[str, Any]:
        """For the page."""
        return dict(vars(self))


def decode_options(run: Path) -> DecodeOptions:
    """How the run read its videos; the defaults where its configuration does not say."""
    path = run / "config.yaml"
    try:
        return options_of(load_text(path.read_text(encoding="utf-8"), str(path)), DecodeOptions)
    except (OSError, ConfigError):
        return DecodeOptions()


def films(
    records: Iterable[VideoRecord], options: DecodeOptions, moved_to: Path | None = None
) -> Iterator[tuple[VideoRecord, Film | None]]:
    """The film of each video; None, with a line in the log, for one that cannot be read."""
    source = VideoSource(options)
    try:
        for record in records:
            try:
                yield record, film(source, _found(record, moved_to))
            except DataError as error:
                logger.info("no film: %s", error)
                yield record, None
    finally:
        source.close()


def film(source: VideoSource, record: VideoRecord) -> Film:
    """FRAMES frames spread evenly over the video. Raises DataError."""
    try:
        frames_THWC, seconds = _read(source, record)
    except LengthChangedError:
        frames_THWC, seconds = _read(source, record)
    pictures = [Image.fromarray(frame) for frame in frames_THWC]
    width, height = _small(*pictures[0].size)
    strip = Image.new("RGB", (width * len(pictures), height))
    for place, picture in enumerate(pictures):
        strip.paste(picture.resize((width, height), Image.Resampling.LANCZOS), (place * width, 0))
    return Film(encoded(strip), len(pictures), width, height, seconds)


def encoded(picture: Image.Image, quality: int = _QUALITY) -> bytes:
    """A picture as WebP."""
    buffer = BytesIO()
    picture.save(buffer, "WEBP", quality=quality, method=4)
    return buffer.getvalue()


def _read(source: VideoSource, record: VideoRecord) -> tuple[np.ndarray, float]:
    info = source.info(record)
    indices = np.linspace(0, info.length - 1, min(FRAMES, info.length)).round().astype(int)
    frames_THWC = source.frames(record, indices.tolist(), SHORT_SIDE).numpy()
    return frames_THWC, info.length / info.fps if info.fps else 0.0


def _small(width: int, height: int) -> tuple[int, int]:
    """Size with a short side of SHORT_SIDE at most, not enlarged."""
    scale = min(1.0, SHORT_SIDE / min(width, height), _WIDEST / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _found(record: VideoRecord, moved_to: Path | None) -> VideoRecord:
    """The record where its file is now: the longest tail of its path that there is below `moved_to`."""
    path = Path(record.path)
    if moved_to is None or path.exists():
        return record
    tails = (moved_to.joinpath(*path.parts[first:]) for first in range(1, len(path.parts)))
    there = next((tail for tail in tails if tail.exists()), None)
    return replace(record, path=str(there)) if there else record
