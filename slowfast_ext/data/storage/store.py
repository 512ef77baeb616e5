"""The door to media: what the rest of the package asks of a path, whether it is loose or in a pack.

A path is in a pack where a folder above it holds the pack's index: `/data/k400_packed/abc.mp4`, or
`s3://bucket/k400_packed/abc.mp4`. Loose files behind an address are not read.
"""

import hashlib
import io
import os
import posixpath
import stat
import zlib
from collections.abc import Sequence

from slowfast_ext.data.storage.pack import INDEX_FILE, Facts, Pack
from slowfast_ext.data.storage.shards import file_system, is_address
from slowfast_ext.errors import DataError

REMEMBERED = 4096
ENDS = 4096
"""Bytes of each end of a file that tell it from another one."""


class _Packs:
    """The packs that this process has open, by their folder, and which folder belongs to which."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.of_folder: dict[str, Pack | None] = {}
        self.open: dict[str, Pack] = {}

    def above(self, folder: str) -> Pack | None:
        """The pack that holds `folder`, which may be the pack itself."""
        if folder not in self.of_folder:
            if len(self.of_folder) >= REMEMBERED:
                self.of_folder.clear()
            self.of_folder[folder] = self._found(folder)
        return self.of_folder[folder]

    def _found(self, folder: str) -> Pack | None:
        if folder in self.open:
            return self.open[folder]
        if is_address(folder) and (pack := self._listing(folder)):
            return pack
        if _holds_index(folder):
            self.open[folder] = Pack(folder)
            return self.open[folder]
        parent = posixpath.dirname(folder) if is_address(folder) else os.path.dirname(folder)
        ends = parent == folder or parent.endswith((":", ":/"))
        return None if ends else self.above(parent)

    def _listing(self, folder: str) -> Pack | None:
        """The open pack whose index has this folder: a look for another index in it is two requests to a server."""
        for top, pack in self.open.items():
            inside = folder.removeprefix(f"{top}/")
            if inside != folder and pack.is_folder(inside):
                return pack
        return None


_packs = _Packs()


def is_folder(path: str) -> bool:
    """Is there a folder of this name?"""
    found = _located(path, of_folder=True)
    return found[0].is_folder(found[1]) if found else os.path.isdir(path)


def is_file(path: str) -> bool:
    """Is there a file of this name?"""
    found = _located(path)
    return found[0].find(found[1]) is not None if found else os.path.isfile(path)


def exists(path: str) -> bool:
    """Is there a file or folder of this name?"""
    return is_file(path) or is_folder(path)


def names(folder: str) -> list[str]:
    """Names in a folder, in any order. Raises OSError where there is no such folder."""
    found = _located(folder, of_folder=True)
    if found is None:
        return os.listdir(folder or os.curdir)
    if not found[0].is_folder(found[1]):
        raise FileNotFoundError(2, "no such folder in the pack", folder)
    return found[0].names(found[1])


def facts(path: str) -> Facts:
    """Size and stamp of a file or folder: they tell its states apart. Raises OSError where it is absent.

    The stamp of a loose file is of its time of change and of its first and last bytes: a copied data folder keeps it, a
    file that another one of equal size and time replaced does not.
    """
    found = _located(path)
    if found is None:
        state = os.stat(path)
        ends = _ends(path, state.st_size) if stat.S_ISREG(state.st_mode) else 0
        return Facts(state.st_size, _hash(f"{state.st_mtime_ns} {ends}"))
    own = found[0].facts(found[1])
    if own is None:
        raise FileNotFoundError(2, "no such file in the pack", path)
    return own


def read(folder: str, files: Sequence[str]) -> list[bytes]:
    """The bytes of some files of a folder. Raises DataError for one that cannot be read."""
    found = _located(folder, of_folder=True)
    if found:
        return found[0].read(found[1], files)
    contents = []
    for name in files:
        try:
            with open(os.path.join(folder, name), "rb") as file:
                contents.append(file.read())
        except OSError as error:
            raise DataError(f"{name} cannot be read: {error.strerror}") from error
    return contents


def packed(path: str) -> io.BufferedIOBase | None:
    """An open file of a pack; None for a loose file. Raises DataError for one that cannot be read."""
    found = _located(path)
    return found[0].open(found[1]) if found else None


def close() -> None:
    """Close the packs that this process has open; they open again when they are asked."""
    global _packs
    if _packs.pid == os.getpid():
        for pack in _packs.open.values():
            pack.close()
    _packs = _Packs()


def absolute(path: str) -> str:
    """The absolute path, or the address as it is."""
    return path if is_address(path) else os.path.abspath(path)


def _ends(path: str, size: int) -> int:
    """Checksum of the first and last bytes."""
    with open(path, "rb") as file:
        checksum = zlib.crc32(file.read(ENDS))
        file.seek(max(ENDS, size - ENDS))
        return zlib.crc32(file.read(ENDS), checksum)


def _hash(text: str) -> int:
    """56 bits, which every database takes as an integer."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest(), "big")


def _located(path: str, of_folder: bool = False) -> tuple[Pack, str] | None:
    """The pack of a path and the path in it; None for a loose one."""
    global _packs
    if _packs.pid != os.getpid():  # Open files and connections do not cross a fork.
        _packs = _Packs()
    path = path.rstrip("/")
    pack = _packs.above(path if of_folder else os.path.dirname(path))
    if pack is not None:
        inside = posixpath.normpath(path[len(pack.folder) :].lstrip("/"))
        return pack, "" if inside == "." else inside
    if is_address(path):
        raise DataError(
            f"{path}: no {INDEX_FILE} above it; behind an address only what slowfast-ext data pack wrote is read"
        )
    return None


def _holds_index(folder: str) -> bool:
    path = posixpath.join(folder, INDEX_FILE)
    if not is_address(folder):
        return os.path.isfile(path)
    system, inside = file_system(path)
    try:
        return bool(system.exists(inside))
    except Exception as error:  # Each file system has errors of its own.
        raise DataError(f"{path}: cannot be looked for: {type(error).__name__}: {error}") from error
