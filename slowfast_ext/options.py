"""One way to declare a setting, wherever it is used: a frozen dataclass beside the code that reads it.

    @section("ATTENTION.ORTHOFORMER", "The orthoformer kernel (Motionformer, Sec. 3.2)")
    @dataclass(frozen=True)
    class OrthoformerOptions(Options):
        landmarks: int = option(128, "landmarks of a row; at most its queries", low=1)

The configuration tree (`ATTENTION.ORTHOFORMER.LANDMARKS`), its defaults, bounds, --explain and messages come from
these classes; code constructs them directly. Nothing here loads torch.
"""

import dataclasses
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar, get_args

from slowfast_ext.errors import ConfigError

Size = int | tuple[int, int]
"""One side of a square, or (height, width)."""


@dataclass(frozen=True)
class Problem:
    """Something wrong with a configuration: `key` is dotted, `message` continues "KEY = value ..."."""

    key: str
    message: str
    remedy: str = ""


@dataclass(frozen=True)
class Key:
    """One setting. Bounds are inclusive; `types` replaces the default's type.

    `per_stage`: instead of one value for all stages of a backbone, a list with one value for each.
    """

    field: str
    name: str
    default: Any
    help: str
    unit: str = ""
    choices: Sequence[Any] | None = None
    low: float | None = None
    high: float | None = None
    length: int | None = None
    types: tuple[type, ...] | None = None
    per_stage: bool = False
    annotation: Any = None

    @property
    def accepted_types(self) -> tuple[type, ...]:
        """Types a value may have; a float key takes an int, a tuple key a list."""
        if self.types is not None:
            return self.types
        kind = type(self.default)
        return {float: (float, int), tuple: (list, tuple)}.get(kind, (kind,))

    @property
    def item_types(self) -> tuple[type, ...]:
        """Types of the items of a list, as the field is annotated; none where it says nothing of them."""
        kinds = _plain_types(self.annotation)
        return (*kinds, int) if float in kinds else kinds

    def allowed(self) -> str:
        """The allowed values in words, for messages and --explain."""
        stages = "; or a list of such values, one a stage" if self.per_stage else ""
        if self.choices is not None:
            return " | ".join(str(choice) for choice in self.choices) + stages
        kinds = dict.fromkeys(map(self._kind, self.accepted_types))
        bounds = [
            f">= {self.low:g}" if self.low is not None else "",
            f"<= {self.high:g}" if self.high is not None else "",
            f"{self.length} values" if self.length is not None else "",
        ]
        return ", ".join([" or ".join(kinds), *filter(None, bounds)]) + stages

    def _kind(self, accepted: type) -> str:
        items = " or ".join(dict.fromkeys(kind.__name__ for kind in self.item_types))
        is_list = accepted in (list, tuple)
        return (f"list of {items}" if items else "list") if is_list else accepted.__name__

    def is_per_stage(self, value: Any) -> bool:
        """Whether `value` is a list of values, one a stage."""
        if not self.per_stage or not isinstance(value, (list, tuple)) or not value:
            return False
        return not isinstance(self.default, tuple) or isinstance(value[0], (list, tuple))

    def complaint(self, value: Any) -> str | None:
        """Why `value` does not fit, or None when it does."""
        if self.is_per_stage(value):
            return next(filter(None, map(self._complaint, value)), None)
        return self._complaint(value)

    def _complaint(self, value: Any) -> str | None:
        if not self._type_fits(value):
            return f"is of type {type(value).__name__}"
        if self.choices is not None and value not in self.choices:
            return "is not one of the allowed values"
        is_list = isinstance(value, (list, tuple))
        if self.length is not None and is_list and len(value) not in (0, self.length):
            return f"has {len(value)} values"
        for item in value if is_list else [value]:
            if is_list and self.item_types and not _is_any(item, self.item_types):
                return f"has {shortened(item)} in it, which is of type {type(item).__name__}"
            if isinstance(item, (int, float)) and not self._in_bounds(item):
                return "is out of range"
        return None

    def _type_fits(self, value: Any) -> bool:
        return _is_any(value, self.accepted_types)

    def _in_bounds(self, number: float) -> bool:
        """Also no infinity, no NaN, and no whole number that takes more than 64 bits."""
        largest = 2**63 - 1 if isinstance(number, int) else sys.float_info.max
        low = -largest if self.low is None else self.low
        return low <= number <= (largest if self.high is None else self.high) and number <= largest


def _is_any(value: Any, types: tuple[type, ...]) -> bool:
    """isinstance, but a bool is no number."""
    return isinstance(value, types) and (bool in types or not isinstance(value, bool))


def _plain_types(annotation: Any) -> tuple[type, ...]:
    """bool, int, float and str, wherever they stand in an annotation."""
    if annotation in (bool, int, float, str):
        return (annotation,)
    parts = [kind for part in get_args(annotation) for kind in _plain_types(part)]
    return tuple(dict.fromkeys(parts))


