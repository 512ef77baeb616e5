"""Metrics: functions of an evaluation, registered by name. Accuracies are in percent.

A metric of one's own is one decorated function, in a file that IMPORT names:

    @metric("f1", tasks=("single_label",))
    def f1(evaluation: Evaluation) -> float: ...

Shapes: M videos, K classes of a head.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import update_wrapper

import torch
from torch import Tensor

from slowfast_ext.registry import Registry

METRICS = Registry("METRICS")


@dataclass(frozen=True)
class Evaluation:
    """Scores [M, K] of each head for every video of a set, in list order; 0 for one that could not be decoded.

    `labels` is what the task makes of the videos' labels, `decoded` is bool [M], `errors` says by video what failed.
    Metrics count a video that is not `scored` as wrong, whatever its scores are.
    `central`: scores of the middle view alone, where those of several are averaged.
    """

    scores: tuple[Tensor, ...]
    labels: Tensor
    decoded: Tensor
    errors: dict[int, str]
    central: tuple[Tensor, ...] = ()

    def of_central_view(self) -> "Evaluation":
        """The same videos as the middle view alone shows them."""
        return replace(self, scores=self.central, central=())

    @property
    def scored(self) -> Tensor:
        """Videos that were decoded and whose scores are numbers, bool [M]."""
        are_numbers = [~scores_MK.isnan().any(1) for scores_MK in self.scores]
        return torch.stack([self.decoded, *are_numbers]).all(0)

    def counted(self, policy: str) -> "Evaluation":
        """The videos that metrics are taken over: all, or only the decoded where `policy` is `skip`."""
        if policy != "skip":
            return self
        scores = tuple(scores_MK[self.decoded] for scores_MK in self.scores)
        return Evaluation(scores, self.labels[self.decoded], self.decoded[self.decoded], {})

    def of_head(self, head: int) -> "Evaluation":
        """The same videos with the scores and labels [M, 1] of one head."""
        labels_M1 = self.labels[:, head : head + 1]
        return Evaluation((self.scores[head],), labels_M1, self.decoded, self.errors)


Compute = Callable[[Evaluation], float]


class Metric:
    """A registered function, the tasks that it was added to, and which way is better."""

    def __init__(self, compute: Compute, tasks: Sequence[str], lower_is_better: bool) -> None:
        update_wrapper(self, compute)
        self.compute, self.tasks, self.lower_is_better = compute, tuple(tasks), lower_is_better

    def __call__(self, evaluation: Evaluation) -> float:
        """The value for these videos."""
        return self.compute(evaluation)

    def rank(self, value: float) -> float:
        """A number that is larger for a better value."""
        return -value if self.lower_is_better else value


def metric(
    name: str, tasks: Sequence[str] = (), lower_is_better: bool = False
) -> Callable[[Compute], Metric]:
    """Decorator that puts a function into METRICS. A task computes what it lists, and what lists it in `tasks`."""

    def add(compute: Compute) -> Metric:
        return METRICS.register(name)(Metric(compute, tasks, lower_is_better))

    return add


@metric("top1_acc")
def top1_acc(evaluation: Evaluation) -> float:
    """Videos whose label scores best, in every head."""
    return top_k_accuracy(evaluation, 1)


@metric("top5_acc")
def top5_acc(evaluation: Evaluation) -> float:
    """Videos whose label is among the five best, in every head."""
    return top_k_accuracy(evaluation, 5)


@metric("mean_class_acc")
def mean_class_acc(evaluation: Evaluation) -> float:
    """Mean over the classes that occur of their top-1 accuracy."""
    (scores_MK,), (label_M,) = evaluation.scores, evaluation.labels.T
    hit_M = hits(scores_MK, label_M, evaluation.scored, 1)
    return mean_class_accuracy(hit_M, label_M, scores_MK.shape[1])


@metric("map")
def mean_ap(evaluation: Evaluation) -> float:
    """Mean average precision; `labels` are multi-hot [M, K]."""
    return mean_average_precision(evaluation.scores[0], evaluation.labels, evaluation.scored)


def top_k_accuracy(evaluation: Evaluation, k: int) -> float:
    """Videos whose label is among the k best in every head."""
    per_head = [
        hits(scores_MK, evaluation.labels[:, head], evaluation.scored, k)
        for head, scores_MK in enumerate(evaluation.scores)
    ]
    return 100.0 * torch.stack(per_head).all(0).double().mean().item()


def hits(scores_MK: Tensor, label_M: Tensor, scored_M: Tensor, k: int) -> Tensor:
    """Whether the label is among the k best, bool [M]. A tie counts against the video, as does a missing score.

    The rank of the label is the number of classes that score at least as much, so the answer does not
    depend on how a sort breaks ties.
    """
    own_M1 = scores_MK.gather(1, label_M[:, None])
    rank_M = (scores_MK >= own_M1).sum(1)
    return (rank_M <= k) & scored_M


def mean_class_accuracy(hit_M: Tensor, label_M: Tensor, num_classes: int) -> float:
    """Mean over the classes that occur of their accuracy."""
    sizes_K = torch.bincount(label_M, minlength=num_classes)
    right_K = torch.bincount(label_M[hit_M], minlength=num_classes)
    present_K = sizes_K > 0
    return 100.0 * (right_K[present_K] / sizes_K[present_K]).double().mean().item()


def mean_average_precision(scores_MK: Tensor, target_MK: Tensor, scored_M: Tensor) -> float:
    """Mean over the classes that occur of the average precision (area of the step curve), as scikit-learn defines it.

    Videos of equal score are found together. One that is not `scored` is never found: it has no place in the
    ranking, and the classes that it shows lose its share. NaN where no class occurs.
    """
    positives_K = target_MK.sum(0)
    found = zip(scores_MK[scored_M].T, target_MK[scored_M].T, positives_K, strict=True)
    precisions = [
        _average_precision(scores_M, target_M, positives)
        for scores_M, target_M, positives in found
        if positives > 0
    ]
    return 100.0 * torch.stack(precisions).mean().item() if precisions else float("nan")


def _average_precision(scores_M: Tensor, target_M: Tensor, positives: Tensor) -> Tensor:
    """Sum over the thresholds of the precision there, times the recall that they add."""
    score_M, order_M = scores_M.sort(descending=True)
    found_M = target_M[order_M].double().cumsum(0)
    last_of_ties = torch.ones_like(score_M, dtype=torch.bool)
    last_of_ties[:-1] = score_M[1:] < score_M[:-1]
    found_T = found_M[last_of_ties]
    (last_T,) = last_of_ties.nonzero(as_tuple=True)
    added_T = found_T.diff(prepend=found_T.new_zeros(1))
    return (added_T * found_T / (last_T + 1)).sum() / positives


def confused_pairs(
    scores_MK: Tensor, label_M: Tensor, most: int
) -> list[tuple[int, int, int, int]]:
    """(class, what it was taken for, how often, videos of the class) of the pairs that were confused most often."""
    table_KK = confusion(scores_MK, label_M)
    videos_K = table_KK.sum(1)
    wrong_KK = table_KK - table_KK.diag().diag()
    counts, cells = wrong_KK.flatten().topk(min(most, wrong_KK.numel()))
    pairs = [
        (*divmod(cell, len(table_KK)), count)
        for cell, count in zip(cells.tolist(), counts.tolist(), strict=True)
    ]
    return [(true, taken, count, int(videos_K[true])) for true, taken, count in pairs if count]


def confusion(scores_MK: Tensor, label_M: Tensor) -> Tensor:
    """Counts [K, K], row: label, column: best class."""
    count = scores_MK.shape[1]
    cell_M = label_M * count + scores_MK.argmax(1)
    return torch.bincount(cell_M, minlength=count * count).view(count, count)
