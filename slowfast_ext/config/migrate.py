"""A published YAML file as one of ours, with comments, and what it does otherwise than our recipe."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from yacs.config import CfgNode

from slowfast_ext.config.explain import changed_keys
from slowfast_ext.config.legacy import translate
from slowfast_ext.config.load import load_config, read_pairs
from slowfast_ext.config.schema import get_dotted, known_keys
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

    `values`: what it sets; `dropped`: its keys that say nothing here; `cfg`: the whole tree.
    """

    file: Path
    values: Values
    dropped: tuple[str, ...]
    cfg: CfgNode


def migrate(file: str | Path, pairs: Sequence[str] = ()) -> Migrated:
    """Read a published file, with the KEY VALUE pairs of its script over it. Raises ConfigError for one whose model is not here or whose keys are unknown."""
    file = Path(file)
    given = read_settings(file)
    if "_BASE_" in given:
        raise ConfigError(f"{file}: has a _BASE_; it is one of ours already")
    over = read_pairs(pairs, known_keys())
    values = {**translate(given, told=False), **translate(over, told=False)}
    cfg = load_config([file], pairs)
    told = {word.strip("()") for origin in values.values() for word in origin.place.split()[1:]}
    dropped = tuple(key for key in {**given, **over} if key not in values and key not in told)
    return Migrated(file, values, dropped, cfg)


def as_yaml(migrated: Migrated, notes: Iterable[str] = ()) -> str:
    """The file in today's keys: a comment says which key a value had, or that the program did it without one."""
    lines = [
        f"# {migrated.file.name} in the keys of slowfast_ext; comments name the published keys."
    ]
    if migrated.dropped:
        lines += _wrapped("Left out, without effect there or here:", migrated.dropped)
    lines += [f"# {note}" for note in notes]
    tree: dict[str, Any] = {}
    for key in (key for key in known_keys() if key in migrated.values):
        *parents, leaf = key.split(".")
        node = tree
        for part in parents:
            node = node.setdefault(part, {})
        node[leaf] = (_plain(get_dotted(migrated.cfg, key)), _comment(migrated.values[key]))
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


def nearest_recipe(cfg: CfgNode, recipes: Iterable[Path]) -> Path | None:
    """The configuration file that differs from `cfg` in the fewest keys; none where there are no files."""
    own = changed_keys(cfg)
    found = [(len(differences(own, changed_keys(load_config([path])))), path) for path in recipes]
    return min(found)[1] if found else None


def difference_to(cfg: CfgNode, recipe: Path) -> list[str]:
    """Lines "KEY: published -> recipe", keys of the machine and of paths aside."""
    known = known_keys()
    pairs = differences(changed_keys(cfg), changed_keys(load_config([recipe])))
    return [
        f"{key}: {_told(key, old, known)} -> {_told(key, new, known)}"
        for key, (old, new) in pairs.items()
    ]


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Keys that two trees have different values for, both given by what is not the default (None: the default)."""
    return {
        key: (ours.get(key), theirs.get(key))
        for key in sorted({*ours, *theirs})
        if _matters(key) and _plain(ours.get(key)) != _plain(theirs.get(key))
    }


def _told(key: str, value: Any, known: Mapping[str, Any]) -> str:
    return shortened(_plain(known[key].default if value is None else value))


def _matters(key: str) -> bool:
    section, _, leaf = key.rpartition(".")
    return (
        key not in _OF_THE_MACHINE
        and section not in _SECTIONS_OF_THE_MACHINE
        and leaf not in _PATHS
    )
