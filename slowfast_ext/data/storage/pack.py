"""A pack: tar shards, and beside them an index of which bytes are which file.

Shards alone are what webdataset reads; with the index they are a folder of files that is read at random.
Names are kept as bytes, as file systems have them.
"""

import hashlib
import io
import itertools
import os
import posixpath
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from slowfast_ext.data.storage.shards import Range, Shards, file_system, is_address
from slowfast_ext.errors import DataError

INDEX_FILE = "pack.sqlite"
VERSION = 1
READ_WHOLE = 64 << 20
"""Larger files are read as their readers ask for them, without a look at their checksum."""

SCHEMA = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE shards (id INTEGER PRIMARY KEY, name TEXT UNIQUE, size INTEGER);
CREATE TABLE folders (id INTEGER PRIMARY KEY, path BLOB UNIQUE, parent INTEGER, name BLOB,
                      images INTEGER, crc INTEGER);
CREATE INDEX subfolders ON folders (parent);
CREATE TABLE files (folder INTEGER, name BLOB, shard INTEGER, offset INTEGER, size INTEGER, crc INTEGER,
                    PRIMARY KEY (folder, name)) WITHOUT ROWID;
"""


class Entry(NamedTuple):
    """Where the bytes of a file are, and their CRC-32."""

    shard: str
    offset: int
    size: int
    crc: int


class Facts(NamedTuple):
    """What tells one state of a file or folder from another: its size and a stamp."""

    size: int
    stamp: int


class Pack:
    """The files of a pack by their paths in it, `a/b.mp4`; `folder` is a path or an address.

    For one process. Raises DataError for an index that cannot be read.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.shards = Shards(folder)
        self._file = fetched_index(folder) if is_address(folder) else Path(folder, INDEX_FILE)
        self._index = self._opened()
        self._folder_ids: dict[bytes, int | None] = {}

    def is_folder(self, path: str) -> bool:
        """Is it a folder of the pack? "" is the pack itself."""
        return self._folder_id(path) is not None

    def names(self, path: str) -> list[str]:
        """Files and folders in a folder; none where there is no such folder."""
        own = self._folder_id(path)
        files = self._ask("SELECT name FROM files WHERE folder = ?", own)
        folders = self._ask("SELECT name FROM folders WHERE parent = ?", own)
        return [os.fsdecode(name) for (name,) in itertools.chain(files, folders)]

    def find(self, path: str) -> Entry | None:
        """Where a file is."""
        folder, name = posixpath.split(path)
        return next(self._entries(folder, [name]))

    def facts(self, path: str) -> Facts | None:
        """Facts of a file or folder: they change with its content alone, not when a pack is moved."""
        entry = self.find(path)
        if entry:
            return Facts(entry.size, entry.crc)
        rows = self._ask("SELECT images, crc FROM folders WHERE path = ?", os.fsencode(path))
        return Facts(*rows[0]) if rows else None

    def read(self, folder: str, names: Sequence[str]) -> list[bytes]:
        """The bytes of some files of a folder.

        Raises DataError for one that is absent, and naming the shard where bytes are not those that were packed.
        """
        entries = list(self._entries(folder, names))
        absent = [name for name, entry in zip(names, entries, strict=True) if entry is None]
        if absent:
            raise DataError(
                f"{posixpath.join(self.folder, folder, absent[0])}: no such file in the pack"
            )
        found: dict[Entry, bytes] = {}
        by_shard: dict[str, list[Entry]] = {}
        for entry in entries:
            assert entry is not None
            by_shard.setdefault(entry.shard, []).append(entry)
        for shard, own in by_shard.items():
            blocks = self.shards.read(shard, [Range(entry.offset, entry.size) for entry in own])
            for entry, block in zip(own, blocks, strict=True):
                found[entry] = self._sound(entry, block)
        return [found[entry] for entry in entries if entry]

    def open(self, path: str) -> io.BufferedIOBase:
        """A file that can be read and sought. Raises DataError as `read` does."""
        entry = self.find(path)
        if entry is None or entry.size <= READ_WHOLE:
            folder, name = posixpath.split(path)
            return io.BytesIO(self.read(folder, [name])[0])
        return io.BufferedReader(_Part(self.shards, entry), 1 << 20)

    def close(self) -> None:
        """Close index and shards."""
        self._index.close()
        self.shards.close()

    def _sound(self, entry: Entry, block: bytes) -> bytes:
        if zlib.crc32(block) == entry.crc:
            return block
        raise DataError(
            f"shard {posixpath.join(self.folder, entry.shard)} is damaged within {entry.size} bytes from"
            f" {entry.offset} on (checksum); copy or pack it again"
        )

    def _entries(self, folder: str, names: Sequence[str]) -> Iterator[Entry | None]:
        own = self._folder_id(folder)
        question = (
            "SELECT shards.name, offset, files.size, crc FROM files JOIN shards ON shards.id = shard"
            " WHERE folder = ? AND files.name = ?"
        )
        for name in names:
            rows = self._ask(question, own, os.fsencode(name))
            yield Entry(*rows[0]) if rows else None

    def _folder_id(self, path: str) -> int | None:
        key = os.fsencode(path)
        if key not in self._folder_ids:
            if len(self._folder_ids) > 4096:
                self._folder_ids.clear()
            rows = self._ask("SELECT id FROM folders WHERE path = ?", key)
            self._folder_ids[key] = rows[0][0] if rows else None
        return self._folder_ids[key]

    def _opened(self) -> sqlite3.Connection:
        uri = f"{self._file.absolute().as_uri()}?mode=ro"
        try:
            index = sqlite3.connect(uri, uri=True, timeout=30, check_same_thread=False)
            rows = index.execute("SELECT value FROM facts WHERE name = 'version'").fetchall()
        except sqlite3.Error as error:
            raise DataError(f"{self._file}: is not the index of a pack: {error}") from error
        if rows != [(str(VERSION),)]:
            raise DataError(
                f"{self._file}: is the index of another version; pack the data set again"
            )
        return index

    def _ask(self, question: str, *values: object) -> list[tuple]:
        try:
            return self._index.execute(question, values).fetchall()
        except sqlite3.Error as error:
            raise DataError(
                f"{self._file}: the index is damaged ({error}); copy or pack it again"
            ) from error


class _Part(io.RawIOBase):
    """A part of a shard as a file."""

    def __init__(self, shards: Shards, entry: Entry) -> None:
        self._shards, self._entry, self._at = shards, entry, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._entry.size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        size = max(0, min(len(buffer), self._entry.size - self._at))
        if size:
            wanted = Range(self._entry.offset + self._at, size)
            buffer[:size] = self._shards.read(self._entry.shard, [wanted])[0]
        self._at += size
        return size


def fetched_index(folder: str) -> Path:
    """A copy of a far index in the user's cache, made when there is none of this state of it."""
    address = posixpath.join(folder, INDEX_FILE)
    system, path = file_system(address)
    try:
        info = system.info(path)
        state = repr([address, *(info.get(k) for k in ("size", "ETag", "LastModified", "mtime"))])
        copy = cache_folder() / f"{hashlib.sha1(state.encode()).hexdigest()}.sqlite"
        if not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            part = copy.with_suffix(f".{os.getpid()}.part")
            system.get_file(path, str(part))
            part.replace(copy)
    except Exception as error:  # Each file system has errors of its own.
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise DataError(f"{address}: the index of the pack cannot be read: {reason}") from error
    return copy


def cache_folder() -> Path:
    """Where copies of far indices are kept: below XDG_CACHE_HOME, by default ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base, "slowfast_ext", "packs")
