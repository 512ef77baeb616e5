"""Public checkpoints in our names: one file a family."""

from slowfast_ext.models.weights.base import (
    WEIGHTS,
    Importer,
    State,
    rename,
    unwrap,
)
from slowfast_ext.models.weights.fit import Report, fit, import_state
from slowfast_ext.registry import import_submodules

import_submodules(__name__)

__all__ = ["WEIGHTS", "Importer", "Report", "State", "fit", "import_state", "rename", "unwrap"]
