"""YAML files and command-line pairs -> one checked, frozen tree that knows where each value came from."""

import ast
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from slowfast_ext.config.legacy import translate
from slowfast_ext.config.problems import Check, Problem, raise_problems
from slowfast_ext.config.schema import get_cfg, import_files, known_keys, schema, set_dotted
from slowfast_ext.config.yaml_file import (
    Origin,
    Values,
    read_settings,
    read_value,
    settings_in,
    short,
)
from slowfast_ext.errors import ConfigError
from slowfast_ext.options import Key, shortened
from slowfast_ext.registry import nearest

Keys = Mapping[str, Key]

COMMAND_LINE = "command line"
IS_KEY = re.compile(r"[A-Z][A-Z0-9_]*(\.[A-Z0-9_]+)*").fullmatch
"""Whether a word of a command line looks like a key."""

_LONGEST_NAME = 80
_MOST_BASES = 20


def load_config(
    files: str | Path | Sequence[str | Path] = (),
    pairs: Sequence[str] = (),
    checks: Iterable[Check] = (),
) -> CfgNode:
    """Merge YAML files (each over its `_BASE_` files), then KEY VALUE pairs, and freeze the result.

    `checks` are called on the merged tree and yield further problems. Python files that IMPORT names are run first.
    Raises ConfigError that lists all problems at once, each with its file and line.
    """
    files = [files] if isinstance(files, (str, Path)) else files
    cfg, origins, problems = merge(files, pairs)
    if not problems:
        problems = [problem for check in checks for problem in check(cfg)]
    raise_problems(problems, origins)
    cfg.freeze()
    return cfg


def load_text(text: str, name: str, pairs: Sequence[str] = ()) -> CfgNode:
    """The tree of a configuration that a checkpoint holds, KEY VALUE pairs over it, frozen.

    `name` stands in messages. Python files that it names in IMPORT are not run: who needs them imports them before.
    Keys that are not known any more are left out. Raises ConfigError.
    """
    values = settings_in(text, name)
    values.pop("IMPORT", None)
    known = schema()
    kept = {key: origin for key, origin in translate(values).items() if key in known}
    cfg, problems = _fitted({**kept, **translate(read_pairs(pairs, known))}, known)
    raise_problems(problems, kept)
    cfg.freeze()
    return cfg


def refuse_mistakes(files: Sequence[str | Path], pairs: Sequence[str] = ()) -> None:
    """Raise ConfigError for mistakes in keys and values, as `load_config` would, before torch is loaded.

    Files with IMPORT are left to `load_config`: what they register may add keys.
    """
    sources = [_read_file(Path(file), ()) for file in files]
    if not _imports(sources, pairs):
        _refuse_mistakes(sources, pairs)


def read_values(files: Sequence[str | Path], pairs: Sequence[str] = ()) -> dict[str, Any]:
    """What files and pairs set, by key, as a tree would have it; torch is not loaded for that. Raises ConfigError."""
    sources = [_read_file(Path(file), ()) for file in files]
    imports = _imports(sources, pairs)
    import_files(imports)
    return _values(sources, pairs, schema() if imports else known_keys())


def merge(
    files: Sequence[str | Path], pairs: Sequence[str] = ()
) -> tuple[CfgNode, Values, list[Problem]]:
    """The merged tree, the origin of each value that is set, and what is wrong with them."""
    sources = [_read_file(Path(file), ()) for file in files]
    imports = _imports(sources, pairs)
    if not imports:
        _refuse_mistakes(sources, pairs)
    import_files(imports)
    known = schema()
    origins = _origins(sources, pairs, known)
    cfg, problems = _fitted(origins, known)
    return cfg, origins, problems


def _refuse_mistakes(sources: Sequence[Values], pairs: Sequence[str]) -> None:
    """Raise ConfigError for mistakes in keys and values before the models, and with them torch, are loaded."""
    _values(sources, pairs, known_keys())


def _values(sources: Sequence[Values], pairs: Sequence[str], keys: Keys) -> dict[str, Any]:
    origins = _origins(sources, pairs, keys, told=False)
    fitted = {dotted: _fit(dotted, origin.value, keys) for dotted, origin in origins.items()}
    raise_problems([problem for _, problem in fitted.values() if problem], origins)
    return {dotted: value for dotted, (value, _) in fitted.items() if dotted in keys}


def _origins(
    sources: Sequence[Values], pairs: Sequence[str], keys: Keys, told: bool = True
) -> Values:
    origins: Values = {}
    for source in [*sources, read_pairs(pairs, keys)]:
        origins.update(translate(source, told))
    return origins


def _fitted(origins: Values, keys: Keys) -> tuple[CfgNode, list[Problem]]:
    cfg, problems = get_cfg(), []
    for dotted, origin in origins.items():
        value, problem = _fit(dotted, origin.value, keys)
        if problem:
            problems.append(problem)
        elif dotted in keys:
            set_dotted(cfg, dotted, value)
    return cfg, problems


def _fit(dotted: str, value: Any, keys: Keys) -> tuple[Any, Problem | None]:
    key = keys.get(dotted)
    if key is None:
        return value, _unknown(dotted, value, keys)
    value = _coerce(value, key)
    complaint = key.complaint(value)
    return value, Problem(dotted, complaint, f"allowed: {key.allowed()}") if complaint else None


