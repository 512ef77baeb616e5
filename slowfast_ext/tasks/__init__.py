"""What depends on what a label is: one file a task, metrics as registered functions, and the door `build_task`."""

from slowfast_ext.registry import import_submodules
from slowfast_ext.tasks.base import TASKS, Metrics, Output, Task, heads_of
from slowfast_ext.tasks.build import build_task, check_task
from slowfast_ext.tasks.metrics import METRICS, Evaluation, metric
from slowfast_ext.tasks.verb_noun import VerbNoun

import_submodules(__name__)

__all__ = [
    "METRICS",
    "TASKS",
    "Evaluation",
    "Metrics",
    "Output",
    "Task",
    "VerbNoun",
    "build_task",
    "check_task",
    "heads_of",
    "metric",
]
