"""The few PyAV calls that the scan and the PyAV reader share."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
from av.container import InputContainer
from av.error import EOFError as EndOfFile
from av.error import FFmpegError, InvalidDataError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from slowfast_ext.data.storage import store
from slowfast_ext.errors import DataError

# Text in a file's tags may be in any encoding; from version 19 on PyAV takes it as it comes.
_ANY_TEXT = {"metadata_errors": "ignore"} if int(av.__version__.split(".")[0]) < 19 else {}


def open_container(path: str, unprobed: int | None = None) -> InputContainer:
    """An open file, to be closed by the caller. Raises DataError where FFmpeg knows no such format.

    FFmpeg decodes a few frames of each stream to learn about it, except of stream `unprobed`.
    """
    options: list[dict[str, str]] | None = None
    if unprobed is not None:
        options = [*({} for _ in range(unprobed)), {"skip_frame": "all"}]
    try:
        media = store.packed(path) or path
        return av.open(media, stream_options=options, **_ANY_TEXT)  # type: ignore[call-overload]
    except (FFmpegError, OSError) as error:
        raise DataError(f"cannot be opened as a video: {describe(error)}") from error


def best_video_stream(container: InputContainer) -> VideoStream:
    """The stream that players show, with one decoding thread. Raises DataError where there is none."""
    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream):
        kinds = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
        raise DataError(f"has no video stream (it has {kinds})")
    stream.codec_context.thread_count = 1
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
        except InvalidDataError:
            yield Packet()
            return
        yield packet


class PacketDecoder:
    """Packets -> frames, passing over the packets that the codec rejects and counting them."""

    def __init__(self, stream: VideoStream) -> None:
        self.codec = stream.codec_context
        self.damaged = 0

    def __call__(self, packet: Packet) -> list[VideoFrame]:
        """The frames that come out after this packet goes in."""
        try:
            return self.codec.decode(packet if packet.size else None)
        except InvalidDataError:
            self.damaged += 1
            return []


def fraction(value: Any) -> Fraction | None:
    """PyAV's rational, of any version, as a Fraction; None for one that is absent or zero."""
    return Fraction(value.numerator, value.denominator) if value else None


def describe(error: BaseException) -> str:
    """FFmpeg's or another library's error in one line, without the path."""
    text = getattr(error, "strerror", None) or str(error).strip().split("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
