"""What the head of a vision transformer reads of its tokens: the class token, a mean, or attention to all of them.

Shapes: B batch, N tokens, C channels, Q queries, h heads, D head dim.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from slowfast_ext.models.attention import AttentionSpec, Grid
from slowfast_ext.models.attention.fused import fused_attention
from slowfast_ext.models.blocks import BlockSpec, build_block
from slowfast_ext.models.layers import Mlp, run_blocks


@dataclass(frozen=True)
class PoolSpec:
    """What the transformer tells its pooling; only attention has heads, a width `out_dim` of its own, and blocks."""

    dim: int
    num_heads: int
    out_dim: int
    depth: int
    mlp_ratio: float
    norm_eps: float


class Pool(nn.Module):
    """Tokens -> feature. `class_token`: there is one; `norms_tokens`, `norms_feature`: what passes through a norm."""

    class_token: ClassVar[bool] = False
    norms_tokens: ClassVar[bool] = False
    norms_feature: ClassVar[bool] = False

    def __init__(self, spec: PoolSpec) -> None:
        super().__init__()
        self.out_dim = spec.dim

    def tokens(self, x_BNC: Tensor) -> Tensor:
        """The tokens that matter, before the norm."""
        return x_BNC

    def forward(self, x_BNC: Tensor) -> Tensor:
        """[B, N, C] -> [B, out_dim]."""
        raise NotImplementedError


class ClassToken(Pool):
    """The class token, normalised (ViT)."""

    class_token = True
    norms_tokens = True

    def tokens(self, x_BNC: Tensor) -> Tensor:
        """The class token."""
        return x_BNC[:, :1]

    def forward(self, x_BNC: Tensor) -> Tensor:
        """[B, 1, C] -> [B, C]."""
        return x_BNC[:, 0]


class Mean(Pool):
    """The mean of the normalised tokens; there is no class token."""

    norms_tokens = True

    def forward(self, x_BNC: Tensor) -> Tensor:
        """[B, N, C] -> [B, C]."""
        return x_BNC.mean(dim=1)


class MeanThenNorm(Mean):
    """The mean of the tokens, normalised (VideoMAE)."""

    norms_tokens = False
    norms_feature = True


class AttentionPool(Pool):
    """Attention of the mean token to all tokens, class token included, projected and normalised (InternVideo2).

    Cost: 2*N*C^2 + C^2 + 2*N*C + C*out_dim.
    """

    class_token = True
    norms_feature = True

    def __init__(self, spec: PoolSpec) -> None:
        super().__init__(spec)
        self.out_dim, self.num_heads = spec.out_dim, spec.num_heads
        norms = (nn.LayerNorm(spec.dim, eps=spec.norm_eps) for _ in range(3))
        self.norm_q, self.norm_k, self.norm_v = norms
        self.q, self.k, self.v = (nn.Linear(spec.dim, spec.dim) for _ in range(3))
        self.proj = nn.Linear(spec.dim, spec.out_dim)

    def forward(self, x_BNC: Tensor) -> Tensor:
        """[B, N, C] -> [B, out_dim]."""
        q_B1C = self.q(self.norm_q(x_BNC.mean(dim=1, keepdim=True)))
        k_BNC, v_BNC = self.k(self.norm_k(x_BNC)), self.v(self.norm_v(x_BNC))
        return self.proj(attend(q_B1C, k_BNC, v_BNC, self.num_heads)[:, 0])


class Probe(Pool):
    """V-JEPA's attentive probe: blocks on the normalised tokens, then a block in which a learned query reads them.

    That attention has no output projection. Cost: of the blocks, and 2*N*C^2 + C^2 + 2*N*C + 2*mlp_ratio*C^2.
    """

    norms_tokens = True

    def __init__(self, spec: PoolSpec) -> None:
        super().__init__(spec)
        self.num_heads = spec.num_heads
        attention = AttentionSpec(spec.dim, spec.num_heads, Grid.placeless())
        block = BlockSpec(attention, spec.mlp_ratio, norm_eps=spec.norm_eps)
        self.query = nn.Parameter(torch.empty(1, 1, spec.dim))
        self.blocks = nn.ModuleList(build_block("joint", block) for _ in range(spec.depth))
        self.norm1 = nn.LayerNorm(spec.dim, eps=spec.norm_eps)
        self.q = nn.Linear(spec.dim, spec.dim)
        self.kv = nn.Linear(spec.dim, 2 * spec.dim)
        self.norm2 = nn.LayerNorm(spec.dim, eps=spec.norm_eps)
        self.mlp = Mlp(spec.dim, int(spec.dim * spec.mlp_ratio))
        nn.init.trunc_normal_(self.query, std=0.02)

    def forward(self, x_BNC: Tensor) -> Tensor:
        """[B, N, C] -> [B, C]."""
        x_BNC = run_blocks(self.blocks, x_BNC, Grid.placeless(x_BNC.shape[1]))
        q_B1C = self.q(self.query).expand(x_BNC.shape[0], -1, -1)
        k_BNC, v_BNC = self.kv(self.norm1(x_BNC)).chunk(2, dim=-1)
        y_B1C = self.query + attend(q_B1C, k_BNC, v_BNC, self.num_heads)
        return (y_B1C + self.mlp(self.norm2(y_B1C)))[:, 0]


POOLS: dict[str, type[Pool]] = {
    "cls": ClassToken,
    "mean": Mean,
    "mean_norm": MeanThenNorm,
    "attention": AttentionPool,
    "probe": Probe,
}


def attend(q_BQC: Tensor, k_BNC: Tensor, v_BNC: Tensor, num_heads: int) -> Tensor:
    """Multi-head softmax attention of a few queries, [B, Q, C]."""
    q, k, v = (x.unflatten(-1, (num_heads, -1)).transpose(1, 2) for x in (q_BQC, k_BNC, v_BNC))
    return fused_attention(q, k, v).transpose(1, 2).flatten(2)