def _unknown(dotted: str, value: Any, keys: Keys) -> Problem | None:
    """What is wrong with a name that is no key; nothing with a section that is empty."""
    inside = [name for name in keys if name.startswith(f"{dotted}.")]
    if not inside:
        return Problem(dotted, "no such key", _suggest(dotted, keys))
    if value == {}:
        return None
    leaf = inside[0].removeprefix(f"{dotted}.")
    return Problem(dotted, "is a section", f"write its keys below it, indented: {leaf}: ...")


def _suggest(dotted: str, keys: Keys) -> str:
    leaf = dotted.rsplit(".", 1)[-1]
    same_leaf = [name for name in keys if name.rsplit(".", 1)[-1] == leaf]
    close = [*nearest(dotted[-_LONGEST_NAME:], keys), *same_leaf]
    if not close:
        return "see --explain for what there is"
    return f"did you mean {' or '.join(dict.fromkeys(close[:3]))}?"


def _coerce(value: Any, key: Key) -> Any:
    """Text for a key that is none is read as YAML (`true`), else as Python: 1e-4 and (1, 2) are text to YAML.

    One text where a list of texts is wanted is a list of one.
    """
    types = key.accepted_types
    if isinstance(value, str) and str not in types:
        value = _read_text(value)
        if isinstance(value, str) and list in types and str in key.item_types:
            return [value]
    if float in types and isinstance(value, int) and not isinstance(value, bool):
        with suppress(OverflowError):
            return float(value)
    return list(value) if isinstance(value, tuple) else value


def _imports(sources: Sequence[Values], pairs: Sequence[str]) -> list[str]:
    """Files named by IMPORT: the command line over the last YAML file that has it."""
    found = next((s["IMPORT"] for s in reversed(sources) if "IMPORT" in s), Origin("", []))
    given = dict(split_pairs(pairs)).get("IMPORT")
    if given is not None:
        found = Origin(COMMAND_LINE, _read_text(given))
    return _names("IMPORT", found)


def _names(key: str, origin: Origin) -> list[str]:
    """File names, where one or a list is given. Raises ConfigError."""
    names = [origin.value] if isinstance(origin.value, str) else origin.value
    if isinstance(names, (list, tuple)) and all(isinstance(name, str) for name in names):
        return list(names)
    raise ConfigError(
        f"{origin.place}: {key} = {shortened(origin.value)}: give the path of a file, or a list of paths"
    )


def _read_text(text: str) -> Any:
    try:
        value = read_value(text)
        return ast.literal_eval(value) if isinstance(value, str) else value
    except (ConfigError, ValueError, SyntaxError, RecursionError, MemoryError):
        return text


def read_pairs(pairs: Sequence[str], keys: Keys) -> Values:
    """Values of the pairs of a command line."""
    return {
        key: Origin(COMMAND_LINE, text if _is_text(key, keys) else _read_text(text))
        for key, text in split_pairs(pairs)
    }


def split_pairs(words: Sequence[str]) -> list[tuple[str, str]]:
    """KEY VALUE pairs of a command line, which may also be written KEY=VALUE. Raises ConfigError for a key alone."""
    pairs, rest = [], list(words)
    while rest:
        word = rest.pop(0)
        key, equals, value = word.partition("=")
        if equals and IS_KEY(key):
            pairs.append((key, value))
        elif rest:
            pairs.append((word, rest.pop(0)))
        else:
            raise ConfigError(
                f"{COMMAND_LINE}: '{shortened(word)[1:-1]}' has no value; write KEY VALUE pairs, or KEY=VALUE"
            )
    return pairs


def _is_text(dotted: str, keys: Keys) -> bool:
    return dotted in keys and keys[dotted].accepted_types == (str,)


def _read_file(path: Path, parents: tuple[Path, ...]) -> Values:
    """Values of a file over those of its bases, later bases over earlier ones."""
    path = Path(os.path.abspath(path))
    if path in parents:
        chain = " -> ".join(short(file) for file in (*parents, path))
        raise ConfigError(f"{short(path)}: _BASE_ leads back to the file itself: {chain}")
    if len(parents) >= _MOST_BASES:
        raise ConfigError(
            f"{short(path)}: more than {_MOST_BASES} files are the _BASE_ of one another"
        )
    own = read_settings(path)
    bases = own.pop("_BASE_", Origin("", []))
    values: Values = {}
    for base in _names("_BASE_", bases):
        try:
            values.update(_read_file(path.parent / Path(base).expanduser(), (*parents, path)))
        except ConfigError as error:
            raise _at(bases.place, error) from error
    values.update(own)
    if "IMPORT" in own:
        beside = [str(path.parent / file) for file in _names("IMPORT", own["IMPORT"])]
        values["IMPORT"] = Origin(own["IMPORT"].place, beside)
    return values


def _at(place: str, error: ConfigError) -> ConfigError:
    """The same words, with the line of the _BASE_ that led there, once."""
    words = str(error)
    return error if "(_BASE_ of " in words else ConfigError(f"{words} (_BASE_ of {place})")
