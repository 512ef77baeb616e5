"""What a user names, VIDEO|FOLDER|GLOB|LIST, -> the videos."""

import csv
import glob
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from slowfast_ext.data.annotations.media import VIDEO_SUFFIXES, is_video
from slowfast_ext.data.annotations.text import read_lines
from slowfast_ext.data.records import VideoRecord
from slowfast_ext.data.storage.shards import is_address
from slowfast_ext.errors import DataError

LIST_SUFFIXES = (".txt", ".csv", ".tsv", ".lst")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
PATH_COLUMNS = ("path", "video", "file", "filename", "video_path")

_LABELS = re.compile(r"(?P<path>.+?)([ ,;\t]\d+)+$")


@dataclass(frozen=True)
class Listed:
    """A video and its path below the folder that was named, for files that are written about it."""

    record: VideoRecord
    below: str


def videos_of(named: Sequence[str]) -> list[Listed]:
    """The videos in order, each once: files, those in folders, of patterns, of lists (`-`: read from stdin).

    A folder of images is one video. Raises DataError for a path that is not there, and where no video is found.
    """
    found: dict[str, Listed] = {}
    for text in named:
        own = list(_expanded(text))
        if not own:
            raise DataError(f"{text}: {_what_is_in(text)}")
        for path, below, location in own:
            record = VideoRecord(path, (), location, name=path)
            found.setdefault(os.path.abspath(path), Listed(record, below))
    return list(found.values())


def _expanded(text: str) -> Iterator[tuple[str, str, str]]:
    """(path, path below what was named, location) of each video."""
    if text == "-":
        yield from _listed("-", "", enumerate((line.strip() for line in sys.stdin), 1))
    elif os.path.isdir(text):
        for path in _in_folder(text):
            yield path, _below(path, text), "command line"
    elif os.path.isfile(text) and text.lower().endswith(LIST_SUFFIXES):
        yield from _in_list(text)
    elif os.path.isfile(text):
        yield text, os.path.basename(text), "command line"
    elif glob.has_magic(text):
        yield from _matching(text)
    elif is_address(text):
        raise DataError(_no_address(text))
    else:
        raise DataError(f"{text}: no such file or folder")


def _in_folder(folder: str) -> Iterator[str]:
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        videos = sorted(name for name in files if is_video(name) and not name.startswith("."))
        if not videos and any(name.lower().endswith(IMAGE_SUFFIXES) for name in files):
            yield parent
        yield from (os.path.join(parent, name) for name in videos)


def _matching(pattern: str) -> Iterator[tuple[str, str, str]]:
    for path in sorted(glob.glob(pattern, recursive=True)):
        if os.path.isdir(path):
            own = [
                (video, os.path.relpath(video, os.path.dirname(path))) for video in _in_folder(path)
            ]
        else:
            own = [(path, os.path.basename(path))] if is_video(path) else []
        yield from ((video, below, "command line") for video, below in own)


def _in_list(path: str) -> Iterator[tuple[str, str, str]]:
    lines = ((location, text) for location, text in read_lines(path) if not text.startswith("#"))
    folder = os.path.dirname(path)
    if not path.lower().endswith((".csv", ".tsv")):
        yield from _listed(path, folder, lines)
        return
    rows = list(lines)
    header_line = rows[0][1] if rows else ""
    delimiter = "\t" if path.lower().endswith(".tsv") or "\t" in header_line else ","
    fields = [next(csv.reader([text], delimiter=delimiter)) for _, text in rows]
    header = [name.strip().lower() for name in fields[0]] if fields else []
    column = next((header.index(name) for name in PATH_COLUMNS if name in header), None)
    body = list(zip(rows, fields, strict=True))[0 if column is None else 1 :]
    paths = ((row[0], own[column or 0]) for row, own in body if len(own) > (column or 0))
    yield from _listed(path, folder, paths)


def _listed(
    name: str, folder: str, lines: Iterator[tuple[str | int, str]]
) -> Iterator[tuple[str, str, str]]:
    """Paths of a list, beside it or from here on; labels behind a path are left out."""
    for location, text in lines:
        path = text.strip().strip('"')
        if not path:
            continue
        where = location if isinstance(location, str) else f"{name}:{location}"
        if is_address(path):
            raise DataError(f"{where}: {_no_address(path)}")
        match = None if is_video(path) else _LABELS.fullmatch(path)
        path = match["path"] if match else path
        beside = os.path.join(folder, path)
        chosen = path if os.path.exists(path) and not os.path.exists(beside) else beside
        below = os.path.basename(path) if os.path.isabs(path) else os.path.normpath(path)
        yield chosen, below.replace(os.pardir + os.sep, ""), where


def _no_address(text: str) -> str:
    return f"{text}: is an address, not a file; download the video first"


def _below(path: str, folder: str) -> str:
    below = os.path.relpath(path, folder)
    return os.path.basename(os.path.abspath(path)) if below == os.curdir else below


def _what_is_in(text: str) -> str:
    """Why nothing was found."""
    suffixes = " ".join(VIDEO_SUFFIXES)
    if os.path.isdir(text):
        names = sorted(name for _, _, files in os.walk(text) for name in files)
        some = f"it has {len(names)} other files, {names[0]} for one" if names else "it is empty"
        return f"no videos in this folder (looked for {suffixes}); {some}"
    if os.path.isfile(text) or text == "-":
        return "names no video; write one path a line"
    return f"matches no video (looked for {suffixes})"
