"""What is said of a video.

Shapes: K outputs of a head.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from slowfast_ext.errors import ConfigError, DataError
from slowfast_ext.registry import unknown_name
from slowfast_ext.tasks import Task

PRESENT = 0.5
"""Where a video may have several labels: from which probability on it has one."""


@dataclass(frozen=True)
class Classes:
    """What the outputs of each head mean.

    `heads` are names of the heads, `names` the class names of each; `several`: a video may have any number of labels.
    """

    heads: tuple[str, ...]
    names: tuple[tuple[str, ...], ...]
    several: bool = False

    @classmethod
    def of(cls, task: Task, class_names: Sequence[Sequence[str]] = ()) -> "Classes":
        """Those of a task. Classes without names are numbered. Raises ConfigError for another number of names."""
        names = []
        for head, (count, outputs) in enumerate(
            zip(task.num_classes, task.output_sizes, strict=True)
        ):
            own = tuple(class_names[head]) if head < len(class_names) else ()
            if own and len(own) != count:
                raise ConfigError(
                    f"{len(own)} class names, but the weights have {count} classes"
                    + (f" ({task.head_names[head]})" if task.head_names[head] else "")
                )
            if outputs != count:  # outputs that are no classes: a number, say
                own = tuple(
                    f"{task.name} {i}" if outputs > 1 else task.name for i in range(outputs)
                )
            names.append(own or tuple(map(str, range(outputs))))
        return cls(task.head_names, tuple(names), task.labels_per_video is None)


class Guess(NamedTuple):
    """A class and its score: its probability, where the task has probabilities."""

    name: str
    score: float
    label: int


@dataclass(frozen=True, repr=False)
class Prediction:
    """The scores of a video, or of a window of it.

    Attributes:
        video: its path, or a word for what was given instead of one.
        classes: what the scores are of.
        raw: for each head the scores [K] that `slowfast-ext test` saves: means over the views.
        probabilities: the same as probabilities; None where the task has none.
        window: seconds from `start` to `end`; None for a whole video.
        error: why there are no scores; empty where there are.
    """

    video: str
    classes: Classes
    raw: tuple[Tensor, ...] = ()
    probabilities: tuple[Tensor, ...] | None = None
    window: tuple[float, float] | None = None
    error: str = ""

    @property
    def scores(self) -> Tensor:
        """Of all classes [K], as `slowfast-ext test` saves them; where there are several heads, of the first."""
        return self._heads(self.raw)[0]

    @property
    def names(self) -> tuple[str, ...]:
        """Class names in the order of `scores`."""
        return self.classes.names[0]

    def top(self, k: int = 5, head: int | str = 0) -> list[Guess]:
        """The `k` best classes of a head (its number or its name), the best first.

        Raises DataError where the video could not be read.
        """
        if isinstance(head, str):
            if head not in self.classes.heads:
                allowed = unknown_name(head, self.classes.heads)
                raise ConfigError(f"there is no head '{head}': {allowed}")
            head = self.classes.heads.index(head)
        shown_K = self._heads(self.probabilities or self.raw)[head]
        best = torch.sort(shown_K, descending=True, stable=True)
        names = self.classes.names[head]
        pairs = zip(best.values.tolist()[:k], best.indices.tolist()[:k], strict=True)
        return [Guess(names[label], score, label) for score, label in pairs]

    @property
    def label(self) -> str:
        """What it was taken for: the best class of each head, or all classes that are present."""
        if self.classes.several:
            present = [guess.name for guess in self.top(len(self.names)) if guess.score >= PRESENT]
            return " + ".join(present)
        return " ".join(self.top(1, head)[0].name for head in range(len(self.classes.heads)))

    @property
    def score(self) -> float:
        """Of the best class; the product over the heads."""
        product = 1.0
        for head in range(len(self.classes.heads)):
            product *= self.top(1, head)[0].score
        return product

    @property
    def percent(self) -> bool:
        """Whether scores are probabilities."""
        return self.probabilities is not None

    def words(self, k: int = 5) -> list[str]:
        """The `k` best of each head, or the error, for people."""
        if self.error:
            return [f"not read: {self.error}"]
        found = []
        for head, name in enumerate(self.classes.heads):
            best = (f"{g.name} {shown(g.score, self.percent)}" for g in self.top(k, head))
            found.append((f"{name}: " if name else "") + ", ".join(best))
        return found

    def __repr__(self) -> str:
        when = f" {self.window[0]:g} to {self.window[1]:g} s" if self.window else ""
        return f"<{self.video}{when}: {'; '.join(self.words(3))}>"

    def _heads(self, values: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        if self.error:
            raise DataError(f"{self.video}: has no scores: {self.error}")
        return values


def shown(score: float, as_percent: bool) -> str:
    """A score for people: 93.1 %."""
    return f"{100 * score:.1f} %" if as_percent else f"{score:.4g}"
