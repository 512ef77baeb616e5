"""The few PyAV calls that the scan and the PyAV reader share."""

import os
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
from av.container import InputContainer
from av.error import EOFError as EndOfFile
from av.error import FFmpegError
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from slowfast_ext.data.storage import store
from slowfast_ext.errors import DataError

MAX_PIXELS = 2**26
"""Largest frame that is decoded (8192 x 8192): more is damage, or a trap that takes gigabytes for a few bytes."""

_LIMITS = {"max_pixels": str(MAX_PIXELS)}
_MANY_STREAMS = 64

_STRICT = {"mjpeg": {"err_detect": "explode"}}
"""Decoders that fill what is damaged with whatever the memory held before, and do not say so, are to give nothing."""

# Text in a file's tags may be in any encoding; from version 19 on PyAV takes it as it comes.
_ANY_TEXT = {"metadata_errors": "ignore"} if int(av.__version__.split(".")[0]) < 19 else {}


def local_file(path: str) -> str:
    """The path so that FFmpeg takes it for a file, whatever its name: never a protocol, a pipe or a pattern."""
    return os.path.abspath(path)


def open_container(path: str, unprobed: int | None = None) -> InputContainer:
    """An open file, to be closed by the caller. Raises DataError where FFmpeg knows no such format.

    FFmpeg decodes a few frames of each stream to learn about it, except of stream `unprobed`.
    """
    options = [dict(_LIMITS) for _ in range(max(_MANY_STREAMS, (unprobed or 0) + 1))]
    if unprobed is not None:
        options[unprobed]["skip_frame"] = "all"
    try:
        try:
            return _open(path, options)
        except FFmpegError:
            raise
        except ValueError:  # MPEG streams show only in probing: no options for them
            return _open(path, None)
    except (FFmpegError, OSError) as error:
        raise DataError(f"cannot be opened as a video: {describe(error)}") from error


def _open(path: str, stream_options: list[dict[str, str]] | None) -> InputContainer:
    return av.open(  # type: ignore[call-overload]
        store.packed(path) or f"file:{local_file(path)}",
        options={"protocol_whitelist": "file"},
        stream_options=stream_options,
        **_ANY_TEXT,
    )


def best_video_stream(container: InputContainer) -> VideoStream:
    """The stream that players show, ready to decode. Raises DataError where there is none that can be."""
    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream):
        kinds = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
        raise DataError(f"has no video stream (it has {kinds})")
    return _decodable(stream)


def video_stream(container: InputContainer, number: int) -> VideoStream:
    """The stream of that number, ready to decode. Raises DataError where the file has no such one (any more)."""
    stream = container.streams[number] if number < len(container.streams) else None
    if not isinstance(stream, VideoStream):
        raise DataError(f"has no video stream {number}")
    return _decodable(stream)


def _decodable(stream: VideoStream) -> VideoStream:
    """With one decoding thread, and a decoder that refuses frames above MAX_PIXELS."""
    codec: VideoCodecContext | None = stream.codec_context  # None, whatever the stubs say
    if codec is None:
        raise DataError("has a video stream of a codec that FFmpeg does not know")
    if codec.width * codec.height > MAX_PIXELS:
        raise DataError(
            f"has frames of {codec.width}x{codec.height} pixels; at most {MAX_PIXELS} are decoded"
        )
    codec.thread_count = 1
    codec.options = {**codec.options, **_LIMITS, **_STRICT.get(codec.name, {})}
    return stream


def header_frames(path: str) -> int:
    """Frames that a file's header claims; 0 where it does not say. Raises DataError."""
    with open_container(path) as container:
        return best_video_stream(container).frames


def packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet]:
    """Packets of a stream, then the empty one that empties the decoder; ends where a broken file breaks off."""
    demuxed = container.demux(stream)
    while True:
        try:
            packet = next(demuxed)
        except (StopIteration, EndOfFile):
            return
        except FFmpegError as error:
            if isinstance(error, (OSError, MemoryError)):  # the disk's fault: no end of the file
                raise
            yield Packet()
            return
        yield packet


class PacketDecoder:
    """Packets -> frames, passing over the packets that the codec rejects and counting them."""

    def __init__(self, stream: VideoStream) -> None:
        self.codec = stream.codec_context
        self.damaged = 0
        self.reason = ""
        """Why the last rejected packet was."""

    def __call__(self, packet: Packet) -> list[VideoFrame]:
        """The frames that come out after this packet goes in."""
        try:
            return self.codec.decode(packet if packet.size else None)
        except FFmpegError as error:
            if isinstance(error, MemoryError):
                raise
            self.damaged += 1
            self.reason = describe(error)
            return []


def fraction(value: Any) -> Fraction | None:
    """PyAV's rational, of any version, as a Fraction; None for one that is absent or zero."""
    return Fraction(value.numerator, value.denominator) if value else None


def describe(error: BaseException) -> str:
    """FFmpeg's or another library's error in one line, without the path."""
    text = getattr(error, "strerror", None) or str(error).strip().split("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
