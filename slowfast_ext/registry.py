"""Name -> class tables that are filled by decorators and by importing a folder."""

import difflib
import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from typing import Any

from fvcore.common.registry import Registry as FvcoreRegistry

from slowfast_ext.errors import ConfigError


def nearest(name: str, names: Iterable[str], count: int = 3) -> list[str]:
    """Up to `count` of `names` that look like `name`, best first, letter case aside."""
    by_lower = {candidate.lower(): candidate for candidate in names}
    close = difflib.get_close_matches(str(name).lower(), by_lower, n=count, cutoff=0.6)
    return [by_lower[match] for match in close]


class Registry(FvcoreRegistry):
    """fvcore's registry with explicit keys and an error that suggests the nearest names.

    `@JOINT.register("joint")` names a class; `import_submodules` of the package fills the table.
    """

    def register(self, name: str) -> Any:
        """Class or function decorator that files the object under `name`."""

        def add(thing: Any) -> Any:
            self._do_register(name, thing)
            return thing

        return add

    def get(self, name: str) -> Any:
        """The object called `name`. Raises ConfigError with the nearest names."""
        if name in self:
            return self._obj_map[name]
        close = nearest(name, self.names())
        hint = f"did you mean {' or '.join(close)}? " if close else ""
        raise ConfigError(f"{self._name} has no '{name}': {hint}it has {', '.join(self.names())}")

    def names(self) -> list[str]:
        """All registered names, sorted."""
        return sorted(self._obj_map)

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return iter(sorted(self._obj_map.items()))


def import_submodules(package_name: str) -> None:
    """Import every module of a package, so that a new file registers itself by being there."""
    package = importlib.import_module(package_name)
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package_name}.{module.name}")
