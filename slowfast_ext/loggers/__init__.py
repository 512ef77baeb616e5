"""Where the numbers of a run go beside its own files: TensorBoard, Weights & Biases, or one of one's own."""

from slowfast_ext.loggers.base import (
    LOGGERS,
    Logger,
    Loggers,
    build_loggers,
    check_loggers,
    files_of_a_run,
)
from slowfast_ext.registry import import_submodules

__all__ = ["LOGGERS", "Logger", "Loggers", "build_loggers", "check_loggers", "files_of_a_run"]

import_submodules("slowfast_ext.loggers")
