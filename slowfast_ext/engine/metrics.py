"""Metrics of evaluated videos. All accuracies are in percent.

Shapes: M videos, K classes of a head.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Metrics = dict[str, float]
HEAD_NAMES = ("verb", "noun")


@dataclass(frozen=True)
class Evaluation:
    """Scores of every video of a set, in list order. `scores` of a video that could not be decoded are 0.

    `labels` is int64 [M, heads], or float multi-hot [M, K] where videos have several labels.
    """

    scores: tuple[Tensor, ...]
    labels: Tensor
    decoded: Tensor
    errors: dict[int, str]
    multi_label: bool = False

    def counted(self, policy: str) -> "Evaluation":
        """The videos that metrics are taken over: all (`wrong`), or only the decoded (`skip`)."""
        if policy != "skip":
            return self
        keep = self.decoded
        scores = tuple(scores_MK[keep] for scores_MK in self.scores)
        return Evaluation(scores, self.labels[keep], self.decoded[keep], {}, self.multi_label)


def hits(scores_MK: Tensor, label_M: Tensor, decoded_M: Tensor, k: int) -> Tensor:
    """Whether the label is among the k best, bool [M]. A tie counts against the video.

    The rank of the label is the number of classes that score at least as much, so the answer does not
    depend on how a sort breaks ties. A video that was not decoded, or whose scores are NaN, is never right.
    """
    own_M1 = scores_MK.gather(1, label_M[:, None])
    rank_M = (scores_MK >= own_M1).sum(1)
    return (rank_M >= 1) & (rank_M <= k) & decoded_M


def mean_class_accuracy(hit_M: Tensor, label_M: Tensor, num_classes: int) -> float:
    """Mean over the classes that occur of their accuracy, percent."""
    sizes_K = torch.bincount(label_M, minlength=num_classes)
    right_K = torch.bincount(label_M[hit_M], minlength=num_classes)
    present_K = sizes_K > 0
    return 100.0 * (right_K[present_K] / sizes_K[present_K]).double().mean().item()


def mean_average_precision(scores_MK: Tensor, target_MK: Tensor) -> float:
    """Mean over the classes that occur of the average precision (area of the step curve), percent."""
    order_MK = scores_MK.argsort(dim=0, descending=True, stable=True)
    ranked_MK = target_MK.gather(0, order_MK).double()
    found_MK = ranked_MK.cumsum(0)
    position_M1 = torch.arange(1, len(ranked_MK) + 1, dtype=torch.float64)[:, None]
    positives_K = ranked_MK.sum(0)
    present_K = positives_K > 0
    precision_K = (ranked_MK * found_MK / position_M1).sum(0)[present_K] / positives_K[present_K]
    return 100.0 * precision_K.mean().item()


def confusion(scores_MK: Tensor, label_M: Tensor) -> Tensor:
    """Counts [K, K], row: label, column: best class."""
    count = scores_MK.shape[1]
    cell_M = label_M * count + scores_MK.argmax(1)
    return torch.bincount(cell_M, minlength=count * count).view(count, count)


def compute_metrics(evaluation: Evaluation, policy: str) -> Metrics:
    """Every figure that fits the task: single label, verb and noun (with action), or multi-label.

    NaN where no video is left to count.
    """
    counted = evaluation.counted(policy)
    if len(counted.labels) == 0:
        return {"top1_acc": float("nan")}
    if counted.multi_label:
        return {"map": mean_average_precision(counted.scores[0], counted.labels)}
    if len(counted.scores) == 1:
        return _head_metrics(counted, 0)
    return _joint_metrics(counted)


def _head_metrics(evaluation: Evaluation, head: int, prefix: str = "") -> Metrics:
    scores_MK, label_M = evaluation.scores[head], evaluation.labels[:, head]
    hit1_M = hits(scores_MK, label_M, evaluation.decoded, 1)
    hit5_M = hits(scores_MK, label_M, evaluation.decoded, 5)
    return {
        f"{prefix}top1_acc": _percent(hit1_M),
        f"{prefix}top5_acc": _percent(hit5_M),
        f"{prefix}mean_class_acc": mean_class_accuracy(hit1_M, label_M, scores_MK.shape[1]),
    }


def _joint_metrics(evaluation: Evaluation) -> Metrics:
    """Action accuracy (all heads right) as top1_acc/top5_acc, and each head's own figures."""
    metrics: Metrics = {}
    for k in (1, 5):
        per_head = [
            hits(scores_MK, evaluation.labels[:, head], evaluation.decoded, k)
            for head, scores_MK in enumerate(evaluation.scores)
        ]
        metrics[f"top{k}_acc"] = _percent(torch.stack(per_head).all(0))
    for head, name in enumerate(head_names(len(evaluation.scores))):
        metrics.update(_head_metrics(evaluation, head, f"{name}_"))
    return metrics


def head_names(count: int) -> Sequence[str]:
    """Verb and noun for two heads, else head0, head1, ..."""
    return HEAD_NAMES if count == len(HEAD_NAMES) else [f"head{index}" for index in range(count)]


def _percent(hit_M: Tensor) -> float:
    return 100.0 * hit_M.double().mean().item()
