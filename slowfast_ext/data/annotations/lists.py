"""Where list files and class names lie, under the names that people and official sets give them."""

import os
from collections.abc import Iterable
from dataclasses import dataclass

from slowfast_ext.data.annotations.text import read_lines
from slowfast_ext.errors import DataError
from slowfast_ext.options import Options, option, section
from slowfast_ext.safe_text import visible


@section("DATA", "Videos, clips and views")
@dataclass(frozen=True)
class ListOptions(Options):
    """Where the lists and videos of a data set are."""

    path_to_data_dir: str = option("", "folder of the annotation files")
    path_prefix: str = option("", "folder joined before every media path; empty: PATH_TO_DATA_DIR")
    path_label_separator: str = option(" ", "separator of path and label in list files")
    label_path_template: str = option(
        "",
        "name of the list files, {} is train, val (or validation) or test; empty: the data set's own names",
    )
    allow_missing: float = option(
        0.0,
        "largest share of listed files that may be absent; they are left out and counted",
        low=0,
        high=1,
    )


@section("DATA", "Videos, clips and views")
@dataclass(frozen=True)
class FoldOptions(Options):
    """Sets with several official splits."""

    fold: int = option(
        1, "which of the three official splits of UCF101 and HMDB51", choices=(1, 2, 3)
    )


@section("MODEL", "Backbone, head and regularisation")
@dataclass(frozen=True)
class ClassNameOptions(Options):
    """Names of the classes."""

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


@dataclass(frozen=True)
class Lists:
    """The list files of a data set: where they are and how they are written. What every reader is given.

    Args:
        folder: of the annotation files.
        media_folder: that relative paths of videos start from; empty: `folder`.
        template: name of the list files, {} being the split; empty: the set's own names.
        separator: of path and label in a list.
        class_file: with a class name a line; empty: the set's own.
        labels_per_video: that a line has, where its form does not say; None: any number.
    """

    folder: str
    media_folder: str = ""
    template: str = ""
    separator: str = " "
    class_file: str = ""
    labels_per_video: int | None = 1

    @property
    def media_root(self) -> str:
        """Folder that relative paths of videos start from."""
        return self.media_folder or self.folder

    def find(self, split: str, *templates: str) -> str:
        """Path of the list file of a split.

        `template`, where set, goes before the set's own `templates` ("{}.csv").
        Raises DataError with the names looked for and the files that are there.
        """
        found = self.search(split, *templates)
        if found:
            return found
        if not os.path.isdir(self.folder):
            raise DataError(
                f"DATA.PATH_TO_DATA_DIR '{self.folder}' is not a folder; set it to that of the lists"
            )
        looked_for = ", ".join(self._names(split, templates))
        there = sorted(name for name in os.listdir(self.folder) if not name.startswith("."))
        raise DataError(
            f"{self.folder}: no list of the {split} videos; looked for {looked_for};"
            f" the folder has {', '.join(there[:8]) or 'nothing'}{' ...' if len(there) > 8 else ''}."
            " Set DATA.PATH_TO_DATA_DIR, or DATA.LABEL_PATH_TEMPLATE where the list has another name"
        )

    def search(self, split: str, *templates: str) -> str | None:
        """As `find`, None where there is no such file."""
        return self.file(self._names(split, templates))

    def file(self, names: Iterable[str]) -> str | None:
        """Path of the first of `names` that is a file in the folder."""
        paths = (os.path.join(self.folder, name) for name in names)
        return next((path for path in paths if os.path.isfile(path)), None)

    def class_names(self) -> tuple[str, ...]:
        """Names from `class_file`, else from a file of a customary name beside the lists, else ()."""
        found = self.class_file or self.file(CLASS_FILES)
        return read_names(found) if found else ()

    def _names(self, split: str, templates: Iterable[str]) -> list[str]:
        patterns = [self.template] if self.template else list(templates)
        names = [pattern.replace("{}", word) for word in SPLIT_NAMES[split] for pattern in patterns]
        return list(dict.fromkeys(names))


def read_names(path: str) -> tuple[str, ...]:
    """A class name a line, in the order of the labels."""
    names = tuple(visible(text.strip()) for _, text in read_lines(path))
    twice = (
        {name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else ()
    )
    if twice:
        raise DataError(f"{path}: the class name '{min(twice)}' is there twice")
    return names