def shortened(value: Any) -> str:
    """The value as code, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def option(
    default: Any,
    help: str,
    *,
    key: str = "",
    unit: str = "",
    choices: Sequence[Any] | None = None,
    low: float | None = None,
    high: float | None = None,
    length: int | None = None,
    types: tuple[type, ...] | None = None,
    per_stage: bool = False,
) -> Any:
    """A field of an `Options` class. `key` is its name in the tree where that is not the field's in capitals."""
    facts = {
        "help": help,
        "name": key,
        "unit": unit,
        "choices": choices,
        "low": low,
        "high": high,
        "length": length,
        "types": types,
        "per_stage": per_stage,
    }
    return field(default=default, metadata={"option": facts})


Self = TypeVar("Self", bound="Options")


class OptionError(ConfigError):
    """An option that cannot be: `key` is its dotted name in the tree."""

    def __init__(self, key: str, message: str, remedy: str) -> None:
        super().__init__(f"{key} {message}; {remedy}")
        self.key, self.message, self.remedy = key, message, remedy


class Options:
    """Base of option classes: lists become tuples, and a value that does not fit raises OptionError."""

    section: ClassVar[str] = ""

    def __post_init__(self) -> None:
        for key in keys_of(type(self)):
            value = _frozen(getattr(self, key.field))
            object.__setattr__(self, key.field, value)
            complaint = key.complaint(value)
            if complaint:
                raise self.error(key.field, f"= {value!r} {complaint}", f"allowed: {key.allowed()}")
        self.check()

    def check(self) -> None:
        """Raise `self.error(...)` for values that do not fit together or that bounds cannot describe."""

    def error(self, field: str, message: str, remedy: str) -> OptionError:
        """What is wrong with an option, by the name that a user types."""
        (name,) = (key.name for key in keys_of(type(self)) if key.field == field)
        return OptionError(f"{self.section}.{name}" if self.section else name, message, remedy)

    def is_per_stage(self, field: str) -> bool:
        """Whether the option holds a list with one value for each stage of a backbone."""
        (key,) = (key for key in keys_of(type(self)) if key.field == field)
        return key.is_per_stage(getattr(self, field))

    def at_stage(self: Self, index: int, stages: int) -> Self:
        """The options of one of the `stages` of a backbone: lists with a value for each stage become that value.

        Raises OptionError where a list has more or fewer values than there are stages.
        """
        chosen = {}
        for key in keys_of(type(self)):
            value = getattr(self, key.field)
            if key.is_per_stage(value):
                if len(value) != stages:
                    message = f"has values for {len(value)} stages"
                    remedy = (
                        f"give one for all, or one for each stage with attention, here {stages}"
                    )
                    raise self.error(key.field, message, remedy)
                chosen[key.field] = value[index]
        return dataclasses.replace(self, **chosen)  # type: ignore[type-var]


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, (list, tuple)) else value


_KEYS: dict[type[Options], tuple[Key, ...]] = {}


def keys_of(options: type[Options]) -> tuple[Key, ...]:
    """The settings that a class declares, in order."""
    if options not in _KEYS:
        _KEYS[options] = tuple(_declared(options))
    return _KEYS[options]


def _declared(options: type[Options]) -> Iterator[Key]:
    for item in dataclasses.fields(options):  # type: ignore[arg-type]
        if "option" in item.metadata:
            yield key_of(item.name, item.default, item.type, item.metadata)


def key_of(field: str, default: Any, annotation: Any, metadata: Mapping[str, Any]) -> Key:
    """The setting that a field of an option class declares."""
    facts = dict(metadata["option"])
    name = facts.pop("name") or field.upper()
    return Key(field=field, name=name, default=default, annotation=annotation, **facts)


@dataclass
class Section:
    """A named group of keys of the tree ('ATTENTION.EMIM'; empty: the top level), declared by one class or more."""

    name: str
    help: str
    classes: list[type[Options]]

    def path(self, key: Key) -> str:
        """Dotted name of a key, as typed on the command line."""
        return f"{self.name}.{key.name}" if self.name else key.name

    def __iter__(self) -> Iterator[Key]:
        """The keys of all classes."""
        return (key for options in self.classes for key in keys_of(options))


_SECTIONS: dict[str, Section] = {}

Declared = TypeVar("Declared", bound=type[Options])


def section(name: str, help: str = "") -> Callable[[Declared], Declared]:
    """Class decorator: the keys of this `Options` class stand in section `name` of the tree.

    Several classes may share a section; the help is that of the first. A class of the same module and name takes
    the place of an earlier one (a notebook cell that is run again).
    """

    def declare(options: Declared) -> Declared:
        options.section = name
        own = _SECTIONS.setdefault(name, Section(name, help, []))
        own.help = own.help or help
        identity = (options.__module__, options.__qualname__)
        own.classes = [c for c in own.classes if (c.__module__, c.__qualname__) != identity]
        taken = {key.name for key in own} & {key.name for key in keys_of(options)}
        if taken:
            raise ConfigError(f"{options.__name__}: {name}.{min(taken)} is declared elsewhere")
        own.classes.append(options)
        return options

    return declare


def sections() -> tuple[Section, ...]:
    """Every section that is declared by the modules loaded so far, by name; the top level first."""
    return tuple(_SECTIONS[name] for name in sorted(_SECTIONS))


def pair(size: Size) -> tuple[int, int]:
    """(height, width) of a size that is one side of a square or both."""
    return (size, size) if isinstance(size, int) else (size[0], size[1])
