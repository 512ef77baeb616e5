"""What a configuration key is: its default, meaning, unit and allowed values."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Key:
    """One key of a section. `help` is one line; bounds are inclusive; `types` replaces the default's type."""

    name: str
    default: Any
    help: str
    unit: str = ""
    choices: Sequence[Any] | None = None
    low: float | None = None
    high: float | None = None
    length: int | None = None
    types: tuple[type, ...] | None = None

    @property
    def accepted_types(self) -> tuple[type, ...]:
        """Types a value may have; a float key takes an int, a list key a tuple."""
        if self.types is not None:
            return self.types
        default_type = type(self.default)
        return {float: (float, int), list: (list, tuple)}.get(default_type, (default_type,))

    def allowed(self) -> str:
        """The allowed values in words, for messages and --explain."""
        if self.choices is not None:
            return " | ".join(str(choice) for choice in self.choices)
        names = " or ".join(kind.__name__ for kind in self.accepted_types)
        bounds = [
            f">= {self.low:g}" if self.low is not None else "",
            f"<= {self.high:g}" if self.high is not None else "",
            f"{self.length} values" if self.length is not None else "",
        ]
        return ", ".join([names, *filter(None, bounds)])

    def complaint(self, value: Any) -> str | None:
        """Why `value` does not fit, or None when it does."""
        if not self._type_fits(value):
            return f"is of type {type(value).__name__}"
        if self.choices is not None and value not in self.choices:
            return "is not one of the allowed values"
        if self.length is not None and len(value) not in (0, self.length):
            return f"has {len(value)} values"
        numbers = value if isinstance(value, (list, tuple)) else [value]
        for number in numbers:
            if isinstance(number, (int, float)) and not self._in_bounds(number):
                return "is out of range"
        return None

    def _type_fits(self, value: Any) -> bool:
        if isinstance(value, bool) and bool not in self.accepted_types:
            return False
        return isinstance(value, self.accepted_types)

    def _in_bounds(self, number: float) -> bool:
        above = self.low is None or number >= self.low
        return above and (self.high is None or number <= self.high)


@dataclass(frozen=True)
class Section:
    """A named group of keys. `name` is dotted ('ATTENTION.EMIM'); empty for the top level."""

    name: str
    help: str
    keys: tuple[Key, ...]

    def path(self, key: Key) -> str:
        """Dotted name of a key, as typed on the command line."""
        return f"{self.name}.{key.name}" if self.name else key.name
