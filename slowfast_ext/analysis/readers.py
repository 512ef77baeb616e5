"""Which video reader reads which codec on this machine: small files are written, and read by each reader."""

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np

from slowfast_ext.analysis.machine import BAD, NOTE, OK, Finding
from slowfast_ext.data.decode.base import DECODERS, Frames, read_frames
from slowfast_ext.data.decode.scan import scan_video
from slowfast_ext.data.decode.watchdog import Watchdog
from slowfast_ext.errors import DataError
from slowfast_ext.processes import kept_priority

CODECS: dict[str, tuple[str, str, dict[str, str]]] = {
    "h264": ("libx264", ".mp4", {}),
    "hevc": ("libx265", ".mp4", {"x265-params": "log-level=none"}),
    "vp9": ("libvpx-vp9", ".webm", {}),
    "av1": ("libsvtav1", ".mp4", {}),
    "mpeg4": ("mpeg4", ".avi", {}),
}
"""Codec -> the encoder that writes the file, its suffix and options."""

LIMIT_S = 60.0
CLIP = 16


def readers(folder: Path, codecs: Sequence[str] = tuple(CODECS)) -> Iterator[Finding]:
    """One line a reader: the codecs of which it gives the frames that a sequential read gives."""
    files = {}
    for codec in codecs:
        path = _written(folder, codec)
        if path is None:
            yield Finding(
                "readers", NOTE, f"{codec} is not tried: there is no encoder to make a test file"
            )
        else:
            files[codec] = path
    for name in DECODERS.names():
        reader = DECODERS.get(name)
        if not reader.guarded:  # images, not videos
            continue
        if reader.missing():
            if name == "pyav":
                yield Finding(name, BAD, "not installed", reader.missing())
            continue
        yield _read_by(name, files)


def decode(folder: Path, name: str = "pyav") -> Finding:
    """Time of reading 16 frames of a 10 s video of 340 x 256, opening included."""
    path = _written(folder, "h264", frames=250, size=(256, 340))
    if path is None:
        return Finding("decode", NOTE, "not timed: there is no h264 encoder for a test file")
    index = scan_video(str(path), False)
    wanted = list(range(60, 60 + 4 * CLIP, 4))
    reader = DECODERS.get(name)
    times = []
    for _ in range(4):
        started = time.perf_counter()
        read_frames(reader, str(path), index, wanted)
        times.append(time.perf_counter() - started)
    each = sorted(times[1:])[1]
    found = f"16 of 250 frames of 340 x 256 h264: {1000 * each:.0f} ms, {1 / each:.0f} clips/s per core ({name})"
    return Finding("decode", OK, found)


def _read_by(name: str, files: dict[str, Path]) -> Finding:
    """Each reader in a process of its own: FFmpeg's of two libraries do not go together."""
    exact, refused, wrong = [], [], []
    watchdog = Watchdog(LIMIT_S)
    try:
        for codec, path in files.items():
            try:
                said = watchdog.call(_verdict, name, str(path))
            except DataError as error:
                said = str(error)
            if said == OK:
                exact.append(codec)
            elif said == NOTE:
                refused.append(codec)
            else:
                wrong.append(f"{codec} ({said})")
    finally:
        watchdog.close()
    found = f"exact on {', '.join(exact) or 'nothing'}"
    if refused:
        found += f"; not used for {', '.join(refused)}"
    if wrong:
        verdict = BAD if name == "pyav" else NOTE
        return Finding(
            name, verdict, f"{found}; fails on {'; '.join(wrong)}", "install another version of it"
        )
    return Finding(name, OK, found)


def _verdict(name: str, path: str) -> str:
    """OK: the frames are those of a sequential read; NOTE: the reader is not asked for such a file."""
    index = scan_video(path, False)
    reader = DECODERS.get(name)
    if not reader.exact(index):
        return NOTE
    wanted = list(range(len(index) - 1, -1, -3))
    found = read_frames(reader, path, index, wanted)
    true = _sequential(path)[wanted]
    # Two libraries round the conversion to RGB differently; another frame differs far more.
    error = float(np.abs(found.astype(np.int16) - true.astype(np.int16)).mean())
    return OK if error < 3 else f"other frames, off by {error:.0f} of 255 in the mean"


def _sequential(path: str) -> Frames:
    with av.open(path) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def _written(
    folder: Path, codec: str, frames: int = 24, size: tuple[int, int] = (64, 96)
) -> Path | None:
    """A file in which every frame looks different; None where the encoder is missing."""
    encoder, suffix, options = CODECS[codec]
    if encoder not in av.codecs_available:
        return None
    path = folder / f"{codec}_{frames}{suffix}"
    height, width = size
    os.environ.setdefault("SVT_LOG", "1")  # the AV1 encoder: errors only
    with kept_priority(), av.open(str(path), "w") as container:
        stream: Any = container.add_stream(encoder, rate=25)
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        stream.thread_count, stream.options = 1, options
        for number in range(frames):
            frame = np.full((height, width, 3), 40, np.uint8)
            left = number * (width - 16) // frames
            colour = 230, 90 + 5 * (number % 24), 30
            frame[height // 4 : 3 * height // 4, left : left + 16] = colour
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path
