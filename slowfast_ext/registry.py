"""Name -> class tables that are filled by decorators and by importing a folder."""

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from slowfast_ext.errors import ConfigError
from slowfast_ext.options import Options

Thing = TypeVar("Thing")


def nearest(name: str, names: Iterable[str], count: int = 3) -> list[str]:
    """Up to `count` of `names` that look like `name`, best first, letter case aside."""
    by_lower = {candidate.lower(): candidate for candidate in names}
    close = difflib.get_close_matches(str(name).lower(), by_lower, n=count, cutoff=0.6)
    return [by_lower[match] for match in close]


class Registry:
    """Named classes or functions, with the option classes that each is constructed with.

    `@KERNELS.register("orthoformer", OrthoformerOptions)` names a class and says that it takes these options;
    `import_submodules` of the package fills the table.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._things: dict[str, Any] = {}
        self._options: dict[str, tuple[type[Options], ...]] = {}

    def register(self, name: str, *options: type[Options]) -> Callable[[Thing], Thing]:
        """Class or function decorator that files the object under `name`.

        The same object again takes the place of the earlier one; raises ConfigError for another of this name.
        """

        def add(thing: Thing) -> Thing:
            known = self._things.get(name)
            if known is not None and _identity(known) != _identity(thing):
                raise ConfigError(f"{self.name} already has '{name}': {_identity(known)}")
            self._things[name], self._options[name] = thing, options
            return thing

        return add

    def get(self, name: str) -> Any:
        """The object called `name`. Raises ConfigError with the nearest names."""
        if name not in self:
            raise ConfigError(f"{self.name} has no '{name}': {unknown_name(name, self.names())}")
        return self._things[name]

    def options(self, name: str) -> tuple[type[Options], ...]:
        """The option classes that `name` was registered with."""
        self.get(name)
        return self._options[name]

    def names(self) -> list[str]:
        """All registered names, sorted."""
        return sorted(self._things)

    def __contains__(self, name: object) -> bool:
        return name in self._things

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return iter(sorted(self._things.items()))


def unknown_name(name: str, allowed: Iterable[str]) -> str:
    """What to say of a name that is none of `allowed`: the nearest ones, then all."""
    allowed = list(allowed)
    close = nearest(name, allowed)
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    return f"{hint}allowed: {' | '.join(allowed)}"


def _identity(thing: Any) -> str:
    return f"{thing.__module__}.{thing.__qualname__}"


def import_submodules(package_name: str) -> None:
    """Import every module of a package, so that a new file registers itself by being there."""
    package = importlib.import_module(package_name)
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package_name}.{module.name}")
