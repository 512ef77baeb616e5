"""Public checkpoints in our names: one file a family."""

from slowfast_ext.models.weights.base import WEIGHTS, Importer, State, rename, unwrap
from slowfast_ext.models.weights.classes import class_order, head_classes
from slowfast_ext.models.weights.fit import (
    LoadOptions,
    Report,
    build_with_weights,
    fit,
    fit_weights,
    load_weights,
)
from slowfast_ext.models.weights.ours import current_names
from slowfast_ext.registry import import_submodules

import_submodules(__name__)

__all__ = [
    "WEIGHTS",
    "Importer",
    "LoadOptions",
    "Report",
    "State",
    "build_with_weights",
    "class_order",
    "current_names",
    "fit",
    "fit_weights",
    "head_classes",
    "load_weights",
    "rename",
    "unwrap",
]
