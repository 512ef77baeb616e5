"""Each video has any number of classes.

Shapes: B clips, K classes.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from slowfast_ext.tasks.base import TASKS, Labels, Output, Task, heads_of


@TASKS.register("multi_label")
class MultiLabel(Task):
    """A yes or no for every class: sigmoids, binary cross-entropy, mean average precision."""

    metrics = ("map",)
    running = ("top1_acc",)
    labels_per_video = None

    def by_head(self, labels: Labels) -> tuple[Labels, ...]:
        """All labels are of the one head."""
        return (labels,)

    def labels(self, rows: Sequence[Labels]) -> Tensor:
        """Multi-hot [B, K]."""
        hot_BK = torch.zeros(len(rows), *self.num_classes)
        for row, present in enumerate(rows):
            hot_BK[row, list(present)] = 1.0
        return hot_BK

    def targets(self, labels: Tensor) -> tuple[Tensor, ...]:
        """Multi-hot [B, K], smoothed towards 1/2."""
        return (labels * (1 - self.label_smoothing) + self.label_smoothing / 2,)

    def loss(self, output: Output, targets: Sequence[Tensor]) -> Tensor:
        """Binary cross-entropy, mean over clips and classes."""
        (logits_BK,), (target_BK,) = heads_of(output), targets
        return binary_cross_entropy_with_logits(logits_BK.float(), target_BK)

    def scores(self, output: Output) -> tuple[Tensor, ...]:
        """Sigmoid probabilities, or logits where these are averaged over views."""
        (logits_BK,) = super().scores(output)
        return (logits_BK if self.ensemble == "logits" else torch.sigmoid(logits_BK),)

    def probabilities(self, scores: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The scores, through a sigmoid where they are logits."""
        if self.ensemble != "logits":
            return tuple(scores)
        return tuple(map(torch.sigmoid, scores))

    def running_sums(self, output: Output, targets: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Percent of clips whose best class is one of theirs (of the heaviest, where clips are mixed)."""
        (logits_BK,), (target_BK,) = heads_of(output), targets
        best_B1 = logits_BK.detach().argmax(1, keepdim=True)
        right_B = target_BK.gather(1, best_B1).squeeze(1) >= target_BK.amax(1)
        right_B &= ~logits_BK.isnan().any(1)
        return (100 * right_B.sum().double(),)
