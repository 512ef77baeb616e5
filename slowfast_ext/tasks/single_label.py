"""Each video has one class in each head.

Shapes: B clips, M videos of a set, K classes of a head.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import log_softmax, one_hot

from slowfast_ext.tasks.base import TASKS, Output, Table, Task, heads_of
from slowfast_ext.tasks.metrics import Evaluation, confused_pairs, confusion, hits

WORST_PAIRS = 5


@TASKS.register("single_label")
class SingleLabel(Task):
    """Softmax classification; what is said here of several heads serves the tasks derived from this one."""

    metrics: ClassVar[tuple[str, ...]] = ("top1_acc", "top5_acc", "mean_class_acc")
    running = ("top1_acc", "top5_acc")

    def targets(self, labels: Tensor) -> tuple[Tensor, ...]:
        """One-hot [B, K] of int64 [B, heads], smoothed towards 1/K."""
        return tuple(
            one_hot(label_B, K).float() * (1 - self.label_smoothing) + self.label_smoothing / K
            for label_B, K in zip(labels.unbind(1), self.num_classes, strict=True)
        )

    def loss(self, output: Output, targets: Sequence[Tensor]) -> Tensor:
        """Mean over clips of -sum_k w_k target_k log softmax(logits)_k, averaged over heads."""
        logits = heads_of(output)
        # The weights are moved once: a copy in every step would make it wait.
        self.class_weights = [
            w if w is None else w.to(logits_BK.device)
            for w, logits_BK in zip(self.class_weights, logits, strict=True)
        ]
        losses = []
        for logits_BK, target_BK, weight_K in zip(logits, targets, self.class_weights, strict=True):
            weighted_BK = target_BK if weight_K is None else target_BK * weight_K
            losses.append(-(weighted_BK * log_softmax(logits_BK.float(), dim=1)).sum(1).mean())
        return torch.stack(losses).mean()

    def scores(self, output: Output) -> tuple[Tensor, ...]:
        """Softmax probabilities, or logits where these are averaged over views."""
        logits = super().scores(output)
        if self.ensemble == "logits":
            return logits
        return tuple(torch.softmax(logits_BK, dim=1) for logits_BK in logits)

    def probabilities(self, scores: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The scores, through a softmax where they are logits."""
        if self.ensemble != "logits":
            return tuple(scores)
        return tuple(torch.softmax(logits_K, dim=-1) for logits_K in scores)

    def running_sums(self, output: Output, targets: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Percent of clips whose heaviest target class is the best, and among the five best, in every head."""
        right1 = right5 = torch.ones((), dtype=torch.bool, device=targets[0].device)
        for logits_BK, target_BK in zip(heads_of(output), targets, strict=True):
            label_B, are_numbers_B = target_BK.argmax(1), ~logits_BK.isnan().any(1)
            right1 = right1 & hits(logits_BK, label_B, are_numbers_B, 1)
            right5 = right5 & hits(logits_BK, label_B, are_numbers_B, 5)
        return 100 * right1.sum().double(), 100 * right5.sum().double()

    def remarks(self, evaluation: Evaluation, names: Sequence[Sequence[str]]) -> Iterator[str]:
        """The classes that are confused most often."""
        for head, head_name in enumerate(self.head_names):
            pairs = [
                f"{names[head][true]} -> {names[head][taken]} {count} of {videos}"
                for true, taken, count, videos in confused_pairs(
                    *_scored(evaluation.of_head(head)), WORST_PAIRS
                )
            ]
            if pairs:
                yield f"confused most{f' ({head_name})' if head_name else ''}: {', '.join(pairs)}"

    def tables(self, evaluation: Evaluation, names: Sequence[Sequence[str]]) -> Iterator[Table]:
        """Confusion and accuracy of each class, for each head."""
        for head, head_name in enumerate(self.head_names):
            prefix = f"{head_name}_" if head_name else ""
            own = evaluation.of_head(head)
            yield f"{prefix}confusion.csv", _confusion_rows(own, names[head])
            yield f"{prefix}per_class.csv", _class_rows(own, names[head])


def _scored(evaluation: Evaluation) -> tuple[Tensor, Tensor]:
    """Scores [M, K] and labels [M] of the videos that have scores, of one head."""
    (scores_MK,), (label_M,) = evaluation.scores, evaluation.labels.T
    return scores_MK[evaluation.scored], label_M[evaluation.scored]


def _confusion_rows(evaluation: Evaluation, names: Sequence[str]) -> Iterator[Sequence[object]]:
    yield ["label \\ predicted", *names]
    table_KK = confusion(*_scored(evaluation))
    for name, row in zip(names, table_KK.tolist(), strict=True):
        yield [name, *row]


def _class_rows(evaluation: Evaluation, names: Sequence[str]) -> Iterable[Sequence[object]]:
    (scores_MK,), (label_M,) = evaluation.scores, evaluation.labels.T
    hit_M = hits(scores_MK, label_M, evaluation.scored, 1)
    yield "class", "name", "videos", "right", "accuracy"
    for index, name in enumerate(names):
        own_M = label_M == index
        size, right = int(own_M.sum()), int(hit_M[own_M].sum())
        yield index, name, size, right, f"{100 * right / size:.2f}" if size else ""


def inverse_frequency(videos_of_class: Sequence[int]) -> Tensor:
    """Weights in inverse proportion to the class sizes, mean one over the videos; 0 for an empty class."""
    sizes_K = torch.tensor(videos_of_class, dtype=torch.float32)
    present = (sizes_K > 0).sum()
    return torch.where(sizes_K > 0, sizes_K.sum() / (present * sizes_K.clamp(min=1)), 0.0)
