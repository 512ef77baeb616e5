"""Where list files and class names lie, under the names that people and official sets give them."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from yacs.config import CfgNode

from slowfast_ext.data.annotations.text import read_lines
from slowfast_ext.errors import DataError
from slowfast_ext.options import Options, option, section


@section("DATA", "Videos, clips and views")
@dataclass(frozen=True)
class ListOptions(Options):
    """Videos, clips and views: the section DATA."""

    path_to_data_dir: str = option("", "folder of the annotation files")
    path_prefix: str = option("", "folder joined before every media path; empty: PATH_TO_DATA_DIR")
    path_label_separator: str = option(" ", "separator of path and label in list files")
    label_path_template: str = option(
        "",
        "name of the list files, {} is train, val (or validation) or test; empty: the data set's own names",
    )
    fold: int = option(
        1, "which of the three official splits of UCF101 and HMDB51", choices=(1, 2, 3)
    )
    allow_missing: float = option(
        0.0,
        "largest share of listed files that may be absent; they are left out and counted",
        low=0,
        high=1,
    )


@section("MODEL", "Backbone, head and regularisation")
@dataclass(frozen=True)
class ClassNameOptions(Options):
    """Backbone, head and regularisation: the section MODEL."""

    class_names: str = option(
        "", "file with a class name a line, where the data set has none of its own"
    )


SPLIT_NAMES = {
    "train": ("train", "training"),
    "val": ("val", "validation", "valid"),
    "test": ("test", "testing", "val", "validation", "valid"),
}
"""Names of a split in file names, best first; tests fall back on the validation list."""

CLASS_FILES = ("classes.txt", "category.txt", "labels.txt")


def find_list(cfg: CfgNode, split: str, *templates: str) -> str:
    """Path of the list file of a split in DATA.PATH_TO_DATA_DIR.

    DATA.LABEL_PATH_TEMPLATE, where set, goes before the set's own `templates` ("{}.csv").
    Raises DataError with the names looked for and the files that are there.
    """
    found = search_list(cfg, split, *templates)
    if found:
        return found
    folder = cfg.DATA.PATH_TO_DATA_DIR
    if not os.path.isdir(folder):
        raise DataError(
            f"DATA.PATH_TO_DATA_DIR '{folder}' is not a folder; set it to that of the lists"
        )
    looked_for = ", ".join(_names(cfg, split, templates))
    there = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    raise DataError(
        f"{folder}: no list of the {split} videos; looked for {looked_for};"
        f" the folder has {', '.join(there[:8]) or 'nothing'}{' ...' if len(there) > 8 else ''}."
        " Set DATA.PATH_TO_DATA_DIR, or DATA.LABEL_PATH_TEMPLATE where the list has another name"
    )


def search_list(cfg: CfgNode, split: str, *templates: str) -> str | None:
    """As `find_list`, None where there is no such file."""
    return file_in(cfg, _names(cfg, split, templates))


def file_in(cfg: CfgNode, names: Iterable[str]) -> str | None:
    """Path of the first of `names` that is a file in DATA.PATH_TO_DATA_DIR."""
    paths = (os.path.join(cfg.DATA.PATH_TO_DATA_DIR, name) for name in names)
    return next((path for path in paths if os.path.isfile(path)), None)


def _names(cfg: CfgNode, split: str, templates: Sequence[str]) -> list[str]:
    own = cfg.DATA.LABEL_PATH_TEMPLATE
    patterns = [own] if own else templates
    names = [pattern.replace("{}", word) for word in SPLIT_NAMES[split] for pattern in patterns]
    return list(dict.fromkeys(names))


def media_root(cfg: CfgNode) -> str:
    """Folder that relative media paths start from."""
    return cfg.DATA.PATH_PREFIX or cfg.DATA.PATH_TO_DATA_DIR


def class_names(cfg: CfgNode, *own: str) -> tuple[str, ...]:
    """Names from MODEL.CLASS_NAMES, else from a file beside the lists (`own` first), else ()."""
    if cfg.MODEL.CLASS_NAMES:
        return read_names(cfg.MODEL.CLASS_NAMES)
    found = file_in(cfg, (*own, *CLASS_FILES))
    return read_names(found) if found else ()


def read_names(path: str) -> tuple[str, ...]:
    """A class name a line, in the order of the labels."""
    names = tuple(text.strip() for _, text in read_lines(path))
    twice = (
        {name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else ()
    )
    if twice:
        raise DataError(f"{path}: the class name '{min(twice)}' is there twice")
    return names
