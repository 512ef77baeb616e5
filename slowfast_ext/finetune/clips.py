"""One's own videos: a folder for each class, or a table with the columns path and label."""

import csv
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from slowfast_ext.data.annotations.class_folders import TABLE, read_tree
from slowfast_ext.data.annotations.lists import SPLIT_NAMES
from slowfast_ext.data.annotations.media import VIDEO_SUFFIXES, is_video, some
from slowfast_ext.data.annotations.text import read_lines
from slowfast_ext.data.records import SPLITS
from slowfast_ext.errors import DataError
from slowfast_ext.safe_text import visible

COLUMNS = {
    "path": ("path", "video", "file"),
    "label": ("label", "class"),
    "split": ("split",),
    "group": ("group", "source", "source_seq"),
}
"""What a table may hold, and the headings by which it is known."""

TABLE_SUFFIXES = (".csv", ".tsv", ".txt")
_SEPARATORS = ("\t", ",", ";")


@dataclass(frozen=True)
class Clip:
    """A labelled video. `split` is "" as long as none is chosen, `group` names what it was cut from ("": itself)."""

    path: str
    label: str
    location: str
    split: str = ""
    group: str = ""


def read_clips(source: Path) -> list[Clip]:
    """All videos of a folder or a table, by path. Raises DataError with what is wrong and where."""
    if source.is_dir():
        table = source / TABLE
        clips = _read_table(table) if table.is_file() else _read_folder(source)
    elif source.is_file() and source.suffix.lower() in TABLE_SUFFIXES:
        clips = _read_table(source)
    elif source.is_file():
        kinds = ", ".join(TABLE_SUFFIXES)
        raise DataError(
            f"{source}: is neither a folder with one folder a class nor a table ({kinds})"
        )
    else:
        raise DataError(f"{source}: no such folder or file")
    return sorted(clips, key=lambda clip: clip.path)


def class_names(clips: Sequence[Clip]) -> tuple[str, ...]:
    """Names in alphabetical order, numbers by their value: the label is the position."""
    names = {clip.label for clip in clips}
    if all(name.isdecimal() for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))


def empty_folders(source: Path) -> list[str]:
    """Folders that look like classes but hold no video."""
    if not source.is_dir() or (source / TABLE).is_file() or _has_splits(source):
        return []
    folders = (p for p in sorted(source.iterdir()) if p.is_dir() and not p.name.startswith("."))
    return [folder.name for folder in folders if not any(map(_is_clip, folder.iterdir()))]


def _is_clip(path: Path) -> bool:
    return is_video(path.name) and not path.name.startswith(".")


def _has_splits(root: Path) -> bool:
    return any((root / name).is_dir() for name in SPLIT_NAMES["train"])


def _read_folder(root: Path) -> list[Clip]:
    try:
        tree = read_tree(str(root))
    except DataError:
        raise DataError(f"{root}: {_why_empty(root)}") from None
    keeps_split = _has_splits(root)
    return [
        Clip(
            os.path.abspath(root / own.path),
            own.class_name,
            own.location,
            own.split if keeps_split else "",
        )
        for own in tree
    ]


def _why_empty(root: Path) -> str:
    """What is in a folder that has no videos where they should be."""
    wanted = f"put them at {root / '<class>' / '<video>'}"
    if any(map(_is_clip, root.iterdir())):
        return f"the videos lie in no class folder; {wanted}"
    files = [path for path in root.rglob("*") if path.is_file() and not path.name.startswith(".")]
    if any(map(_is_clip, files)):
        return f"the videos lie deeper than one folder a class; {wanted}"
    kinds = Counter(path.suffix.lower() or "without suffix" for path in files)
    found = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(5)) or "nothing"
    return f"no videos ({' '.join(VIDEO_SUFFIXES)}); it holds {found}; {wanted}"


def _read_table(path: Path) -> list[Clip]:
    rows = _rows(path)
    columns = _columns(path, next(rows, ("", []))[1])
    clips: dict[str, Clip] = {}
    for location, fields in rows:
        if len(fields) <= max(columns.values()):
            raise DataError(f"{location}: {len(fields)} fields, too few for the header")
        clip = _clip(
            path.parent, {key: fields[at].strip() for key, at in columns.items()}, location
        )
        first = clips.setdefault(clip.path, clip)
        if replace(first, location="") != replace(clip, location=""):
            raise DataError(
                f"{location}: {clip.path} is listed with other facts at {first.location}"
            )
    if not clips:
        raise DataError(f"{path}: lists no videos")
    _require_files(path, list(clips.values()))
    return list(clips.values())


def _rows(path: Path) -> Iterator[tuple[str, list[str]]]:
    separator = ""
    for location, text in read_lines(str(path)):
        separator = separator or next((mark for mark in _SEPARATORS if mark in text), ",")
        yield location, next(csv.reader([text], delimiter=separator, skipinitialspace=True))


def _columns(path: Path, header: Sequence[str]) -> dict[str, int]:
    """Where each column stands. Raises DataError where path or label has none."""
    words = [word.strip().lower() for word in header]
    found = {
        key: words.index(word)
        for key, names in COLUMNS.items()
        if (word := next((name for name in names if name in words), ""))
    }
    absent = [key for key in ("path", "label") if key not in found]
    if absent:
        raise DataError(
            f"{path}:1: no column {' and '.join(absent)}; the first line must name the columns, "
            f"path,label[,split][,group]; it is '{','.join(header)[:80]}'"
        )
    return found


def _clip(folder: Path, row: dict[str, str], location: str) -> Clip:
    if not row["path"] or not row["label"]:
        raise DataError(f"{location}: the {'label' if row['path'] else 'path'} is empty")
    split = _split_named(row.get("split", ""), location)
    path = os.path.abspath(folder / Path(row["path"]).expanduser())
    return Clip(path, row["label"], location, split, row.get("group", ""))


def _split_named(word: str, location: str) -> str:
    names = {name: split for split in SPLITS for name in SPLIT_NAMES[split][:2]} | {"valid": "val"}
    if word and word.lower() not in names:
        raise DataError(f"{location}: the split '{word}' is not one of {', '.join(SPLITS)}")
    return names[word.lower()] if word else ""


def _require_files(path: Path, clips: Sequence[Clip]) -> None:
    missing = [
        f"{visible(clip.path)} ({visible(clip.location)})"
        for clip in clips
        if not os.path.isfile(clip.path)
    ]
    if missing:
        raise DataError(
            f"{path}: {len(missing)} of {len(clips)} files are not there: {some(missing)}; paths start from the "
            "folder of the table"
        )
