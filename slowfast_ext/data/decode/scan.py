"""File -> VideoIndex. Packets tell nearly everything in milliseconds; where they do not, frames are decoded and counted.

Packets are believed in MP4 and Matroska when every visible packet has its own time stamp, the
stream starts with a key frame that nothing precedes, no packet is broken and the header claims no other
number. Everything else (AVI, MPEG, GIF, cut and damaged files, VP8 with its hidden packets)
is decoded once, and the index is saved.
"""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

from av.container import InputContainer
from av.packet import Packet
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

from slowfast_ext.data.decode.ffmpeg import (
    PacketDecoder,
    best_video_stream,
    fraction,
    open_container,
    packets,
)
from slowfast_ext.data.decode.index import VideoIndex, frame_rate
from slowfast_ext.data.decode.orientation import orientation_of
from slowfast_ext.errors import DataError

STAMPED_CONTAINERS = ("mov", "matroska")
HIDDEN_PACKET_CODECS = ("vp8",)
DECORD_CODECS = ("h264", "hevc", "mpeg4", "vp8", "vp9")
DECORD_PIXELS = ("yuv420p", "yuvj420p")


class Stamp(NamedTuple):
    """What one packet says of its frame."""

    pts: int | None
    is_key: bool
    is_discarded: bool
    is_corrupt: bool


@dataclass
class FrameTrace:
    """What decoding showed."""

    pts: list[int | None] = field(default_factory=list)
    first: VideoFrame | None = None
    has_b_frames: bool = False

    def add(self, frames: Iterable[VideoFrame]) -> None:
        """Note the next frames."""
        for frame in frames:
            self.first = self.first or frame
            self.pts.append(frame.pts)
            self.has_b_frames |= frame.pict_type == PictureType.B


def scan_video(path: str, count: bool = False) -> VideoIndex:
    """Index of a video file. `count` decodes every frame whatever the packets say.

    Raises DataError for a file without a frame that can be decoded.
    """
    if not count:
        index = _scan(path, count=False)
        if index is not None:
            return index
    index = _scan(path, count=True)
    assert index is not None
    return index


def _scan(path: str, count: bool) -> VideoIndex | None:
    """The index, or None where packets do not suffice and `count` is false."""
    with open_container(path) as container:
        stream = best_video_stream(container)
        stamps, trace, decode = _trace(container, stream, every_frame=count)
        first, damaged = trace.first, decode.damaged
        if first is None:
            why = f", {decode.reason}" if decode.reason else ""
            raise DataError(f"has no frame that can be decoded ({len(stamps)} packets{why})")
        if count:
            return _counted_index(container, stream, stamps, trace, first, damaged)
        if damaged or not _packets_tell(container, stream, stamps, first):
            return None
        pts = tuple(sorted(_known(s for s in stamps if not s.is_discarded)))
        return _index(container, stream, stamps, first, pts)


def _trace(
    container: InputContainer, stream: VideoStream, every_frame: bool
) -> tuple[list[Stamp], FrameTrace, PacketDecoder]:
    """All packets' stamps, and the frames: all of them or up to the first."""
    stamps, trace, decode = [], FrameTrace(), PacketDecoder(stream)
    for packet in packets(container, stream):
        if packet.size:
            stamps.append(_stamp(packet))
        if every_frame or trace.first is None:
            trace.add(decode(packet))
    return stamps, trace, decode


def _stamp(packet: Packet) -> Stamp:
    return Stamp(packet.pts, packet.is_keyframe, packet.is_discard, packet.is_corrupt)


def _known(stamps: Iterable[Stamp]) -> Iterator[int]:
    return (stamp.pts for stamp in stamps if stamp.pts is not None)


def _packets_tell(
    container: InputContainer, stream: VideoStream, stamps: list[Stamp], first: VideoFrame
) -> bool:
    """Whether each visible packet is one frame, known by its stamp."""
    visible = [s.pts for s in stamps if not s.is_discarded]
    return (
        _is_stamped(container)
        and stream.codec_context.name not in HIDDEN_PACKET_CODECS
        and None not in visible
        and len(set(visible)) == len(visible)
        and first.pts == min(_known(s for s in stamps if not s.is_discarded), default=None)
        and stamps[0].is_key
        and stamps[0].pts == min(_known(stamps))
        and not any(s.is_corrupt for s in stamps)
        and stream.frames in (0, len(stamps))
    )


def _is_stamped(container: InputContainer) -> bool:
    return container.format.name.split(",")[0] in STAMPED_CONTAINERS


def _counted_index(
    container: InputContainer,
    stream: VideoStream,
    stamps: list[Stamp],
    trace: FrameTrace,
    first: VideoFrame,
    damaged: int,
) -> VideoIndex:
    """Index from the frames that came. Their stamps serve seeking only where they are surely right."""
    shown = [pts for pts in trace.pts if pts is not None]
    guessed_stamps = trace.has_b_frames and not _is_stamped(container)
    seekable = (
        not damaged
        and not guessed_stamps
        and len(shown) == len(trace.pts)
        and set(shown) <= {s.pts for s in stamps}
        and all(a < b for a, b in itertools.pairwise(shown))
    )
    pts = tuple(shown) if seekable else tuple(range(len(trace.pts)))
    time_base = None if seekable else 1 / _declared_rate(stream)
    return _index(
        container,
        stream,
        stamps,
        first,
        pts,
        time_base,
        counted=True,
        seekable=seekable,
        damaged=damaged,
    )


def _declared_rate(stream: VideoStream) -> Fraction:
    return fraction(stream.average_rate) or fraction(stream.base_rate) or Fraction(25)


def _index(
    container: InputContainer,
    stream: VideoStream,
    stamps: list[Stamp],
    first: VideoFrame,
    pts: tuple[int, ...],
    time_base: Fraction | None = None,
    counted: bool = False,
    seekable: bool = True,
    damaged: int = 0,
) -> VideoIndex:
    time_base = time_base or fraction(stream.time_base) or Fraction(1, 90000)
    orientation = orientation_of(first)
    height, width = first.height, first.width
    return VideoIndex(
        pts=pts,
        keys=tuple(sorted(_known(s for s in stamps if s.is_key))) if seekable else (),
        time_base=(time_base.numerator, time_base.denominator),
        fps=frame_rate(pts, time_base, fraction(stream.average_rate)),
        height=width if orientation.lies else height,
        width=height if orientation.lies else width,
        container=container.format.name.split(",")[0],
        codec=stream.codec_context.codec.canonical_name,
        pix_fmt=first.format.name,
        rotation=90 * orientation.turns,
        mirrored=orientation.mirrored,
        stream=stream.index,
        seekable=seekable,
        decord_exact=seekable
        and len(pts) == len(stamps)
        and stream.frames in (0, len(stamps))
        and len(container.streams.video) == 1
        and first.format.name in DECORD_PIXELS
        and not orientation.mirrored
        and first.height % 2 == first.width % 2 == 0
        and stream.codec_context.codec.canonical_name in DECORD_CODECS
        and _groups_are_closed(stamps),
        counted=counted,
        damaged=damaged,
    )


def _groups_are_closed(stamps: list[Stamp]) -> bool:
    """No frame shown before a key frame is stored after it (an open group of pictures)."""
    last_key = None
    for stamp in stamps:
        if stamp.is_key:
            last_key = stamp.pts
        elif last_key is None or stamp.pts is None or stamp.pts < last_key:
            return False
    return True
