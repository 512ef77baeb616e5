"""Byte ranges of files on disk or behind an address (s3://, https://, ... what fsspec opens).

Only ranges that are asked for are read, so that a pack is read at random like a folder of files.
"""

import errno
import os
import posixpath
import re
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

from slowfast_ext.errors import DataError

OPEN_FILES = 64
GAP = 256 << 10
"""Bytes between two ranges that are read along with them where each request takes long."""
TRIES = 3
PAUSE_S = 0.5


class Range(NamedTuple):
    """`size` bytes of a file from `offset` on."""

    offset: int
    size: int


_SCHEME = re.compile(r"[A-Za-z][\w+.-]*(::[A-Za-z][\w+.-]*)*://")
"""s3://, and fsspec's chains: simplecache::s3://"""


def is_address(path: str) -> bool:
    """s3://bucket/... and the like, not a path of this machine, be there an address in a name below it."""
    return bool(_SCHEME.match(path))


def file_system(address: str) -> tuple[Any, str]:
    """The fsspec file system of an address, and the path in it. Raises DataError saying what to install."""
    import fsspec

    try:
        return fsspec.core.url_to_fs(address)
    except (ImportError, ValueError) as error:
        raise DataError(f"{address}: cannot be opened: {error}") from error


class Shards:
    """Reads ranges of the files in a folder. For one process: open files and connections do not cross a fork."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._files: OrderedDict[str, int] = OrderedDict()
        self._system: Any = None
        self._root = folder
        if is_address(folder):
            self._system, self._root = file_system(folder)

    def read(self, name: str, ranges: Sequence[Range]) -> list[bytes]:
        """The bytes of each range. Raises DataError naming the file where it is absent or ends too early."""
        try:
            found = self._far(name, ranges) if self._system else self._near(name, ranges)
        except OSError as error:
            raise DataError(f"shard {self._path(name)} cannot be read: {error.strerror}") from error
        for own, wanted in zip(found, ranges, strict=True):
            if len(own) != wanted.size:
                raise DataError(
                    f"shard {self._path(name)} has {len(own)} of the {wanted.size} bytes from {wanted.offset}"
                    " on: it is cut; copy or pack it again"
                )
        return found

    def close(self) -> None:
        """Close the open files."""
        while self._files:
            os.close(self._files.popitem()[1])

    def _path(self, name: str) -> str:
        return posixpath.join(self.folder, name)

    def _near(self, name: str, ranges: Sequence[Range]) -> list[bytes]:
        file = self._opened(self._path(name))
        return [os.pread(file, size, offset) for offset, size in ranges]

    def _opened(self, path: str) -> int:
        if path not in self._files:
            if len(self._files) >= OPEN_FILES:
                os.close(self._files.popitem(last=False)[1])
            self._files[path] = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        self._files.move_to_end(path)
        return self._files[path]

    def _far(self, name: str, ranges: Sequence[Range]) -> list[bytes]:
        """Neighbours come with one request."""
        found: dict[Range, bytes] = {}
        for group in neighbours(ranges, GAP):
            start, stop = group[0].offset, max(offset + size for offset, size in group)
            block = self._request(posixpath.join(self._root, name), start, stop)
            if len(block) > stop - start:
                raise DataError(f"{self._path(name)}: its server does not give parts of files")
            for own in group:
                found[own] = block[own.offset - start : own.offset - start + own.size]
        return [found[wanted] for wanted in ranges]

    def _request(self, path: str, start: int, stop: int) -> bytes:
        for tried in range(TRIES):
            try:
                return bytes(self._system.cat_file(path, start=start, end=stop))
            except FileNotFoundError as error:
                raise OSError(errno.ENOENT, os.strerror(errno.ENOENT)) from error
            except Exception as error:  # Each file system has errors of its own.
                if tried == TRIES - 1:
                    reason = f"{type(error).__name__}: {error}".splitlines()[0]
                    raise DataError(
                        f"shard {path} cannot be read ({TRIES} tries): {reason}"
                    ) from error
                time.sleep(PAUSE_S * 2**tried)
        raise AssertionError


def neighbours(ranges: Sequence[Range], gap: int) -> list[list[Range]]:
    """Ranges in order of their offsets, those together whose distance is at most `gap`."""
    groups: list[list[Range]] = []
    end = 0
    for own in sorted(set(ranges)):
        if groups and own.offset <= end + gap:
            groups[-1].append(own)
        else:
            groups.append([own])
        end = max(end, own.offset + own.size)
    return groups
