"""Losses. Shapes: B clips, K classes of a head."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, log_softmax
from yacs.config import CfgNode

from slowfast_ext.data.records import VideoRecord, class_histogram
from slowfast_ext.tasks.base import class_counts


class SoftCrossEntropy(nn.Module):
    """Mean over clips of -sum_k w_k target_k log softmax(logits)_k, averaged over heads."""

    def __init__(self, weights: Sequence[Tensor | None]) -> None:
        super().__init__()
        self._heads = len(weights)
        for head, weight in enumerate(weights):
            self.register_buffer(f"weight{head}", weight, persistent=False)

    def forward(self, logits: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
        """Logits and soft targets [B, K] of each head -> scalar."""
        losses = []
        for head, (logits_BK, target_BK) in enumerate(zip(logits, targets, strict=True)):
            weight_K = getattr(self, f"weight{head}")
            weighted_BK = target_BK if weight_K is None else target_BK * weight_K
            losses.append(-(weighted_BK * log_softmax(logits_BK.float(), dim=-1)).sum(-1).mean())
        return torch.stack(losses).mean()


class MultiLabelLoss(nn.Module):
    """Binary cross-entropy over every class, mean over clips and classes."""

    def forward(self, logits: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
        """Logits and multi-hot targets [B, K] -> scalar."""
        return binary_cross_entropy_with_logits(logits[0].float(), targets[0])


def build_loss(cfg: CfgNode, records: Sequence[VideoRecord]) -> nn.Module:
    """The loss of the training set; TRAIN.CLASS_WEIGHTS are computed from its records."""
    if cfg.DATA.MULTI_LABEL:
        return MultiLabelLoss()
    counts = class_counts(cfg)
    if cfg.TRAIN.CLASS_WEIGHTS == "none":
        return SoftCrossEntropy([None] * len(counts))
    return SoftCrossEntropy(
        [
            inverse_frequency(class_histogram(records, count, head))
            for head, count in enumerate(counts)
        ]
    )


def inverse_frequency(videos_of_class: Sequence[int]) -> Tensor:
    """Weights in inverse proportion to the class sizes, mean one over the videos; 0 for an empty class."""
    sizes_K = torch.tensor(videos_of_class, dtype=torch.float32)
    present = (sizes_K > 0).sum()
    return torch.where(sizes_K > 0, sizes_K.sum() / (present * sizes_K.clamp(min=1)), 0.0)
