"""Norm of queries and keys, over the channels of all heads together (InternVideo2; Dehghani et al., 2023).

Shapes: B batch, N tokens, C channels, h heads, D head dim.
"""

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from slowfast_ext.models.attention.grid import Grid
from slowfast_ext.models.attention.shift import over_heads

QK_NORMS: dict[str, Callable[[int], nn.Module]] = {
    "rms": partial(nn.RMSNorm, eps=1e-6),
    "layer": partial(nn.LayerNorm, eps=1e-6),
}


class QkNorm(nn.Module):
    """Queries and keys of unit mean square before they meet, times a learned factor per channel."""

    def __init__(self, dim: int, kind: str) -> None:
        """`dim` channels over all heads; `kind` is a name in QK_NORMS."""
        super().__init__()
        self.q_norm = QK_NORMS[kind](dim)
        self.k_norm = QK_NORMS[kind](dim)

    def forward(
        self, q_BhND: Tensor, k_BhND: Tensor, v_BhND: Tensor, grid: Grid
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Normalised queries and keys, values as they are, [B, h, N, D] each."""
        return over_heads(self.q_norm, q_BhND), over_heads(self.k_norm, k_BhND), v_BhND
