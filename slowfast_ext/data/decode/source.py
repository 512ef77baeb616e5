"""Record -> frames: the one door through which data sets reach pixels.

T frames, H W pixels, 3 colours (RGB).
"""

import dataclasses
import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from yacs.config import CfgNode

from slowfast_ext.config import options_of
from slowfast_ext.data.decode.base import DECODERS, Frames, Reader, read_frames
from slowfast_ext.data.decode.ffmpeg import header_frames
from slowfast_ext.data.decode.frames_reader import folder_template, scan_folder
from slowfast_ext.data.decode.index import VideoIndex
from slowfast_ext.data.decode.index_cache import IndexCache
from slowfast_ext.data.decode.piece import piece_of
from slowfast_ext.data.decode.scan import scan_video
from slowfast_ext.data.decode.watchdog import Watchdog, call_here
from slowfast_ext.data.records import VideoRecord
from slowfast_ext.data.storage import store
from slowfast_ext.errors import ConfigError, DataError
from slowfast_ext.options import Options, option, section
from slowfast_ext.registry import import_submodules
from slowfast_ext.released.registry import cache_folder

__all__ = ["DECODERS", "ClipInfo", "DecodeOptions", "LengthChangedError", "VideoSource"]


@section("DATA", "Videos, clips and views")
@dataclass(frozen=True)
class DecodeOptions(Options):
    """How videos and frame folders are read."""

    image_template: str = option(
        "{:05d}.jpg",
        "file name of frame i in a frame folder, first frame 1; {name} is the folder's own name",
    )
    image_fps: float = option(
        30.0,
        "rate at which the images of frame folders were taken from their videos, where the set does not say",
        unit="frames/s",
        low=0.01,
    )
    decoding_backend: str = option(
        "auto",
        "video reader; auto: the fastest exact one, PyAV; decord and torchcodec read the files they are exact on",
    )
    index_dir: str = option(
        "",
        "folder for what is known of files once they are read (lengths, key frames); empty: one for each data set in the user's cache (SLOWFAST_EXT_CACHE, XDG_CACHE_HOME), where that cannot be written OUTPUT_DIR",
    )
    decode_timeout: float = option(
        60.0,
        "longest time for one video before its reader is killed; 0: none, and no process of its own for readers",
        unit="s",
        low=0,
    )
    decode_memory: float = option(
        4.0,
        "memory that reading one video may take before it counts as unreadable (Linux); 0: any",
        unit="GiB",
        low=0,
    )


import_submodules("slowfast_ext.data.decode")

AUTO = ("pyav", "frames")
"""PyAV is exact on every file and was the fastest on all that were measured (docs/decoding.md)."""


class ClipInfo(NamedTuple):
    """Number of frames and frame rate of a record's piece."""

    length: int
    fps: float


class LengthChangedError(DataError):
    """Decoding showed that a file is shorter than its packets promised: ask `info` again, sample again."""


def index_folder(root: str) -> str:
    """Where indices of the files below `root` are kept: in the user's cache, never among the data."""
    if not root:  # nothing that is read has a folder of its own: OUTPUT_DIR will do
        return ""
    name = hashlib.sha256(os.path.abspath(root).encode(errors="surrogateescape")).hexdigest()[:12]
    return str(cache_folder() / "video_index" / f"{Path(root).name or 'videos'}-{name}")


