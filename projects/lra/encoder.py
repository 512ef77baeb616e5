"""The encoder of Long Range Arena as Nystromformer and Orthoformer trained it, with any attention kernel.

Shapes: B batch, X sequences of an example, E = B*X, N tokens, C channels, K classes.
"""

from dataclasses import replace

import torch
from torch import Tensor, nn
from yacs.config import CfgNode

from projects.lra.options import LraOptions
from projects.lra.tasks import Task, build_task
from projects.lra.tasks.base import PADDING, padded_length
from slowfast_ext.config import options_of
from slowfast_ext.models.attention import KERNELS, AttentionOptions, AttentionSpec, Grid
from slowfast_ext.models.attention.fixation import FixationOptions
from slowfast_ext.models.attention.joint import Joint
from slowfast_ext.models.attention.neighbour import NeighbourOptions
from slowfast_ext.options import Options


class Layer(nn.Module):
    """Joint attention and an MLP, each a pre-norm residual step."""

    def __init__(self, spec: AttentionSpec, hidden: int, dropout: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(spec.dim), nn.LayerNorm(spec.dim)
        self.attn = Joint(spec)
        self.mlp = nn.Sequential(
            nn.Linear(spec.dim, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, spec.dim),
            nn.Dropout(dropout),
        )

    def forward(self, x_ENC: Tensor, grid: Grid, valid_EN: Tensor) -> Tensor:
        """[E, N, C] -> [E, N, C]; `valid_EN` marks the tokens that are no padding."""
        x_ENC = x_ENC + self.attn(self.norm1(x_ENC), grid, valid_EN)
        return x_ENC + self.mlp(self.norm2(x_ENC))


class Encoder(nn.Module):
    """Ids -> one feature a sequence: the mean over all positions, those of padding counting as zeros."""

    def __init__(
        self, vocabulary: int, length: int, options: LraOptions, attention: AttentionOptions
    ) -> None:
        super().__init__()
        dim, std = options.dim, 0.02
        spec = AttentionSpec(dim, options.num_heads, Grid(1, 1, length), attention=attention)
        self.tokens = nn.Embedding(vocabulary, dim)
        self.positions = nn.Parameter(torch.empty(length, dim))
        for table in (self.tokens.weight, self.positions):
            nn.init.normal_(table, std=std)
        self.dropout = nn.Dropout(options.dropout)
        self.layers = nn.ModuleList(
            Layer(spec, options.hidden, options.dropout) for _ in range(options.depth)
        )
        self.norm = nn.LayerNorm(dim)

    def forward(self, ids_EN: Tensor) -> Tensor:
        """[E, N] -> [E, C]; N is at most the length that it is built for."""
        N = ids_EN.shape[1]
        grid, valid_EN = Grid(1, 1, N), ids_EN != PADDING
        x_ENC = self.dropout(self.tokens(ids_EN) + self.positions[:N])
        for layer in self.layers:
            x_ENC = layer(x_ENC, grid, valid_EN)
        return (self.norm(x_ENC) * valid_EN[..., None]).mean(1)


class Classifier(nn.Module):
    """Encoder and head; two sequences a, b meet in the head as [a, b, a*b, a - b]."""

    def __init__(self, task: Task, options: LraOptions, attention: AttentionOptions) -> None:
        super().__init__()
        length = padded_length(task.length)
        self.backbone = Encoder(task.vocabulary, length, options, attention)
        width = options.dim * (4 if task.towers == 2 else 1)
        self.head = nn.Sequential(
            nn.Linear(width, options.hidden), nn.ReLU(), nn.Linear(options.hidden, task.classes)
        )

    def forward(self, ids_BXN: Tensor) -> Tensor:
        """[B, X, N] -> logits [B, K]."""
        features = self.backbone(ids_BXN.flatten(0, 1)).unflatten(0, ids_BXN.shape[:2]).unbind(1)
        if len(features) == 2:
            a_BC, b_BC = features
            features = (a_BC, b_BC, a_BC * b_BC, a_BC - b_BC)
        return self.head(torch.cat(features, dim=-1))


def build_classifier(cfg: CfgNode) -> Classifier:
    """The model for LRA.TASK with ATTENTION.KERNEL."""
    return Classifier(build_task(cfg), options_of(cfg, LraOptions), attention_options(cfg))


def attention_options(cfg: CfgNode) -> AttentionOptions:
    """Section ATTENTION with the options of its kernel, of fixation and of association."""
    kinds: tuple[type[Options], ...] = (
        FixationOptions,
        NeighbourOptions,
        *KERNELS.options(cfg.ATTENTION.KERNEL),
    )
    parts = tuple(options_of(cfg, kind) for kind in kinds)
    return replace(options_of(cfg, AttentionOptions), parts=parts)
