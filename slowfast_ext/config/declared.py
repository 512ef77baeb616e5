"""The keys of the package read from its source: what `schema()` knows, without torch, which takes seconds to load.

The option classes stand beside the code that they configure, so importing them imports the models. A mistake in a key
and --explain need only what the classes say of themselves, and that is text: it is read as text. The reference is
`schema.schema`, which imports; a test holds the two equal.
"""

import ast
import builtins
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import slowfast_ext
from slowfast_ext.options import Key, Size, key_of, option

_PACKAGE = Path(slowfast_ext.__file__).parent
_MARK = "@section("


class NotDeclared(Exception):  # noqa: N818 - the caller then imports the classes instead
    """The source is not there, or says something that only importing it can tell."""


@functools.cache
def declared_keys() -> dict[str, Key]:
    """Dotted name -> Key for every key of the package. Raises NotDeclared."""
    keys: dict[str, Key] = {}
    try:
        for path in sorted(_PACKAGE.rglob("*.py")):
            if path != _PACKAGE / "options.py" and _MARK in path.read_text(encoding="utf-8"):
                keys |= dict(_keys_of(path))
    except (OSError, SyntaxError, NameError, TypeError, ValueError, AttributeError) as error:
        raise NotDeclared(str(error)) from error
    return keys


def _keys_of(path: Path) -> Iterator[tuple[str, Key]]:
    names = _Names(path)
    for node in names.tree.body:
        sections = [_section(d) for d in getattr(node, "decorator_list", ()) if _section(d)]
        if isinstance(node, ast.ClassDef) and sections:
            prefix = names.value(sections[0].args[0])
            for field in map(_option_field, node.body):
                if field:
                    declared = names.value(field.value)
                    annotation = names.value(field.annotation)
                    key = key_of(field.target.id, declared.default, annotation, declared.metadata)
                    yield f"{prefix}.{key.name}" if prefix else key.name, key


def _section(decorator: ast.expr) -> Any:
    is_call = isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Name)
    return decorator if is_call and decorator.func.id == "section" else None  # type: ignore[attr-defined]


def _option_field(field: Any) -> Any:
    """The statement `name: annotation = option(...)`; None of any other."""
    call = getattr(field, "value", None)
    is_option = getattr(getattr(call, "func", None), "id", "") == "option"
    return field if isinstance(field, ast.AnnAssign) and is_option else None


class _Names(dict[str, Any]):
    """What the names in a file's declarations mean; those of the file itself are found when they are asked for."""

    def __init__(self, path: Path) -> None:
        super().__init__(option=option, Size=Size)
        self._path = path
        self.tree = ast.parse(path.read_text(encoding="utf-8"))

    def value(self, expression: Any) -> Any:
        """The value of an expression of literals, constants and `option`."""
        code = compile(ast.Expression(expression), str(self._path), "eval")
        return eval(code, {"__builtins__": {}}, self)  # the package's own source

    def __missing__(self, name: str) -> Any:
        for node in self.tree.body:
            if isinstance(node, ast.ImportFrom) and any(a.name == name for a in node.names):
                return _Names(_file(node.module or ""))[name]
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", 0)]
            if any(getattr(target, "id", "") == name for target in targets):
                return self._assigned(node.value)  # type: ignore[attr-defined]
        return getattr(builtins, name)

    def _assigned(self, value: ast.expr) -> Any:
        """Of a table from names to classes or functions the names are enough."""
        return (
            tuple(map(self.value, value.keys)) if isinstance(value, ast.Dict) else self.value(value)
        )


def _file(module: str) -> Path:
    path = _PACKAGE.joinpath(*module.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
