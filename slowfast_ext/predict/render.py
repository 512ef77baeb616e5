"""A copy of a video with what it was taken for drawn on it; made in the decoders' own process.

Shapes: H W pixels.
"""

import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from PIL import Image, ImageDraw, ImageFont

from slowfast_ext.data.curation.transcode import FALLBACK_FPS, TIME_BASE, Clock, upright
from slowfast_ext.data.decode.ffmpeg import PacketDecoder, best_video_stream, open_container
from slowfast_ext.errors import DataError

SUFFIXES = (".mp4", ".mkv", ".mov")
COPIED_SOUND = ("aac", "mp3", "ac3", "eac3", "opus", "alac")
"""What any of the containers can hold as it is."""


class Caption(NamedTuple):
    """What stands on the frames before `end` [s]: lines of text, each with a share [0, 1] for its bar."""

    end: float
    lines: tuple[tuple[str, float], ...]


def render(source: str, target: str, captions: Sequence[Caption]) -> str:
    """Write the copy: same size, frames and times, sound copied. Returns a note on what could not be kept.

    The file appears under its name when it is whole. Raises DataError.
    """
    if Path(target).suffix.lower() not in SUFFIXES:
        raise DataError(f"{target}: is written as one of {', '.join(SUFFIXES)}")
    folder, name = os.path.split(target)
    stem, suffix = os.path.splitext(name)
    partial = os.path.join(folder, f".{stem}.{os.getpid()}.part{suffix}")
    try:
        os.makedirs(folder or ".", exist_ok=True)
        with open_container(source) as container, av.open(partial, "w") as output:
            note = _copy(container, output, captions)
        os.replace(partial, target)
    except (av.FFmpegError, OSError) as error:
        raise DataError(str(error)) from error
    finally:
        if os.path.exists(partial):
            os.remove(partial)
    return note


def _copy(container: InputContainer, output: OutputContainer, captions: Sequence[Caption]) -> str:
    stream = best_video_stream(container)
    sound = container.streams.audio[0] if container.streams.audio else None
    copied, note = None, ""
    codec = sound.codec_context.codec.canonical_name if sound is not None else ""
    if sound is not None and codec in COPIED_SOUND:
        copied = output.add_stream_from_template(sound)
    elif sound is not None:
        note = f"its sound ({codec}) is left out"
    clock = Clock(stream.average_rate or FALLBACK_FPS)
    decode, encoder, waiting = PacketDecoder(stream), None, []
    label = None
    for packet in container.demux(*(s for s in (stream, sound if copied else None) if s)):
        if packet.stream is not stream:
            waiting.append(packet)
            continue
        for frame in decode(packet):
            frame.time_base = stream.time_base  # a bare codec does not know it
            picture = upright(frame)
            if encoder is None or label is None:
                encoder = _add_stream(output, picture, clock.fps)
                if picture is frame and stream.sample_aspect_ratio:
                    encoder.codec_context.sample_aspect_ratio = stream.sample_aspect_ratio
                label = _Label(picture.width, picture.height)
            ticks = clock.ticks(frame)
            drawn = av.VideoFrame.from_ndarray(
                label.drawn(picture.to_ndarray(format="rgb24"), _at(captions, ticks * TIME_BASE)),
                format="rgb24",
            ).reformat(format=encoder.pix_fmt)
            drawn.pts, drawn.time_base = ticks, TIME_BASE
            output.mux(encoder.encode(drawn))
        if encoder is not None:
            _mux_sound(output, waiting, copied, clock.started)
    if encoder is None:
        raise DataError("has no frames")
    output.mux(encoder.encode())
    _mux_sound(output, waiting, copied, clock.started)
    return note


def _add_stream(
    output: OutputContainer, picture: av.VideoFrame, fps: Fraction | int
) -> av.VideoStream:
    stream = output.add_stream("libx264", rate=fps)
    stream.width, stream.height = picture.width, picture.height
    odd = picture.width % 2 or picture.height % 2
    stream.pix_fmt = "yuv444p" if odd else "yuv420p"
    stream.time_base = stream.codec_context.time_base = TIME_BASE
    stream.thread_count = 1
    stream.options = {"crf": "18", "preset": "veryfast"}
    return stream


def _mux_sound(
    output: OutputContainer, waiting: list[Packet], stream: av.AudioStream | None, started: float
) -> None:
    """Sound on the clock of the frames, which starts at 0; what is heard before the first frame is left out."""
    for packet in waiting:
        if stream is None or packet.dts is None or packet.pts is None or packet.time_base is None:
            continue
        shift = round(Fraction(started) / packet.time_base)
        packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
        if packet.pts >= 0:
            packet.stream = stream
            output.mux(packet)
    waiting.clear()


def _at(captions: Sequence[Caption], seconds: Fraction) -> Caption | None:
    return next((c for c in captions if seconds < c.end), captions[-1] if captions else None)


class _Label:
    """Draws a caption into the upper left corner of frames of one size; the last box is kept."""

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        size = max(9, min(height // 18, width // 22))
        self.font = ImageFont.truetype(_font_file(), size)
        self.pad, self.line = size // 2, round(size * 1.35)
        self._box: tuple[Caption, Image.Image] | None = None

    def drawn(self, frame_HWC: np.ndarray, caption: Caption | None) -> np.ndarray:
        """The frame with the caption on a darkened box."""
        if caption is None or not caption.lines:
            return frame_HWC
        if self._box is None or self._box[0] is not caption:
            self._box = caption, self._made(caption)
        image = Image.fromarray(frame_HWC)
        image.paste(self._box[1], (self.pad, self.pad), self._box[1])
        return np.asarray(image)

    def _made(self, caption: Caption) -> Image.Image:
        room = self.width - 4 * self.pad
        lines = [(self._fitting(text, room), share) for text, share in caption.lines]
        wide = min(room, max(int(self.font.getlength(text)) for text, _ in lines))
        size = wide + 2 * self.pad, len(lines) * self.line + self.pad
        box = Image.new("RGBA", size, (0, 0, 0, 150))
        draw = ImageDraw.Draw(box)
        for number, (text, share) in enumerate(lines):
            top = self.pad // 2 + number * self.line
            bar = round(size[0] * min(1.0, max(0.0, share)))
            draw.rectangle((0, top, bar, top + self.line - 2), fill=(40, 120, 200, 190))
            draw.text((self.pad, top), text, font=self.font, fill="white")
        return box

    def _fitting(self, text: str, room: int) -> str:
        while len(text) > 2 and self.font.getlength(text) > room:
            text = text[:-2] + "…"
        return text


def _font_file() -> str:
    import matplotlib

    return os.path.join(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf")
