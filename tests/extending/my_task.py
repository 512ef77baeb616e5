"""A task of its own: one number a video, here its class as a position on a line; head, loss and metric."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from slowfast_ext.tasks import TASKS, Evaluation, Output, Task, heads_of, metric


@metric("mae", lower_is_better=True)
def mae(evaluation: Evaluation) -> float:
    """Mean distance of what is said from what is true."""
    said_M, true_M = evaluation.scores[0][:, 0], evaluation.labels[:, 0]
    return (said_M - true_M).abs().double().mean().item()


@TASKS.register("position")
class Position(Task):
    """Regression by squared error."""

    metrics = ("mae",)

    @property
    def output_sizes(self) -> tuple[int, ...]:
        """One column."""
        return (1,)

    def head(self, dim: int) -> nn.Module:
        """A linear layer."""
        return nn.Linear(dim, 1)

    def targets(self, labels: Tensor) -> tuple[Tensor, ...]:
        """[B, 1] in [0, 1)."""
        return (labels.float() / self.num_classes[0],)

    def labels(self, rows: Sequence[tuple[int, ...]]) -> Tensor:
        """int64 [B, 1]."""
        return torch.tensor(rows).view(len(rows), 1)

    def loss(self, output: Output, targets: Sequence[Tensor]) -> Tensor:
        """Mean squared error."""
        return mse_loss(heads_of(output)[0].float(), targets[0])

    def scores(self, output: Output) -> tuple[Tensor, ...]:
        """What is said, in classes."""
        return tuple(x_B1.float() * self.num_classes[0] for x_B1 in heads_of(output))
