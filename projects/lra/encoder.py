"""The encoder of Long Range Arena as Nystromformer and Orthoformer trained it, with any attention kernel.

Shapes: B batch, X sequences of an example, E = B*X, N tokens, C channels, K classes.
"""

import torch
from torch import Tensor, nn
from yacs.config import CfgNode

from projects.lra.tasks import TASKS
from projects.lra.tasks.base import PADDING, padded_length
from slowfast_ext.models.attention import Grid, LayerSpec, build_attention
from slowfast_ext.models.layers import PreNorm


class Layer(nn.Module):
    """Joint attention and an MLP, each a pre-norm residual step."""

    def __init__(self, spec: LayerSpec, cfg: CfgNode) -> None:
        super().__init__()
        hidden, dropout = cfg.LRA.HIDDEN, cfg.LRA.DROPOUT
        self.attn = PreNorm(spec, build_attention("joint", spec, cfg.ATTENTION))
        mlp = nn.Sequential(
            nn.Linear(spec.dim, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, spec.dim),
            nn.Dropout(dropout),
        )
        self.mlp = PreNorm(spec, mlp)

    def forward(self, x_ENC: Tensor, grid: Grid) -> Tensor:
        """[E, N, C] -> [E, N, C]."""
        return self.mlp(self.attn(x_ENC, grid))


class Encoder(nn.Module):
    """Ids -> one feature a sequence: the mean over all positions, those of padding counting as zeros."""

    def __init__(self, cfg: CfgNode, vocabulary: int, length: int) -> None:
        super().__init__()
        lra = cfg.LRA
        grid = Grid(1, 1, length)
        spec = LayerSpec(lra.DIM, lra.NUM_HEADS, grid, norm_eps=1e-5)
        self.tokens = nn.Embedding(vocabulary, lra.DIM)
        self.positions = nn.Parameter(torch.empty(length, lra.DIM))
        for table in (self.tokens.weight, self.positions):
            nn.init.normal_(table, std=0.02)
        self.dropout = nn.Dropout(lra.DROPOUT)
        self.layers = nn.ModuleList(Layer(spec, cfg) for _ in range(lra.DEPTH))
        self.norm = nn.LayerNorm(lra.DIM)

    def forward(self, ids_EN: Tensor) -> Tensor:
        """[E, N] -> [E, C]; N is at most the length that it is built for."""
        N = ids_EN.shape[1]
        valid_EN = ids_EN != PADDING
        grid = Grid(1, 1, N, valid_BN=valid_EN)
        x_ENC = self.dropout(self.tokens(ids_EN) + self.positions[:N])
        for layer in self.layers:
            x_ENC = layer(x_ENC, grid)
        return (self.norm(x_ENC) * valid_EN[..., None]).mean(1)


class Classifier(nn.Module):
    """Encoder and head; two sequences a, b meet in the head as [a, b, a*b, a - b]."""

    def __init__(
        self, cfg: CfgNode, vocabulary: int, length: int, classes: int, towers: int
    ) -> None:
        super().__init__()
        self.backbone = Encoder(cfg, vocabulary, length)
        width = cfg.LRA.DIM * (4 if towers == 2 else 1)
        self.head = nn.Sequential(
            nn.Linear(width, cfg.LRA.HIDDEN), nn.ReLU(), nn.Linear(cfg.LRA.HIDDEN, classes)
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
    task = TASKS.get(cfg.LRA.TASK)
    length = padded_length(task.length(cfg))
    return Classifier(cfg, task.vocabulary, length, task.classes, task.towers)
