"""YAML -> settings with their places. Whatever is wrong with a file is one ConfigError: file, line and what to do."""

import difflib
import itertools
import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from slowfast_ext.errors import ConfigError

MAX_BYTES = 256 << 10
MAX_VALUES = 10_000
MAX_DEPTH = 20
MAX_BRACKETS = 100
"""Far above any configuration, far below what a reader of YAML takes seconds or gigabytes for."""

_TAGS = frozenset(
    f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "seq", "map")
)
_MERGE = "tag:yaml.org,2002:merge"
_HINTS = (
    ("'\\t'", "indent with spaces, not tabs"),
    (
        "mapping values are not allowed",
        "write KEY: value on a line of its own; quote text that holds ': '",
    ),
    ("could not find expected ':'", "write KEY: value"),
    ("undefined alias", "quote text that begins with *"),
    ("special characters are not allowed", "save the file as plain text"),
)


@dataclass(frozen=True)
class Origin:
    """Where a value was set."""

    place: str
    value: object


Values = dict[str, Origin]

_OF_A_PUBLISHED_FILE = "MODEL.ARCH"
"""Files of PySlowFast's family have this key, ours have not. Each of UniFormer's gives a key twice, with one value."""


class _Loader(yaml.SafeLoader):
    """Dates stay text: no setting is one."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as PyYAML declares it
        first: [rule for rule in rules if not rule[0].endswith(":timestamp")]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def read_settings(path: Path) -> Values:
    """Dotted settings of a file. Raises ConfigError."""
    name = short(path)
    values = settings_in(_text(path, name), name)
    if not values:
        raise ConfigError(f"{name}: is empty; write KEY: value lines, or leave the file out")
    return values


def settings_in(text: str, name: str) -> Values:
    """Dotted settings of YAML text; `name` stands in messages. Raises ConfigError.

    Hundreds of recipes share a few bases, so that what was read is kept; each caller has values of its own.
    """
    found = _settings_in(text, name)
    return {key: Origin(own.place, deepcopy(own.value)) for key, own in found.items()}


@lru_cache(maxsize=1024)
def _settings_in(text: str, name: str) -> Values:
    node = _compose(text, name)
    if node is None:
        return {}
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{name}:{_line(node)}: expected KEY: value lines")
    repeated: list[ConfigError] = []
    values = _flatten(node, name, repeated)
    if repeated and _OF_A_PUBLISHED_FILE not in values:
        raise repeated[0]
    return values


def read_value(text: str) -> Any:
    """What YAML makes of a text on its own. Raises ConfigError."""
    node = _compose(text, "value")
    return None if node is None else _construct(node, "value")


def short(path: Path) -> str:
    """The path as seen from where the user stands, when it lies below."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _text(path: Path, name: str) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(f"{name}: no such configuration file{_similar(path)}") from None
    except IsADirectoryError:
        raise ConfigError(
            f"{name}: is a folder, not a configuration file{_similar(path / 'x')}"
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{name!r}: cannot be read: {reason}") from error
    if len(content) > MAX_BYTES:
        raise ConfigError(
            f"{name}: is larger than {MAX_BYTES >> 10} KiB, so it is not a configuration file"
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigError(f"{name}:{line}: is not UTF-8 text; save the file as UTF-8") from None


def _similar(path: Path) -> str:
    """The YAML files beside a path that is none, the most similar ones first."""
    try:
        there = sorted(
            file.name for file in path.parent.iterdir() if file.suffix in (".yaml", ".yml")
        )
    except OSError:
        return f"; {path.parent} is no folder"
    best = difflib.get_close_matches(path.name, there, n=3, cutoff=0.5) or there[:3]
    return f"; there {'are' if len(best) > 1 else 'is'} {', '.join(best)}" if best else ""


def _compose(text: str, name: str) -> yaml.Node | None:
    if _open_brackets(text) > MAX_BRACKETS:
        raise ConfigError(
            f"{name}: has {MAX_BRACKETS} brackets open at once; lists of lists are enough"
        )
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise ConfigError(f"{name}{line}: not valid YAML: {_in_words(error.problem)}") from error
    except yaml.reader.ReaderError as error:
        number = text[: error.position].count("\n") + 1
        raise ConfigError(f"{name}:{number}: not valid YAML: {_in_words(error.reason)}") from error
    except RecursionError:
        raise ConfigError(
            f"{name}: is nested too deeply; sections of sections are enough"
        ) from None
    if node is not None:
        _require_modest(node, name)
    return node


def _open_brackets(text: str) -> int:
    """The most that are open at once; the time that PyYAML takes grows with the square of it."""
    opened = itertools.accumulate(
        1 if bracket in "[{" else -1 for bracket in re.findall(r"[][{}]", text)
    )
    return max(opened, default=0)


def _in_words(problem: str | None) -> str:
    problem = problem or "not readable"
    hint = next(
        (hint for sign, hint in _HINTS if sign in problem),
        "lines are KEY: value, below sections indented by spaces",
    )
    return f"{problem}; {hint}"


def _require_modest(node: yaml.Node, name: str) -> None:
    """Refuse tags that are not of plain values, and aliases that contain themselves or multiply."""
    waiting, seen = [(node, 0)], 0
    while waiting:
        node, depth = waiting.pop()
        seen += 1
        if seen > MAX_VALUES or depth > MAX_DEPTH:
            raise ConfigError(
                f"{name}:{_line(node)}: more than {MAX_VALUES} values or {MAX_DEPTH} levels, perhaps by an alias "
                "(*name) that contains itself or others; write the values out"
            )
        if node.tag not in _TAGS and node.tag != _MERGE:
            raise ConfigError(
                f"{name}:{_line(node)}: tag {_plain_tag(node.tag)} is not understood; settings are text, numbers, true, "
                "false, null and lists: leave the tag out, or quote text that begins with !"
            )
        waiting += [(child, depth + 1) for child in _children(node)]


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        yield from node.value
    elif isinstance(node, yaml.MappingNode):
        for pair in node.value:
            yield from pair


def _plain_tag(tag: str) -> str:
    return re.sub("^tag:yaml.org,2002:", "!!", tag)


def _flatten(
    node: yaml.MappingNode, name: str, repeated: list[ConfigError], prefix: str = ""
) -> Values:
    """Dotted leaves of a mapping; its own win over those that `<<` merges into it.

    A key with two values is an error; one that is given twice with the same value is added to `repeated`.
    """
    merged: Values = {}
    own: Values = {}
    lines: dict[str, int] = {}
    for key_node, value_node in node.value:
        if key_node.tag == _MERGE:
            merged |= _merged(value_node, name, repeated, prefix)
            continue
        if not isinstance(key_node, yaml.ScalarNode):
            raise ConfigError(f"{name}:{_line(key_node)}: a key must be a word, not {key_node.id}")
        dotted, line = f"{prefix}{key_node.value}", _line(key_node)
        found = _values_at(value_node, name, repeated, dotted, line)
        if twice := _twice(found, own, f"{name}:{line}", dotted, lines.get(dotted)):
            error, differs = twice
            if differs:
                raise error
            repeated.append(error)
        lines[dotted] = line
        own = found | own
    return merged | own


def _values_at(
    node: yaml.Node, name: str, repeated: list[ConfigError], dotted: str, line: int
) -> Values:
    if isinstance(node, yaml.MappingNode) and node.value:
        return _flatten(node, name, repeated, f"{dotted}.")
    place = f"{name}:{line}"
    return {dotted: Origin(place, _construct(node, f"{place}: {dotted}"))}


def _equal(one: Origin, other: Origin) -> bool:
    return repr(one.value) == repr(other.value)


def _twice(
    found: Values, own: Values, place: str, dotted: str, line_before: int | None
) -> tuple[ConfigError, bool] | None:
    """What is wrong with a key that is there already, as a word or as leaves, and whether its values differ."""
    again = [key for key in found if key in own]
    other = [key for key in again if not _equal(found[key], own[key])]
    if line_before is not None:
        before, differs = f"line {line_before}", bool(other) or len(again) < len(found)
    elif again:
        dotted, differs = (other or again)[0], bool(other)
        place, before = found[dotted].place, own[dotted].place
    else:
        return None
    value = "another value" if differs else "the same value"
    words = f"{place}: {dotted} is given twice, with {value} in {before}; remove one of the two"
    return ConfigError(words), differs


def _merged(node: yaml.Node, name: str, repeated: list[ConfigError], prefix: str) -> Values:
    values: Values = {}
    for part in reversed(node.value if isinstance(node, yaml.SequenceNode) else [node]):
        if not isinstance(part, yaml.MappingNode):
            raise ConfigError(f"{name}:{_line(part)}: << takes a section by its alias, <<: *name")
        values |= _flatten(part, name, repeated, prefix)
    return values


def _construct(node: yaml.Node, place: str) -> Any:
    try:
        return _Loader("").construct_object(node, deep=True)
    except yaml.MarkedYAMLError as error:
        raise ConfigError(
            f"{place}: {error.problem}; write plain values or lists of them"
        ) from error
    except (ValueError, OverflowError, KeyError, IndexError, TypeError) as error:
        raise ConfigError(f"{place}: not a valid value: {error}") from error


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1
