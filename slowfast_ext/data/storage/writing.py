"""Writing a pack: shards in the form that webdataset reads, then their entries into the index.

A video is `<key>.mp4` and `<key>.json`, a folder of images `<key>.00001.jpg ...` and `<key>.json`: webdataset
takes what stands before the first dot for the key, so dots within it are written as %2E.
"""

import json
import os
import sqlite3
import tarfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

from slowfast_ext.data.storage.pack import INDEX_FILE, SCHEMA, VERSION
from slowfast_ext.errors import DataError

BLOCK = 512
COPIED = 4 << 20
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


@dataclass(frozen=True)
class Sample:
    """A video file or a folder of images: where it lies, its path in the pack, what its lists say of it."""

    source: str
    path: str
    key: str
    clips: Sequence[dict] = ()


class Row(NamedTuple):
    """An entry of the index: a file of a folder, and where in the shard its bytes are."""

    folder: str
    name: str
    offset: int
    size: int
    crc: int


@dataclass
class Written:
    """What became of the samples of a shard."""

    name: str
    samples: Sequence[Sample]
    size: int = 0
    rows: list[Row] = field(default_factory=list)
    folders: list[tuple[str, int, int]] = field(default_factory=list)
    """Folders of images: path, their number, CRC-32 over those of the images."""
    failed: list[str] = field(default_factory=list)


def key_of(path: str) -> str:
    """What webdataset calls the sample of a path: dots written as %2E."""
    return path.replace("%", "%25").replace(".", "%2E")


def write_shard(folder: str, name: str, samples: Sequence[Sample]) -> Written:
    """Write a shard under its name when it is whole. A sample that cannot be read is left out and named.

    Raises OSError where the shard cannot be written.
    """
    written = Written(name, samples)
    part = Path(folder, f".{name}.part")
    try:
        with part.open("wb") as shard:
            for sample in samples:
                _add(shard, sample, written)
            shard.write(b"\0" * 2 * BLOCK)
            shard.flush()
            os.fsync(shard.fileno())
            written.size = shard.tell()
        part.replace(Path(folder, name))
    finally:
        part.unlink(missing_ok=True)
    return written


def _add(shard: BinaryIO, sample: Sample, written: Written) -> None:
    start, rows = shard.tell(), len(written.rows)
    try:
        if os.path.isdir(sample.source):
            _add_folder(shard, sample, written)
        else:
            head, name = os.path.split(sample.path)
            suffix = os.path.splitext(name)[1].lstrip(".") or "bin"
            written.rows.append(_copy(shard, sample.source, f"{sample.key}.{suffix}", (head, name)))
        about = {"path": sample.path, "clips": list(sample.clips)}
        _put(shard, f"{sample.key}.json", json.dumps(about).encode())
    except _SourceError as error:
        written.failed.append(f"{sample.source}: {error}")
        del written.rows[rows:]
        shard.seek(start)
        shard.truncate()


def _add_folder(shard: BinaryIO, sample: Sample, written: Written) -> None:
    try:
        names = sorted(os.listdir(sample.source))
    except OSError as error:
        raise _SourceError(error.strerror) from error
    images = [name for name in names if name.lower().endswith(IMAGE_SUFFIXES)]
    if not images:
        raise _SourceError("has no images")
    crc = 0
    for name in images:
        source = os.path.join(sample.source, name)
        row = _copy(shard, source, f"{sample.key}.{name}", (sample.path, name))
        crc = zlib.crc32(row.crc.to_bytes(4, "little"), crc)
        written.rows.append(row)
    written.folders.append((sample.path, len(images), crc))


class _SourceError(Exception):
    """The fault of a file that is packed, not of the shard."""


def _copy(shard: BinaryIO, source: str, member: str, place: tuple[str, str]) -> Row:
    """Copy a file into the shard in pieces. Raises _SourceError where it cannot be read to its end."""
    try:
        file = open(source, "rb")  # noqa: SIM115 - its faults are told from those of the shard
    except OSError as error:
        raise _SourceError(error.strerror) from error
    with file:
        size = os.fstat(file.fileno()).st_size
        shard.write(_header(member, size))
        offset, crc, left = shard.tell(), 0, size
        while left:
            piece = _read(file, min(left, COPIED))
            crc, left = zlib.crc32(piece, crc), left - len(piece)
            shard.write(piece)
    shard.write(b"\0" * (-size % BLOCK))
    return Row(*place, offset, size, crc)


