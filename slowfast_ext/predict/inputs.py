"""A video in any form -> a record and a source that reads it.

Shapes: T frames, H W pixels.
"""

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from slowfast_ext.data.decode.index import VideoIndex
from slowfast_ext.data.decode.source import ClipInfo, VideoSource
from slowfast_ext.data.records import VideoRecord
from slowfast_ext.errors import DataError


class BinaryFile(Protocol):
    """What `open(path, "rb")` and `io.BytesIO` give."""

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes."""
        ...


Video = str | os.PathLike[str] | bytes | BinaryFile | np.ndarray | Tensor
"""A path (file, or folder of images), the bytes of a file, an open file, or uint8 RGB frames [T, H, W, 3]."""


class Inputs:
    """Reads videos that were given in any form: a source of records (`data.dataset.Source`).

    Bytes and open files become files in a temporary folder, as decoders read paths; it goes with `close`.
    """

    def __init__(self, source: VideoSource, fps: float = 0.0) -> None:
        """`source` reads files; `fps` is the rate of frames given as arrays, 0: that of its frame folders."""
        self._source, self._fps = source, fps or source.image_fps
        self._frames: dict[str, Tensor] = {}
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._number = 0

    @property
    def counts(self) -> Counter[str]:
        """What the files' source counted."""
        return self._source.counts

    def add(self, video: Video, location: str = "given") -> VideoRecord:
        """A record of the video, `name` for people. Raises DataError for what is none; files are not opened yet."""
        self._number += 1
        if isinstance(video, (str, os.PathLike)):
            path = os.fspath(video)
            return VideoRecord(path, (), location, name=path)
        if isinstance(video, (bytes, bytearray, memoryview)):
            name = f"<{len(video)} bytes>"
            return VideoRecord(self._file(lambda file: file.write(video)), (), location, name=name)
        if callable(getattr(video, "read", None)):
            name = str(getattr(video, "name", "<file>"))
            path = self._file(lambda file: _copy(video, file, name))
            return VideoRecord(path, (), location, name=name)
        frames_THWC = _frames(video)
        name = f"<{len(frames_THWC)} frames>"
        path = f"{name} {self._number}"
        self._frames[path] = frames_THWC
        return VideoRecord(path, (), location, name=name)

    def index(self, record: VideoRecord) -> VideoIndex:
        """Times and number of the frames of the whole video. Raises DataError."""
        frames_THWC = self._frames.get(record.path)
        if frames_THWC is None:
            return self._source.index(record)
        length, height, width, _ = frames_THWC.shape
        base = 1001, round(self._fps * 1001)
        return VideoIndex(
            tuple(range(length)), (), base, self._fps, height, width, container="", codec=""
        )

    def info(self, record: VideoRecord) -> ClipInfo:
        """Length and frame rate. Raises DataError."""
        frames_THWC = self._frames.get(record.path)
        if frames_THWC is None:
            return self._source.info(record)
        return ClipInfo(len(frames_THWC), self._fps)

    def frames(self, record: VideoRecord, indices: Sequence[int], short_side: int = 0) -> Tensor:
        """uint8 [T, H, W, 3]; those of files may come scaled down to `short_side`. Raises DataError."""
        frames_THWC = self._frames.get(record.path)
        if frames_THWC is None:
            return self._source.frames(record, indices, short_side)
        return frames_THWC[torch.as_tensor(indices, dtype=torch.int64)]

    def close(self) -> None:
        """Remove temporary files."""
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def __enter__(self) -> "Inputs":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        """A loader's process does not own the folder."""
        return {**self.__dict__, "_folder": None}

    def _file(self, write: Any) -> str:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="slowfast_ext_")
        path = Path(self._folder.name) / str(self._number)
        try:
            with path.open("wb") as file:
                write(file)
        except OSError as error:
            raise DataError(
                f"{path}: a copy of the video cannot be written: {error.strerror}; "
                "set TMPDIR to a folder with room"
            ) from error
        return str(path)


def reason_of(error: DataError, record: VideoRecord) -> str:
    """An error without the path and location before it, in one line."""
    text = str(error).removeprefix(f"{record.shown}: ")
    return " ".join(text.split())


def _copy(source: Any, target: Any, name: str) -> None:
    if isinstance(source.read(0), str):
        raise DataError(f'{name}: is opened as text; open it with open(path, "rb")')
    shutil.copyfileobj(source, target)


def _frames(video: Any) -> Tensor:
    """The frames as a tensor that shares their memory. Raises DataError saying what they should be."""
    if isinstance(video, (list, tuple)):
        raise DataError(
            "a list holds videos, not frames; stack the frames of one into [T, H, W, 3]"
        )
    if not isinstance(video, (np.ndarray, Tensor)):
        raise DataError(
            f"{type(video).__name__} is no video: give a path, bytes, an open file, "
            "or frames [T, H, W, 3] as an array or tensor"
        )
    shape = tuple(video.shape)
    if len(shape) != 4 or shape[-1] != 3 or 0 in shape:
        hint = ""
        if len(shape) == 4 and shape[1] == 3:
            hint = "; permute (0, 2, 3, 1) puts colours last"
        elif len(shape) == 5:
            hint = "; give several videos as a list"
        elif len(shape) == 3:
            hint = "; one image is no video: stack frames, grey ones repeated to 3 colours"
        raise DataError(f"frames have shape {list(shape)}, not [T, H, W, 3]{hint}")
    if video.dtype not in (np.uint8, torch.uint8):
        raise DataError(f"frames are {video.dtype}, not uint8 from 0 to 255")
    if isinstance(video, np.ndarray):
        return torch.from_numpy(np.ascontiguousarray(video))
    return video.detach().cpu()
