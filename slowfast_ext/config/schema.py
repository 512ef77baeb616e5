"""The whole tree: every section file of this folder, joined into one yacs node of defaults."""

import importlib
import pkgutil
from functools import cache

from yacs.config import CfgNode

from slowfast_ext.config.keys import Key, Section


@cache
def sections() -> tuple[Section, ...]:
    """All `SECTIONS` of the modules in config/sections, top level first, then by name."""
    package = importlib.import_module("slowfast_ext.config.sections")
    found = [
        section
        for module in pkgutil.iter_modules(package.__path__)
        for section in importlib.import_module(f"{package.__name__}.{module.name}").SECTIONS
    ]
    return tuple(sorted(found, key=lambda section: section.name))


@cache
def schema() -> dict[str, Key]:
    """Dotted name -> Key for every key there is."""
    return {section.path(key): key for section in sections() for key in section.keys}


def get_cfg() -> CfgNode:
    """A fresh, mutable tree of the defaults."""
    cfg = CfgNode()
    for dotted, key in schema().items():
        default = list(key.default) if isinstance(key.default, (list, tuple)) else key.default
        set_dotted(cfg, dotted, default)
    return cfg


def get_dotted(cfg: CfgNode, dotted: str) -> object:
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
