"""A golden case: tensors in a safetensors file, and what its json or its metadata says of them."""

import json
import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

SHIPPED = Path(__file__).parent / "data"
EXPECTED = ("out", "grad", "logits", "stage", "crop")
"""How the names of results begin."""


class Tensors(dict[str, Tensor]):
    """Tensors by name; `read` are the names of those that were asked for."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        super().__init__(tensors)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> Tensor:
        self.read.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.read.add(name)
        return super().get(name, default)

    def items(self) -> Any:
        self.read |= self.keys()
        return super().items()


class Case:
    """One case. Numbers that its description does not state are None: whoever needs them tries what is possible."""

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, path.stem

    def __repr__(self) -> str:
        return self.name

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The json beside the file and the metadata in it."""
        if self.path.suffix == ".json":
            return json.loads(self.path.read_text())
        facts: dict[str, Any] = {}
        with safe_open(self.path, "pt") as file:
            for key, text in (file.metadata() or {}).items():
                value = _parsed(text)
                facts |= value if isinstance(value, dict) else {key: value}
        beside = self.path.with_suffix(".json")
        return facts | (json.loads(beside.read_text()) if beside.exists() else {})

    @cached_property
    def tensors(self) -> "Tensors":
        """All tensors."""
        return Tensors({} if self.path.suffix == ".json" else load_file(self.path))

    @cached_property
    def keys(self) -> frozenset[str]:
        """Names of the tensors, without their data."""
        if self.path.suffix == ".json":
            return frozenset()
        if self.path.suffix != ".safetensors":
            raise AssertionError(f"{self.path.name}: cases are safetensors or json files")
        with safe_open(self.path, "pt") as file:
            return frozenset(file.keys())

    def part(self, *prefixes: str) -> dict[str, Tensor]:
        """Tensors below a prefix (the first that there is), without it."""
        for prefix in prefixes:
            found = {
                k[len(prefix) :]: self.tensors[k] for k in sorted(self.keys) if k.startswith(prefix)
            }
            if found:
                return found
        return {}

    @property
    def unread(self) -> list[str]:
        """Expected numbers that nothing was compared with."""
        return sorted(k for k in self.keys - self.tensors.read if k.startswith(EXPECTED))

    @cached_property
    def note(self) -> str:
        """What is said in prose."""
        return "; ".join(str(value) for value in self.facts.values() if isinstance(value, str))

    def words(self) -> list[str]:
        """The words of the name, then those of the prose, in small letters."""
        return [
            word
            for text in (self.name, self.note)
            for word in re.findall(r"[a-z0-9]+", text.lower())
        ]

    def says(self, pattern: str) -> bool:
        """Whether name or prose contain the pattern."""
        return re.search(pattern, f"{self.name}; {self.note}", re.IGNORECASE) is not None

    def stated(self, *names: str) -> Any:
        """A value by any of its names: in the description, at any depth, in its prose, or in the index of the folder."""
        for place in (self.facts, self.index):
            for name in names:
                found = next(_values(place, name), None)
                if found is not None:
                    return found
            if place is self.facts:
                for name in names:
                    found = re.search(
                        rf"\b{re.escape(name)}\s*[=: ]\s*(-?\d+(\.\d+)?|true|false)\b",
                        self.note,
                        re.I if len(name) > 1 else 0,
                    )
                    if found:
                        return _parsed(found[1].lower())
        return None

    @cached_property
    def index(self) -> dict[str, Any]:
        """What an *INDEX.json that lists the case says of all its cases."""
        for path in sorted(self.path.parent.glob("*INDEX.json")):
            index = json.loads(path.read_text())
            listed = [
                item if isinstance(item, str) else item.get("name")
                for item in index.get("files", [])
            ]
            if self.name in listed:
                return {key: value for key, value in index.items() if key != "files"}
        return {}


def find_cases(folder: Path) -> list[Case]:
    """Every case of a folder and those below it: safetensors files, and json files that stand alone."""
    kinds = (".safetensors", ".npz", ".npy", ".pt", ".pth", ".pyth")
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix in kinds]
    alone = [
        path
        for path in sorted(folder.rglob("*.json"))
        if not path.with_suffix(".safetensors").exists() and not path.stem.lower().endswith("index")
    ]
    return [Case(path) for path in [*paths, *alone]]


def divisors(number: int) -> list[int]:
    """All divisors, ascending."""
    return [d for d in range(1, number + 1) if number % d == 0]


def either(value: Any, otherwise: Iterable[Any]) -> list[Any]:
    """The value where it is stated, else everything that it might be."""
    return list(otherwise) if value is None else [value]


def sides(value: Any) -> tuple[int, int]:
    """(height, width) of a number or a pair."""
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))


def _values(place: Any, name: str) -> Iterator[Any]:
    if isinstance(place, dict):
        if place.get(name) is not None and not isinstance(place[name], dict):
            yield place[name]
        for key, value in place.items():
            if key != "tensors":
                yield from _values(value, name)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
