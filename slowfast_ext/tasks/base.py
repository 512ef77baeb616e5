"""What a task is, and the options that every task has.

Shapes: B clips, M videos of a set, C channels, K outputs of a head.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from yacs.config import CfgNode

from slowfast_ext.errors import ConfigError
from slowfast_ext.options import Options, option, section
from slowfast_ext.registry import Registry, unknown_name
from slowfast_ext.tasks.metrics import METRICS, Evaluation

TASKS = Registry("TASKS")

Labels = tuple[int, ...]
"""Labels of one video as a list gives them: one class for each head, or any number of classes."""
Output = Tensor | tuple[Tensor, ...]
"""What a model returns: logits [B, K], or one such tensor for each head."""
Metrics = dict[str, float]
Table = tuple[str, Iterable[Sequence[object]]]
"""File name and rows of a csv file."""


@section("", "The run as a whole")
@dataclass(frozen=True)
class TaskOptions(Options):
    """What a label is."""

    task: str = option(
        "auto",
        "name in the TASKS registry; auto: multi_label with DATA.MULTI_LABEL, verb_noun where MODEL.NUM_CLASSES "
        "has several values, else single_label",
    )


@section("MODEL", "Backbone, head and regularisation")
@dataclass(frozen=True)
class HeadOptions(Options):
    """The classifier on top of a backbone."""

    num_classes: int | tuple[int, ...] = option(
        400, "classes of each head; two values: verb and noun", low=1, types=(int, list, tuple)
    )
    dropout_rate: float = option(0.0, "dropout before the classifier", low=0, high=1)


@section("DATA", "Videos, clips and views")
@dataclass(frozen=True)
class LabelOptions(Options):
    """How many labels a video has."""

    multi_label: bool = option(False, "a video has several labels; scores are sigmoids, metric mAP")


@section("TEST", "Multi-view testing")
@dataclass(frozen=True)
class ScoreOptions(Options):
    """What becomes of the scores of the views."""

    ensemble: str = option(
        "probs",
        "what is averaged over views: softmax probabilities or logits",
        choices=("probs", "logits"),
    )
    metric: str = option(
        "top1_acc",
        "name in the METRICS registry: the validation metric that chooses the best checkpoint; "
        "a task without top1_acc takes its first metric instead of this default",
    )
    on_decode_error: str = option(
        "wrong",
        "a video that cannot be decoded: stop, leave it out, or count it as wrong",
        choices=("error", "skip", "wrong"),
    )


@section("TRAIN", "Training")
@dataclass(frozen=True)
class ClassWeightOptions(Options):
    """How much a class counts in the loss."""

    class_weights: str = option(
        "none",
        "weight of a class in the loss; inverse: by 1/frequency, mean one",
        choices=("none", "inverse"),
    )


@section("MIXUP", "Mixing of a training batch, and label smoothing")
@dataclass(frozen=True)
class SmoothingOptions(Options):
    """How far targets are smoothed."""

    label_smooth_value: float = option(
        0.0, "label smoothing, with or without mixing", low=0, high=1
    )


def heads_of(output: Output) -> tuple[Tensor, ...]:
    """The tensor of each head."""
    return (output,) if isinstance(output, Tensor) else tuple(output)


class Task:
    """What a label is: from a line of a list to a target, a loss, scores, metrics and tables.

    A new task is one file: a subclass, `@TASKS.register("name")` above it, and TASK: name in the configuration.
    Option classes that are registered with it are constructed first: `Task(num_classes, *options, ...)`.
    """

    metrics: ClassVar[tuple[str, ...]] = ()
    """Names in METRICS, the most important first."""
    running: ClassVar[tuple[str, ...]] = ()
    """Names of the numbers in the log line of training, see `running_sums`."""
    head_names: ClassVar[tuple[str, ...]] = ("",)
    """A name for each head; "" where there is only one."""
    model: ClassVar[str] = "classifier"
    """Name in the MODELS registry: what is put on the backbone, and how it is called."""

    def __init__(
        self,
        num_classes: Sequence[int],
        *,
        label_smoothing: float = 0.0,
        ensemble: str = "probs",
        class_weights: Sequence[Tensor | None] | None = None,
    ) -> None:
        """`num_classes` and `class_weights` [K] for each head; `ensemble`: averaged over views are probs or logits."""
        self.num_classes = tuple(num_classes)
        self.label_smoothing, self.ensemble = label_smoothing, ensemble
        self.class_weights = list(class_weights or [None] * len(self.num_classes))

    @classmethod
    def from_cfg(
        cls, cfg: CfgNode, num_classes: Sequence[int], *options: Options, **common: Any
    ) -> "Task":
        """With the options that it is registered with; a task that depends on more of `cfg` looks it up here."""
        return cls(num_classes, *options, **common)

    @property
    def name(self) -> str:
        """Its name in TASKS."""
        return next((name for name, kind in TASKS if kind is type(self)), type(self).__name__)

    @property
    def metric_names(self) -> list[str]:
        """What `evaluate` computes: `metrics`, then those that were registered for this task elsewhere."""
        added = [name for name, item in METRICS if self.name in item.tasks]
        return list(dict.fromkeys([*self.metrics, *added]))

    @property
    def labels_per_video(self) -> int | None:
        """Labels that each video has; None: any number."""
        return len(self.head_names)

    @property
    def output_sizes(self) -> tuple[int, ...]:
        """Columns of each head's output."""
        return self.num_classes

    def by_head(self, labels: Labels) -> tuple[Labels, ...]:
        """The labels of a video that each head has to know."""
        return tuple((label,) for label in labels)

    def head(self, dim: int) -> nn.Module:
        """The classifier: features [B, C] with C = `dim` -> output."""
        (outputs,) = self.output_sizes
        return nn.Linear(dim, outputs)

    def labels(self, rows: Sequence[Labels]) -> Tensor:
        """What a batch carries of its videos' labels: here int64 [B, heads]."""
        return torch.tensor(rows, dtype=torch.int64).view(len(rows), len(self.head_names))

    def targets(self, labels: Tensor) -> tuple[Tensor, ...]:
        """What the loss compares each head's output with: floats that may be mixed between clips."""
        raise NotImplementedError

    def batch_targets(self, labels: Tensor, maps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """`targets` of a training batch; `maps` are the label maps that came with it (token labelling), else nothing."""
        return self.targets(labels)

    def inputs(self, clip_BCTHW: Tensor, rngs: Iterable[np.random.Generator]) -> tuple[Tensor, ...]:
        """What the model is called with: here the clips alone.

        A task that draws something for each clip takes one of `rngs` for each, in their order: in training a
        function of seed, epoch, step and position in the batch, in an evaluation of video and view.
        """
        return (clip_BCTHW,)

    def loss(self, output: Output, targets: Sequence[Tensor]) -> Tensor:
        """Mean over the clips."""
        raise NotImplementedError

    def scores(self, output: Output) -> tuple[Tensor, ...]:
        """What is averaged over the views of a video, for each head: here the output itself."""
        return tuple(output_BK.float() for output_BK in heads_of(output))

    def probabilities(self, scores: Sequence[Tensor]) -> tuple[Tensor, ...] | None:
        """Scores as probabilities [..., K] of the classes; None where they are no such thing, as here."""
        return None

    def running_sums(self, output: Output, targets: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Sums over the clips of each number in `running`, on the device."""
        return ()

    def evaluate(self, evaluation: Evaluation) -> Metrics:
        """Every metric of this task; NaN where no video is left to count."""
        if len(evaluation.labels) == 0:
            return dict.fromkeys(self.metric_names, float("nan"))
        return {name: METRICS.get(name)(evaluation) for name in self.metric_names}

    def best_by(self, wanted: str) -> str:
        """The metric that chooses the best checkpoint: TEST.METRIC, or the first where its default is none of ours.

        Raises ConfigError for any other name, and for a task that has no metric at all.
        """
        names = self.metric_names
        if not names:
            raise ConfigError(
                f"{self.name} has no metric to choose the best checkpoint by; "
                f"list one in its `metrics`, or register one with tasks=('{self.name}',)"
            )
        if wanted in names:
            return wanted
        if wanted != ScoreOptions().metric:
            raise ConfigError(
                f"{self.name} has no metric '{wanted}': {unknown_name(wanted, names)}"
            )
        return names[0]

    def predictions(self, evaluation: Evaluation) -> Iterator[tuple[str, str]]:
        """For predictions.csv: what each video was taken for, and the score: here the best class of each head."""
        best = [scores_MK.max(1) for scores_MK in evaluation.scores]
        for video in range(len(evaluation.labels)):
            yield (
                " ".join(str(int(head.indices[video])) for head in best),
                " ".join(f"{float(head.values[video]):.6f}" for head in best),
            )

    def remarks(self, evaluation: Evaluation, names: Sequence[Sequence[str]]) -> Iterator[str]:
        """What the last lines of a test say besides its metrics."""
        yield from ()

    def tables(self, evaluation: Evaluation, names: Sequence[Sequence[str]]) -> Iterator[Table]:
        """Further csv files of a test; `names` are the class names of each head."""
        yield from ()
