"""One file per task: rules or official files -> labelled sequences of ids."""

from projects.lra.tasks.base import TASKS, Splits, Task, build_task
from slowfast_ext.registry import import_submodules

import_submodules(__name__)

__all__ = ["TASKS", "Splits", "Task", "build_task"]