class VideoSource:
    """Lengths and frames of records, exact, whatever the file. Picklable; one thread at a time.

    Each file goes to the first reader of the chain that is exact on it, and on its failure to the
    next. `counts` tells what did not go the plain way.
    """

    def __init__(
        self,
        options: DecodeOptions = DecodeOptions(),
        cache_folders: Sequence[str] = (),
        root: str = "",
    ) -> None:
        """Indices of files are saved in the first of `cache_folders` that can be written, relative to `root`."""
        self.chain = reader_chain(options.decoding_backend)
        self.template, self.image_fps = options.image_template, options.image_fps
        self.cache = IndexCache(cache_folders, root)
        self.watchdog = Watchdog(options.decode_timeout, int(options.decode_memory * 2**30))
        self._counts: Counter[str] = Counter()

    @classmethod
    def from_cfg(cls, cfg: CfgNode) -> "VideoSource":
        """The reader of a configuration, with its index in DATA.INDEX_DIR, else in the user's cache or OUTPUT_DIR."""
        options, root = (
            options_of(cfg, DecodeOptions),
            cfg.DATA.PATH_PREFIX or cfg.DATA.PATH_TO_DATA_DIR,
        )
        return cls(options, (options.index_dir or index_folder(root), cfg.OUTPUT_DIR), root)

    @property
    def counts(self) -> Counter[str]:
        """What happened -> how often: readers that failed, files counted anew, claims that were wrong."""
        return self._counts + self.cache.counts

    def index(self, record: VideoRecord) -> VideoIndex:
        """Facts of the record's whole file, from the cache or a scan. Raises DataError."""
        with _named(record):
            index = self._cached(record.path)
            return index or self._scan(record.path)

    def info(self, record: VideoRecord) -> ClipInfo:
        """Length and frame rate of the record's piece. Raises DataError naming path and location."""
        index = self.index(record)
        if index.template and record.num_frames not in (None, len(index)):
            self._counts["frame folders of another length than listed"] += 1
        fps = record.fps if index.template and record.fps else index.fps
        with _named(record):
            return ClipInfo(len(piece_of(record, index)), fps)

    def claimed_frames(self, record: VideoRecord) -> int:
        """Frames that the record's file claims to have: where that is not sure to be true, its header's word.

        Raises DataError.
        """
        index = self.index(record)
        if index.template or not index.counted:
            return len(index)
        with _named(record):
            return self.watchdog.call(header_frames, record.path)

    def frames(self, record: VideoRecord, indices: Sequence[int], short_side: int = 0) -> Tensor:
        """Frames of the record's piece, 0-based, any order: uint8 [T, H, W, 3].

        Frames larger than `short_side` > 0 may come scaled down to it. Raises DataError naming path
        and location, also for a frame that the piece does not have; LengthChangedError at the first sight of
        damage that only decoding shows.
        """
        index = self.index(record)
        with _named(record):
            wanted = _within(indices, piece_of(record, index))
            return torch.from_numpy(self._read(record.path, index, wanted, short_side))

    def close(self) -> None:
        """End the decoding process."""
        self.watchdog.close()

    def _cached(self, path: str) -> VideoIndex | None:
        index = self.cache.get(path)
        if index is None or not index.template:
            return index
        asked = folder_template(path, self.template), self.image_fps
        return index if (index.template, index.fps) == asked else None

    def _scan(self, path: str, count: bool = False) -> VideoIndex:
        if store.is_folder(path):
            template = folder_template(path, self.template)
            index = call_here(scan_folder, path, template, self.image_fps)
        else:
            index = self.watchdog.call(scan_video, path, count)
        if index.damaged:
            self._counts["files with damaged packets"] += 1
        self.cache.put(path, index)
        return index

    def _read(self, path: str, index: VideoIndex, wanted: list[int], short_side: int) -> Frames:
        """The first reader that can; when none can, once more with the frames counted by decoding."""
        reasons: dict[str, str] = {}
        for name in self.chain:
            reader = DECODERS.get(name)
            if name in index.failed or not reader.exact(index):
                continue
            try:
                clip = self._ask(reader, path, index, wanted, short_side)
            except DataError as error:
                reasons[name] = str(error)
                self._counts[f"{name} failed"] += 1
                continue
            if reasons:
                failed = (*index.failed, *reasons)
                self.cache.put(path, dataclasses.replace(index, failed=failed))
            return clip
        if index.counted or index.template:
            raise DataError("; ".join(f"{name}: {reason}" for name, reason in reasons.items()))
        return self._read_counted(path, index, wanted, short_side)

    def _read_counted(
        self, path: str, index: VideoIndex, wanted: list[int], short_side: int
    ) -> Frames:
        self._counts["files counted anew"] += 1
        counted = self._scan(path, count=True)
        if len(counted) != len(index):
            raise LengthChangedError(
                f"has {len(counted)} frames that can be decoded, not {len(index)} as its packets say; "
                "the true number is known from now on"
            )
        return self._read(path, counted, wanted, short_side)

    def _ask(
        self, reader: type[Reader], path: str, index: VideoIndex, wanted: list[int], short_side: int
    ) -> Frames:
        if reader.guarded:
            return self.watchdog.call_for_array(
                read_frames, reader, path, index, wanted, short_side
            )
        return call_here(read_frames, reader, path, index, wanted, short_side)


def reader_chain(backend: str) -> tuple[str, ...]:
    """Readers to ask, in order: the one that is named, where it is exact, then those of `auto`.

    Raises ConfigError for an unknown reader or one whose library is not installed.
    """
    if backend == "auto":
        return AUTO
    missing = DECODERS.get(backend).missing()
    if missing:
        raise ConfigError(f"DATA.DECODING_BACKEND {backend} is not installed: {missing}")
    return tuple(dict.fromkeys((backend, *AUTO)))


def _within(indices: Sequence[int], piece: range) -> list[int]:
    """Frames of the file for frames of the piece."""
    outside = [int(i) for i in indices if not 0 <= i < len(piece)]
    if outside:
        raise DataError(f"has {len(piece)} frames, numbers {outside} are asked for")
    return [piece[int(i)] for i in indices]


@contextmanager
def _named(record: VideoRecord) -> Iterator[None]:
    """Errors inside say which file, and which line of which list names it."""
    try:
        yield
    except (DataError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        kind = type(error) if isinstance(error, DataError) else DataError
        raise kind(f"{record.shown}: {reason}") from error
