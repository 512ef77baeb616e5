"""cfg -> task, and what is wrong with the part of a configuration that names it."""

from collections import Counter
from collections.abc import Iterable

from torch import Tensor
from yacs.config import CfgNode

from slowfast_ext.config import Problem, options_of
from slowfast_ext.errors import ConfigError
from slowfast_ext.registry import unknown_name
from slowfast_ext.tasks.base import (
    TASKS,
    ClassWeightOptions,
    HeadOptions,
    LabelOptions,
    Labels,
    ScoreOptions,
    SmoothingOptions,
    Task,
    TaskOptions,
)
from slowfast_ext.tasks.single_label import inverse_frequency


def build_task(cfg: CfgNode, training: Iterable[Labels] = ()) -> Task:
    """The task of TASK, or that follows from DATA.MULTI_LABEL and MODEL.NUM_CLASSES where it is `auto`.

    TRAIN.CLASS_WEIGHTS are computed from the labels of the `training` videos. Raises ConfigError for an unknown name.
    """
    name = task_name(cfg)
    task: Task = TASKS.get(name).from_cfg(
        cfg,
        _class_counts(cfg),
        *(options_of(cfg, own) for own in TASKS.options(name)),
        label_smoothing=options_of(cfg, SmoothingOptions).label_smooth_value,
        ensemble=options_of(cfg, ScoreOptions).ensemble,
    )
    if options_of(cfg, ClassWeightOptions).class_weights == "inverse":
        task.class_weights = _class_weights(task, training)
    return task


def check_task(cfg: CfgNode) -> Iterable[Problem]:
    """A task or metric that is not there, heads that do not fit the task, options that exclude each other."""
    name = task_name(cfg)
    if name not in TASKS:
        yield Problem("TASK", f"unknown; {unknown_name(name, ['auto', *TASKS.names()])}")
        return
    task = build_task(cfg)
    heads = len(task.num_classes)
    if heads != len(task.head_names):
        wanted = "one value" if task.head_names == ("",) else f"one for each of {task.head_names}"
        yield Problem(
            "MODEL.NUM_CLASSES", f"has {heads} heads, the task is {name}", f"give {wanted}"
        )
    try:
        task.best_by(cfg.TEST.METRIC)
    except ConfigError as error:
        yield Problem("TEST.METRIC", str(error))
    if task.labels_per_video is None:
        if cfg.TRAIN.BALANCED_SAMPLING:
            yield Problem(
                "TRAIN.BALANCED_SAMPLING",
                "has no meaning for several labels a video",
                "switch it off",
            )
        if cfg.TRAIN.CLASS_WEIGHTS != "none":
            yield Problem(
                "TRAIN.CLASS_WEIGHTS", "has no meaning for several labels a video", "set it to none"
            )


def task_name(cfg: CfgNode) -> str:
    """TASK, or what `auto` stands for."""
    named = options_of(cfg, TaskOptions).task
    if named != "auto":
        return named
    return usual_task(len(_class_counts(cfg)), options_of(cfg, LabelOptions).multi_label)


def usual_task(heads: int, multi_label: bool) -> str:
    """The task that so many heads and labels mean where none is named."""
    if multi_label:
        return "multi_label"
    return "single_label" if heads == 1 else "verb_noun"


def _class_counts(cfg: CfgNode) -> tuple[int, ...]:
    counts = options_of(cfg, HeadOptions).num_classes
    return (counts,) if isinstance(counts, int) else counts


def _class_weights(task: Task, training: Iterable[Labels]) -> list[Tensor | None]:
    sizes: list[Counter[int]] = [Counter() for _ in task.num_classes]
    for labels in training:
        for size, own in zip(sizes, task.by_head(labels), strict=True):
            size.update(own)
    return [
        inverse_frequency([size[label] for label in range(count)])
        for size, count in zip(sizes, task.num_classes, strict=True)
    ]
