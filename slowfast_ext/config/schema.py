"""The whole tree, derived from the option classes that stand beside the code they configure."""

import importlib
import importlib.util
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from yacs.config import CfgNode

from slowfast_ext.config.declared import NotDeclared, declared_keys
from slowfast_ext.errors import ConfigError
from slowfast_ext.options import Key, Options, keys_of, sections

_HOMES = (
    "tasks",
    "models",
    "models.weights",
    "data.annotations",
    "data.loader",
    "engine.options",
    "engine.optim",
    "loggers",
)
"""Where options are declared. They are imported when the tree is first asked for, not with this module."""

Chosen = TypeVar("Chosen", bound=Options)


def schema() -> dict[str, Key]:
    """Dotted name -> Key for every key there is."""
    for home in _HOMES:
        importlib.import_module(f"slowfast_ext.{home}")
    return {section.path(key): key for section in sections() for key in section}


def known_keys() -> dict[str, Key]:
    """`schema()`, read from the source of the package while its models are not loaded: that takes no torch."""
    if "slowfast_ext.models" not in sys.modules:
        with suppress(NotDeclared):
            return declared_keys()
    return schema()


def get_cfg() -> CfgNode:
    """A fresh, mutable tree of the defaults."""
    cfg = CfgNode()
    for dotted, key in schema().items():
        set_dotted(cfg, dotted, _thawed(key.default))
    return cfg


def options_of(cfg: CfgNode, options: type[Chosen]) -> Chosen:
    """The options of a class as the tree has them. Raises ConfigError for values out of bounds."""
    node = get_dotted(cfg, options.section) if options.section else cfg
    return options(**{key.field: node[key.name] for key in keys_of(options)})


def tree_of(*options: Options) -> CfgNode:
    """A tree of the defaults with the values of some options in it: the inverse of `options_of`."""
    cfg = get_cfg()
    for own in options:
        for key in keys_of(type(own)):
            dotted = f"{own.section}.{key.name}" if own.section else key.name
            set_dotted(cfg, dotted, _thawed(getattr(own, key.field)))
    return cfg


def get_dotted(cfg: CfgNode, dotted: str) -> Any:
    """The value at 'A.B.C'."""
    for part in dotted.split("."):
        cfg = cfg[part]
    return cfg


def set_dotted(cfg: CfgNode, dotted: str, value: object) -> None:
    """Set 'A.B.C', making the nodes on the way."""
    *parents, leaf = dotted.split(".")
    for part in parents:
        if part not in cfg:
            cfg[part] = CfgNode()
        cfg = cfg[part]
    cfg[leaf] = value


def import_files(files: Iterable[str]) -> None:
    """Run Python files that register attention, backbones, data sets, tasks or metrics, each once.

    Raises ConfigError where one is missing or fails.
    """
    for file in files:
        path = Path(file).expanduser().resolve()
        name = f"slowfast_ext_import_{path.stem}"
        known = sys.modules.get(name)
        if known is not None and getattr(known, "__file__", None) == str(path):
            continue
        spec = importlib.util.spec_from_file_location(name, path)
        if not path.is_file() or spec is None or spec.loader is None:
            raise ConfigError(f"IMPORT: {file}: no such Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            del sys.modules[name]
            raise ConfigError(f"IMPORT: {file}: {type(error).__name__}: {error}") from error


def _thawed(value: object) -> object:
    return [_thawed(item) for item in value] if isinstance(value, (list, tuple)) else value
