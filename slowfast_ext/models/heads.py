"""Classifiers on a clip's feature. Shapes: B batch, C channels, K classes."""

from collections.abc import Sequence

from torch import Tensor, nn


class ClassHead(nn.Module):
    """Dropout, then one linear classifier for each label of a video (verb and noun, say)."""

    def __init__(self, dim: int, counts: Sequence[int], dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.classifiers = nn.ModuleList(nn.Linear(dim, count) for count in counts)

    def forward(self, feature_BC: Tensor) -> tuple[Tensor, ...]:
        """[B, C] -> logits [B, K], one tensor for each head."""
        feature_BC = self.dropout(feature_BC)
        return tuple(classifier(feature_BC) for classifier in self.classifiers)
