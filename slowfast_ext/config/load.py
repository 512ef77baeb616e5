"""YAML files and command-line pairs -> one checked, frozen tree that knows where each value came from."""

import ast
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml
from yacs.config import CfgNode

from slowfast_ext.config.legacy import translate
from slowfast_ext.config.problems import Check, Origin, Problem, raise_problems
from slowfast_ext.config.schema import get_cfg, import_files, schema, set_dotted
from slowfast_ext.errors import ConfigError
from slowfast_ext.options import Key
from slowfast_ext.registry import nearest

Values = dict[str, Origin]


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
    try:
        values = _flatten(yaml.compose(text, Loader=yaml.SafeLoader), Path(name))
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}: its configuration is no YAML: {error}") from error
    values.pop("IMPORT", None)
    known = schema()
    kept = {key: origin for key, origin in translate(values).items() if key in known}
    cfg, problems = _fitted({**kept, **translate(_read_pairs(pairs))})
    raise_problems(problems, kept)
    cfg.freeze()
    return cfg


def merge(
    files: Sequence[str | Path], pairs: Sequence[str] = ()
) -> tuple[CfgNode, Values, list[Problem]]:
    """The merged tree, the origin of each value that is set, and what is wrong with them."""
    sources = [_read_file(Path(file), ()) for file in files]
    import_files(_imports(sources, pairs))
    origins: Values = {}
    for source in [*sources, _read_pairs(pairs)]:
        origins.update(translate(source))
    cfg, problems = _fitted(origins)
    return cfg, origins, problems


def _fitted(origins: Values) -> tuple[CfgNode, list[Problem]]:
    cfg, problems = get_cfg(), []
    for dotted, origin in origins.items():
        value, problem = _fit(dotted, origin.value)
        if problem:
            problems.append(problem)
        else:
            set_dotted(cfg, dotted, value)
    return cfg, problems


def _fit(dotted: str, value: Any) -> tuple[Any, Problem | None]:
    key = schema().get(dotted)
    if key is None:
        return value, Problem(dotted, "no such key", _suggest(dotted))
    value = _coerce(value, key)
    complaint = key.complaint(value)
    return value, Problem(dotted, complaint, f"allowed: {key.allowed()}") if complaint else None


def _suggest(dotted: str) -> str:
    leaf = dotted.rsplit(".", 1)[-1]
    same_leaf = [name for name in schema() if name.rsplit(".", 1)[-1] == leaf]
    close = [*nearest(dotted, schema()), *same_leaf]
    if not close:
        return "see --explain for what there is"
    return f"did you mean {' or '.join(dict.fromkeys(close[:3]))}?"


def _coerce(value: Any, key: Key) -> Any:
    """Text for a key that is none is read as YAML (`true`), else as Python: 1e-4 and (1, 2) are text to YAML."""
    types = key.accepted_types
    if isinstance(value, str) and str not in types:
        value = _read_text(value)
    if float in types and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return list(value) if isinstance(value, tuple) else value


def _imports(sources: Sequence[Values], pairs: Sequence[str]) -> list[str]:
    """Files named by IMPORT: the command line over the last YAML file that has it."""
    named: Any = next((s["IMPORT"].value for s in reversed(sources) if "IMPORT" in s), [])
    given = dict(zip(pairs[::2], pairs[1::2], strict=False))
    if "IMPORT" in given:
        named = _read_text(given["IMPORT"])
    return [named] if isinstance(named, str) else list(named)


def _read_text(text: str) -> Any:
    try:
        value = yaml.safe_load(text)
        return ast.literal_eval(value) if isinstance(value, str) else value
    except (yaml.YAMLError, ValueError, SyntaxError):
        return text


def _read_pairs(pairs: Sequence[str]) -> Values:
    if len(pairs) % 2:
        raise ConfigError(
            f"command line: '{pairs[-1]}' has no value; overrides are KEY VALUE pairs"
        )
    return {
        key: Origin("command line", text if _is_text(key) else _read_text(text))
        for key, text in zip(pairs[::2], pairs[1::2], strict=True)
    }


def _is_text(dotted: str) -> bool:
    key = schema().get(dotted)
    return key is not None and key.accepted_types == (str,)


def _read_file(path: Path, parents: tuple[Path, ...]) -> Values:
    """Values of a file over those of its bases, later bases over earlier ones."""
    path = path.resolve()
    if path in parents:
        raise ConfigError(f"{path}: _BASE_ leads back to the file itself")
    own = _flatten(_parse(path), path)
    bases: Any = own.pop("_BASE_", Origin("", [])).value
    values: Values = {}
    for base in [bases] if isinstance(bases, str) else bases:
        values.update(_read_file(path.parent / Path(base).expanduser(), (*parents, path)))
    values.update(own)
    if "IMPORT" in own:
        place = own["IMPORT"].place
        files: Any = own["IMPORT"].value
        beside = [
            str(path.parent / file) for file in ([files] if isinstance(files, str) else files)
        ]
        values["IMPORT"] = Origin(place, beside)
    return values


def _parse(path: Path) -> yaml.Node | None:
    try:
        return yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such configuration file") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: not readable as YAML: {error}") from error


def _flatten(node: yaml.Node | None, path: Path, prefix: str = "") -> Values:
    """Dotted leaves of a YAML mapping with file and line; a mapping is always a section."""
    if node is None:
        return {}
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{path}:{node.start_mark.line + 1}: expected KEY: value lines")
    values: Values = {}
    for key_node, value_node in node.value:
        dotted = f"{prefix}{key_node.value}"
        if isinstance(value_node, yaml.MappingNode):
            values.update(_flatten(value_node, path, f"{dotted}."))
        else:
            place = f"{_short(path)}:{key_node.start_mark.line + 1}"
            values[dotted] = Origin(place, _construct(value_node))
    return values


def _construct(node: yaml.Node) -> Any:
    loader = yaml.SafeLoader("")
    return loader.construct_object(node, deep=True)


def _short(path: Path) -> str:
    """The path as seen from where the user stands, when it lies below."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