def _read(file: BinaryIO, size: int) -> bytes:
    try:
        piece = file.read(size)
    except OSError as error:
        raise _SourceError(error.strerror) from error
    if not piece:
        raise _SourceError("became shorter while it was read")
    return piece


def _put(shard: BinaryIO, member: str, content: bytes) -> None:
    shard.write(_header(member, len(content)) + content + b"\0" * (-len(content) % BLOCK))


def _header(member: str, size: int) -> bytes:
    info = tarfile.TarInfo(member)
    info.size = size
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


class IndexWriter:
    """Adds whole shards to the index of a pack. Raises DataError for one made of other files."""

    def __init__(self, folder: str, root: str) -> None:
        self.path = os.path.join(folder, INDEX_FILE)
        is_new = not os.path.exists(self.path)
        self._index = sqlite3.connect(self.path)
        try:
            if is_new:
                self._index.executescript(SCHEMA)
                given = [("version", str(VERSION)), ("root", root)]
                with self._index:
                    self._index.executemany("INSERT INTO facts VALUES (?, ?)", given)
            known = dict(self._index.execute("SELECT name, value FROM facts"))
        except sqlite3.DatabaseError as error:
            raise DataError(
                f"{self.path}: is not the index of a pack ({error}); choose another folder, or remove it"
            ) from error
        if known.get("version") != str(VERSION):
            raise DataError(f"{self.path}: is the index of another version; choose another folder")
        if known.get("root") != root:
            raise DataError(
                f"{folder} holds files from {known.get('root')}, not from {root}; choose another folder for --out"
            )

    def packed(self) -> set[str]:
        """Paths of the files and folders of images that are in the pack."""
        files = self._index.execute(
            "SELECT folders.path, files.name FROM files JOIN folders ON folders.id = folder WHERE images = 0"
        )
        images = self._index.execute("SELECT path FROM folders WHERE images > 0")
        found = {os.path.join(os.fsdecode(path), os.fsdecode(name)) for path, name in files}
        return found | {os.fsdecode(path) for (path,) in images}

    def shards(self) -> set[str]:
        """Names of the shards of the pack."""
        return {name for (name,) in self._index.execute("SELECT name FROM shards")}

    def next_shard(self) -> int:
        """Number of the next shard."""
        return int(
            self._index.execute("SELECT 1 + coalesce(max(id), -1) FROM shards").fetchone()[0]
        )

    def add(self, number: int, written: Written) -> None:
        """Add a shard that lies under its name. Raises sqlite3.Error where the index cannot be written."""
        if not written.rows:
            return
        with self._index:
            ids: dict[str, int] = {}
            for folder in dict.fromkeys(row.folder for row in written.rows):
                ids[folder] = self._folder(folder)
            self._index.execute(
                "INSERT INTO shards VALUES (?, ?, ?)", (number, written.name, written.size)
            )
            self._index.executemany(
                "INSERT INTO files VALUES (?, ?, ?, ?, ?, ?)",
                (
                    (ids[row.folder], os.fsencode(row.name), number, row.offset, row.size, row.crc)
                    for row in written.rows
                ),
            )
            self._index.executemany(
                "UPDATE folders SET images = ?, crc = ? WHERE path = ?",
                ((count, crc, os.fsencode(path)) for path, count, crc in written.folders),
            )

    def close(self) -> None:
        """Close the index."""
        self._index.close()

    def _folder(self, path: str) -> int:
        """Id of a folder, made with those above it where there is none."""
        key = os.fsencode(path)
        row = self._index.execute("SELECT id FROM folders WHERE path = ?", (key,)).fetchone()
        if row:
            return int(row[0])
        head, name = os.path.split(path)
        parent = self._folder(head) if path else None
        made = self._index.execute(
            "INSERT INTO folders (path, parent, name, images, crc) VALUES (?, ?, ?, 0, 0)",
            (key, parent, os.fsencode(name)),
        )
        return int(made.lastrowid or 0)
