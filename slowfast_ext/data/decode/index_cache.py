"""Indices saved on disk: one SQLite file for each data set in the user's cache, or in OUTPUT_DIR where that cannot be written.

Any number of processes may use it. It is a cache: an entry counts only while the file's size and stamp
(`storage.store.facts`) are the same, and a cache that is locked or broken, in whole or in one entry, costs a
new scan, never a run.
"""

import itertools
import json
import os
import sqlite3
import zlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from slowfast_ext.data.decode.index import VideoIndex
from slowfast_ext.data.storage import store

FILE_NAME = "video_index.sqlite"
VERSION = 2
RECENT = 64
_TABLE = f"index_v{VERSION}"

Key = tuple[bytes, int, int]
"""Path, which may be any bytes, size in bytes and stamp."""


class IndexCache:
    """path -> VideoIndex. Pickled without its connections.

    Looks in the cache files of all `folders`, writes to the first that it can write to. Paths below
    `root` are saved relative to it, so that a data folder may move. What goes wrong is counted.
    """

    def __init__(self, folders: Iterable[str], root: str = "") -> None:
        self.files = [Path(folder) / FILE_NAME for folder in folders if folder]
        self.root = store.absolute(root).rstrip("/") if root else ""
        self.counts: Counter[str] = Counter()
        self._forget()

    def get(self, path: str) -> VideoIndex | None:
        """The index of a file as it is now, or None. Raises OSError where there is no such file."""
        key = self._key(path)
        if key in self._recent:
            return self._recent[key]
        for file in self.files:
            index = self._ask(file, key)
            if index is not None:
                return self._remember(key, index)
        return None

    def put(self, path: str, index: VideoIndex) -> None:
        """Keep the index of a file."""
        key = self._key(path)
        self._remember(key, index)
        for file in self.files:
            if self._store(file, key, _pack(index)):
                return

    def __getstate__(self) -> dict[str, Any]:
        return {"files": self.files, "root": self.root, "counts": self.counts}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def _remember(self, key: Key, index: VideoIndex) -> VideoIndex:
        """A clip asks for its index twice, so the last few stay in memory; all of them would fill the memory."""
        if len(self._recent) >= RECENT:
            self._recent.clear()
        self._recent[key] = index
        return index

    def _forget(self) -> None:
        self._recent: dict[Key, VideoIndex] = {}
        self._open: dict[Path, sqlite3.Connection] = {}
        self._pid = os.getpid()

    def _key(self, path: str) -> Key:
        if self._pid != os.getpid():  # A connection must not cross a fork.
            self._forget()
        size, stamp = store.facts(path)
        path = store.absolute(path)
        if self.root and path.startswith(self.root + os.sep):
            path = path[len(self.root) + 1 :]
        return os.fsencode(path), size, stamp

    def _ask(self, file: Path, key: Key) -> VideoIndex | None:
        if file not in self._open and not file.exists():
            return None
        try:
            row = self._connect(file).execute(
                f"SELECT entry FROM {_TABLE} WHERE path = ? AND size = ? AND stamp = ?", key
            )
            found = row.fetchone()
            return _unpack(found[0]) if found else None
        except Exception as error:  # of whatever kind damage makes: the file is scanned anew
            self._note(file, "read", error)
            return None

    def _store(self, file: Path, key: Key, packed: bytes) -> bool:
        try:
            with self._connect(file) as connection:
                connection.execute(
                    f"INSERT OR REPLACE INTO {_TABLE} VALUES (?, ?, ?, ?)", (*key, packed)
                )
        except Exception as error:  # SQLite's own words of damage may be no UTF-8
            self._note(file, "written", error)
            return False
        return True

    def _connect(self, file: Path) -> sqlite3.Connection:
        if file not in self._open:
            self._open[file] = _connection(file)
        return self._open[file]

    def _note(self, file: Path, verb: str, error: Exception) -> None:
        self.counts[f"index cache {file} not {verb}: {error}"] += 1


def _connection(file: Path) -> sqlite3.Connection:
    """An open cache; a read-only one where the folder cannot be written."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(file, timeout=30)
        # Losing the newest entries in a power cut costs a scan; waiting for the disk costs each sample.
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(
            f"CREATE TABLE IF NOT EXISTS {_TABLE} "
            "(path BLOB PRIMARY KEY, size INTEGER, stamp INTEGER, entry BLOB) WITHOUT ROWID"
        )
    except (sqlite3.OperationalError, OSError):
        return sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    return connection


def _pack(index: VideoIndex) -> bytes:
    """Steps between stamps, mostly all alike, shrink to a few bytes."""
    facts = index.to_json()
    for name in ("pts", "keys"):
        facts[name] = [b - a for a, b in zip((0, *facts[name]), facts[name], strict=False)]
    return zlib.compress(json.dumps(facts).encode())


def _unpack(packed: bytes) -> VideoIndex:
    facts = json.loads(zlib.decompress(packed))  # whose checksum tells of any damage
    for name in ("pts", "keys"):
        facts[name] = list(itertools.accumulate(facts[name]))
    return VideoIndex.from_json(facts)
