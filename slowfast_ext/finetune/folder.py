"""The output folder of a finetuning: what was asked for, which video is in which split, the recipe with its reasons."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from slowfast_ext.data.annotations.manifest import write_manifest
from slowfast_ext.data.records import VideoRecord, VideoSet
from slowfast_ext.errors import ConfigError
from slowfast_ext.files import write_atomically
from slowfast_ext.finetune.clips import Clip
from slowfast_ext.finetune.recipe import Choice, plain
from slowfast_ext.finetune.start import Settings

Request = Mapping[str, Any]
"""What a command asks for: source, from, model, epochs, ..., as plain values."""


@dataclass(frozen=True)
class RunFolder:
    """Names of the files in an output folder."""

    path: Path

    @property
    def data(self) -> Path:
        """Lists, split and verdicts; DATA.PATH_TO_DATA_DIR."""
        return self.path / "data"

    @property
    def split(self) -> Path:
        """Every usable video with class, split and group: a table that the command takes too."""
        return self.data / "split.csv"

    @property
    def recipe(self) -> Path:
        """The settings that differ from the defaults, with reasons."""
        return self.path / "recipe.yaml"

    @property
    def config(self) -> Path:
        """The merged configuration, as every run leaves it."""
        return self.path / "config.yaml"

    @property
    def _request(self) -> Path:
        return self.path / "finetune.json"

    def is_begun(self, request: Request) -> bool:
        """Whether this very run is in the folder. Raises ConfigError where another run is, or anything else."""
        if self._request.is_file():
            before = json.loads(self._request.read_text(encoding="utf-8"))
            changed = [key for key in request if before.get(key) != request[key]]
            if changed:
                lines = (
                    f"  {key}: {before.get(key)!r} then, {request[key]!r} now" for key in changed
                )
                raise ConfigError(
                    "\n".join(
                        [f"{self.path}: is the folder of another run; choose another --out", *lines]
                    )
                )
            return True
        if self.path.is_file():
            raise ConfigError(f"{self.path}: is a file; --out is a folder")
        own = {self.data.name, self.recipe.name}
        others = sorted(p.name for p in self.path.iterdir()) if self.path.is_dir() else []
        others = [name for name in others if name not in own]
        if others:
            raise ConfigError(
                f"{self.path}: holds {', '.join(others[:5])}, which this run has not written; choose another --out"
            )
        return False

    def begin(self, request: Request, config: str) -> None:
        """From now on the folder is that of the request."""
        write_atomically(self.config, lambda path: path.write_text(config, encoding="utf-8"))
        text = json.dumps(request, indent=2) + "\n"
        write_atomically(self._request, lambda path: path.write_text(text, encoding="utf-8"))

    def write_split(self, clips: Sequence[Clip], classes: Sequence[str]) -> None:
        """split.csv, and a manifest of each split that training reads."""
        rows = [("path", "label", "split", "group")]
        rows += [(clip.path, clip.label, clip.split, clip.group) for clip in clips]
        write_atomically(self.split, lambda path: _write_rows(path, rows))
        for split in dict.fromkeys(clip.split for clip in clips):
            records = [
                VideoRecord(
                    clip.path, (classes.index(clip.label),), clip.location, Path(clip.path).name
                )
                for clip in clips
                if clip.split == split
            ]
            own = VideoSet("manifest", split, records, (tuple(classes),))
            write_manifest(own, records, str(self.data))

    def write_recipe(self, base: Settings, choices: Sequence[Choice], heading: str) -> None:
        """The settings as YAML: those of the choices in comments with their reasons."""
        merged = dict(base)
        for choice in choices:
            merged |= choice.settings
        tree: dict[str, Any] = {}
        for dotted, value in sorted(merged.items()):
            *parents, leaf = dotted.split(".")
            node = tree
            for parent in parents:
                node = node.setdefault(parent, {})
            node[leaf] = plain(value)
        reasons = [f"# {choice.what}: {choice.why}" for choice in choices if choice.what]
        text = "\n".join([f"# {heading}", *reasons, yaml.safe_dump(tree, sort_keys=False)])
        write_atomically(self.recipe, lambda path: path.write_text(text, encoding="utf-8"))


def _write_rows(path: Path, rows: Sequence[Sequence[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
