"""A configuration where options are meant, until all callers are switched."""

from typing import Any, TypeVar

from yacs.config import CfgNode

from slowfast_ext.config import options_of
from slowfast_ext.options import Options

Chosen = TypeVar("Chosen", bound=Options)


def chosen(given: Any, kind: type[Chosen]) -> Chosen:
    """The options themselves, or those of a configuration."""
    return options_of(given, kind) if isinstance(given, CfgNode) else given
