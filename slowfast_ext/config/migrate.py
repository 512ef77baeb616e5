"""A published YAML file as one of ours, with comments, and what it does otherwise than our recipe."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from slowfast_ext.config.legacy import translate
from slowfast_ext.config.load import read_pairs, read_values
from slowfast_ext.config.schema import known_keys
from slowfast_ext.config.yaml_file import Origin, Values, read_settings
from slowfast_ext.errors import ConfigError
from slowfast_ext.options import shortened

_OF_THE_MACHINE = (
    "NUM_GPUS",
    "NUM_SHARDS",
    "SHARD_ID",
    "OUTPUT_DIR",
    "LOG_PERIOD",
    "DEVICE",
    "RNG_SEED",
)
_SECTIONS_OF_THE_MACHINE = ("DATA_LOADER", "TENSORBOARD", "WANDB")
_PATHS = ("PATH_TO_DATA_DIR", "PATH_PREFIX", "CHECKPOINT_FILE_PATH", "AUTO_RESUME")
_WIDTH = 52


@dataclass(frozen=True)
class Migrated:
    """A published file in today's keys.

    `origins`: of what it sets; `dropped`: its keys that say nothing here; `values`: what it sets, by key.
    """

    file: Path
    origins: Values
    dropped: tuple[str, ...]
    values: Mapping[str, Any]


def migrate(file: str | Path, pairs: Sequence[str] = ()) -> Migrated:
    """Read a published file, with the KEY VALUE pairs of its script over it. Raises ConfigError for one whose model is not here or whose keys are unknown."""
    file = Path(file)
    given = read_settings(file)
    if "_BASE_" in given:
        raise ConfigError(f"{file}: has a _BASE_; it is one of ours already")
    over = read_pairs(pairs, known_keys())
    origins = {**translate(given, told=False), **translate(over, told=False)}
    values = read_values([file], pairs)
    told = {word.strip("()") for origin in origins.values() for word in origin.place.split()[1:]}
    dropped = tuple(key for key in {**given, **over} if key not in origins and key not in told)
    return Migrated(file, origins, dropped, values)


def as_yaml(migrated: Migrated, notes: Iterable[str] = ()) -> str:
    """The file in today's keys: a comment says which key a value had, or that the program did it without one."""
    lines = [
        f"# {migrated.file.name} in the keys of slowfast_ext; comments name the published keys."
    ]
    if migrated.dropped:
        lines += _wrapped("Left out, without effect there or here:", migrated.dropped)
    lines += [f"# {note}" for note in notes]
    tree: dict[str, Any] = {}
    for key in (key for key in known_keys() if key in migrated.origins):
        *parents, leaf = key.split(".")
        node = tree
        for part in parents:
            node = node.setdefault(part, {})
        node[leaf] = (_plain(migrated.values[key]), _comment(migrated.origins[key]))
    return "\n".join([*lines, *_lines(tree, 0)]) + "\n"


def _comment(origin: Origin) -> str:
    _, bracket, key = origin.place.partition(" (")
    if origin.place == "as published":
        return "the program's own, without a key"
    return key.rstrip(")") if bracket else ""


def _lines(tree: Mapping[str, Any], depth: int) -> Iterator[str]:
    indent = "  " * depth
    for name, value in sorted(tree.items(), key=lambda item: isinstance(item[1], dict)):
        if isinstance(value, dict):
            yield f"{indent}{name}:"
            yield from _lines(value, depth + 1)
        else:
            line = f"{indent}{name}: {_scalar(value[0])}"
            yield f"{line:{_WIDTH}}  # {value[1]}" if value[1] else line


def _scalar(value: Any) -> str:
    """YAML of a value on one line that reads as the same value."""
    if isinstance(value, float):
        text = repr(value)
        return text if "." in text or "e" not in text else text.replace("e", ".0e")
    return (
        yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("\n...\n").strip()
    )


def _plain(value: Any) -> Any:
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _wrapped(title: str, names: Iterable[str]) -> Iterator[str]:
    line = f"# {title}"
    for name in names:
        if len(line) + len(name) > 110:
            yield line
            line = "#  "
        line += f" {name}"
    yield line


def nearest_recipe(values: Mapping[str, Any], recipes: Iterable[Path]) -> Path | None:
    """The configuration file that differs from `values` in the fewest keys; none where there are no files.

    Recipes with code of their own (IMPORT) are left out: no published file is of them, and they take torch.
    """
    plain = [path for path in recipes if "IMPORT" not in read_settings(path)]
    found = [(len(differences(values, read_values([path]))), path) for path in plain]
    return min(found)[1] if found else None


def difference_to(values: Mapping[str, Any], recipe: Path) -> list[str]:
    """Lines "KEY: published -> recipe", keys of the machine and of paths aside."""
    pairs = differences(values, read_values([recipe]))
    return [f"{key}: {shortened(old)} -> {shortened(new)}" for key, (old, new) in pairs.items()]


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Keys that two configurations have different values for; what they do not set has its default."""
    known = known_keys()
    pairs = {
        key: tuple(_plain(own.get(key, known[key].default)) for own in (one, other))
        for key in sorted({*one, *other})
        if _matters(key)
    }
    return {key: (old, new) for key, (old, new) in pairs.items() if old != new}


def _matters(key: str) -> bool:
    section, _, leaf = key.rpartition(".")
    return (
        key not in _OF_THE_MACHINE
        and section not in _SECTIONS_OF_THE_MACHINE
        and leaf not in _PATHS
    )
