"""Which of the listed media files are there, with one listing of each folder instead of a look per file."""

import os
from collections.abc import Iterable

from slowfast_ext.data.storage import store
from slowfast_ext.errors import DataError

VIDEO_SUFFIXES = (".mp4", ".webm", ".mkv", ".avi", ".mov", ".m4v", ".mpg", ".mpeg", ".gif")
_FOUND_SUFFIXES = (*VIDEO_SUFFIXES, ".MP4")


class Media:
    """The files below any folder asked about; a folder is listed when first asked for.

    >>> Media().find("videos/abc.webm")  # 'videos/abc.mp4' where only that is there
    """

    def __init__(self) -> None:
        self._names: dict[str, frozenset[str]] = {}

    def names(self, folder: str) -> frozenset[str]:
        """Names in a folder; none for a folder that is not there."""
        if folder not in self._names:
            try:
                self._names[folder] = frozenset(store.names(folder))
            except (FileNotFoundError, NotADirectoryError):
                self._names[folder] = frozenset()
            except OSError as error:
                raise DataError(f"{folder}: cannot be listed: {error.strerror}") from error
        return self._names[folder]

    def has(self, path: str) -> bool:
        """Is there a file or folder of this name?"""
        folder, name = os.path.split(path)
        return name in self.names(folder)

    def find(self, *paths: str) -> str | None:
        """The first of `paths` that is there, else the first with another video suffix, else None."""
        exact = next((path for path in paths if self.has(path)), None)
        if exact:
            return exact
        others = (_stem(path) + suffix for path in paths for suffix in _FOUND_SUFFIXES)
        return next((path for path in others if self.has(path)), None)

    def locate(self, *paths: str) -> str:
        """The first of `paths` that is there as a video file, else as a folder of images named like
        it; the first path where none is."""
        folders = (_stem(path) for path in paths)
        return self.find(*paths) or next((f for f in folders if self.has(f)), paths[0])


def is_video(path: str) -> bool:
    """Has the path the suffix of a video file?"""
    return os.path.splitext(path)[1].lower() in VIDEO_SUFFIXES


def _stem(path: str) -> str:
    return os.path.splitext(path)[0] if is_video(path) else path


def some(paths: Iterable[str], count: int = 3) -> str:
    """The first few paths in words, with how many there are beyond them."""
    paths = list(paths)
    rest = f" and {len(paths) - count} more" if len(paths) > count else ""
    return ", ".join(paths[:count]) + rest
