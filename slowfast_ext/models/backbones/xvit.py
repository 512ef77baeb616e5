"""XViT: a vision transformer with one class token a frame (Bulat et al., 2021), and its temporal heads.

Tokens for the attention layers: the class tokens of all frames are the prefix, frame after frame, and the
grid is `framewise`. Patterns that fold frames into the batch (space, mixing, factorized, window) take each
frame's own token along; the others (joint, divided, trajectory) treat them as T tokens of the whole clip. The
published model is ATTENTION.CYCLE [mixing]; that of feature fixation [factorized] with XVIT.CONSENSUS avg.

Shapes: B batch, N tokens, C channels, T frames, H W pixels, t h w tokens along each axis.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from yacs.config import CfgNode

from slowfast_ext.config import Problem, get_cfg
from slowfast_ext.models.attention import Grid, LayerSpec
from slowfast_ext.models.backbones.base import BACKBONES
from slowfast_ext.models.backbones.vit import VisionTransformer, token_sides
from slowfast_ext.models.backbones.vit_embed import Embedding, resize_space
from slowfast_ext.models.layers import Block, init_transformer, run_blocks
from slowfast_ext.options import Options, option, section


@section(
    "XVIT", "XViT: a ViT with a class token a frame (its sizes: VIT; its mixing: ATTENTION.MIXING)"
)
@dataclass(frozen=True)
class XvitOptions(Options):
    """XViT: a ViT with a class token a frame (its sizes: VIT; its mixing: ATTENTION.MIXING): the section XVIT."""

    time_rows: int = option(
        0,
        "rows of the temporal table, used over again in longer clips (XViT: 8); 0: one a frame",
        low=0,
    )
    consensus: str = option(
        "vit",
        "the frames' class tokens become one feature by a small transformer or as their mean",
        choices=("vit", "avg"),
    )
    consensus_depth: int = option(1, "blocks of the consensus transformer", low=1)
    consensus_heads: int = option(12, "heads of the consensus transformer", low=1)
    consensus_dim: int = option(
        768,
        "width of the hidden layer after it, which the classifier reads",
        unit="channels",
        low=1,
    )
    frame_dropout: float = option(
        0.0, "dropout of each frame's class token at the end", low=0, high=1
    )


class FrameEmbedding(Embedding):
    """Tubelets and a class token a frame; the temporal row of a frame is added to all its tokens.

    A clip with more frames than the temporal table has rows uses them over again.
    """

    def token_grid(self, t: int, h: int, w: int) -> Grid:
        """The grid of a clip of t x h x w tubelets."""
        return Grid(t, h, w, prefix=t, framewise=True)

    def positions(self, grid: Grid) -> Tensor:
        """Position embedding [1, N, C] of all tokens of `grid`."""
        cls_11C, space = self.pos_embed.tensor_split([1], dim=1)
        space = space.unflatten(1, (1, self.table.h, self.table.w))
        space_1hwC = resize_space(space, grid.h, grid.w).flatten(1, 3)
        rows = torch.arange(grid.t, device=space.device) % self.table.t
        time_1tC = self.time_embed[:, rows]
        patches = space_1hwC[:, None] + time_1tC[:, :, None]
        return torch.cat([cls_11C + time_1tC, patches.flatten(1, 2)], dim=1)


class Consensus(nn.Module):
    """Class tokens of the frames -> one feature: blocks behind a learned token, a norm and a hidden layer.

    As published the blocks have no bias in the projection of queries, keys and values, know no positions,
    and all norms here have epsilon 1e-5. Cost, T frames: depth*(12*(T + 1)*C^2 + 2*(T + 1)^2*C) + C*D.
    """

    def __init__(self, dim: int, heads: int, depth: int, dim_out: int, init_std: float) -> None:
        super().__init__()
        spec = LayerSpec(dim, heads, Grid(0, 0, 0), qkv_bias=False, norm_eps=1e-5)
        plain = get_cfg().ATTENTION
        self.cls_token = nn.Parameter(torch.empty(1, 1, dim))
        self.blocks = nn.ModuleList(Block("joint", spec, plain, 4.0) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)
        self.fc = nn.Linear(dim, dim_out)
        self.act = nn.GELU()
        nn.init.trunc_normal_(self.cls_token, std=0.02)
        self.apply(init_transformer(init_std))

    def forward(self, cls_BTC: Tensor) -> Tensor:
        """[B, T, C] -> [B, dim_out]."""
        x_BNC = torch.cat([self.cls_token.expand(len(cls_BTC), -1, -1), cls_BTC], dim=1)
        x_BNC = run_blocks(self.blocks, x_BNC, Grid(0, 0, 0, prefix=x_BNC.shape[1]))
        return self.act(self.fc(self.norm(x_BNC[:, 0])))


class Mean(nn.Module):
    """Class tokens of the frames -> their mean: the same as the mean of the frames' logits."""

    def forward(self, cls_BTC: Tensor) -> Tensor:
        """[B, T, C] -> [B, C]."""
        return cls_BTC.mean(dim=1)


@BACKBONES.register("xvit")
class XViT(VisionTransformer):
    """Blocks of any attention on framewise tokens, then a consensus of the frames.

    Cost: embedding 3*N*prod(patch)*C; per block 2*mlp_ratio*(N + T)*C^2 and the attention's own; consensus.
    """

    def __init__(self, cfg: CfgNode) -> None:
        super().__init__(cfg)
        xvit, dim = cfg.XVIT, cfg.VIT.EMBED_DIM
        self.frame_dropout = nn.Dropout(xvit.FRAME_DROPOUT)
        if xvit.CONSENSUS == "avg":
            self.consensus = Mean()
        else:
            self.feature_dim = xvit.CONSENSUS_DIM
            self.consensus = Consensus(
                dim,
                xvit.CONSENSUS_HEADS,
                xvit.CONSENSUS_DEPTH,
                xvit.CONSENSUS_DIM,
                cfg.MODEL.INIT_STD,
            )

    @classmethod
    def check(cls, cfg: CfgNode) -> Iterable[Problem]:
        """What ViT asks for, and keys of VIT that XViT has no use for."""
        yield from super().check(cfg)
        vit, heads = cfg.VIT, cfg.XVIT.CONSENSUS_HEADS
        for key, value in (("POOL", "cls"), ("POS_EMBED", "separate"), ("PRE_LOGITS", "none")):
            if vit[key] != value:
                yield Problem(
                    f"VIT.{key}", f"MODEL.BACKBONE xvit knows only {value}", f"set it to {value}"
                )
        if cfg.XVIT.CONSENSUS == "vit" and vit.EMBED_DIM % heads:
            message = f"{heads} heads do not divide VIT.EMBED_DIM {vit.EMBED_DIM}"
            yield Problem("XVIT.CONSENSUS_HEADS", message, "choose a divisor")

    def build_embedding(self, cfg: CfgNode) -> FrameEmbedding:
        """Tokens with a class token a frame."""
        vit = cfg.VIT
        t, h, w = token_sides(cfg, vit.POS_CROP_SIZE)
        table = Grid(cfg.XVIT.TIME_ROWS or t, h, w, prefix=1)
        return FrameEmbedding(
            tuple(vit.PATCH_SIZE), vit.EMBED_DIM, table, joint=False, dropout=vit.POS_DROPOUT
        )

    def forward(self, clip_BCTHW: Tensor) -> Tensor:
        """Clip [B, 3, T, H, W] -> feature [B, feature_dim]. Raises ConfigError for an indivisible clip."""
        x_BNC, grid = self.embed(clip_BCTHW)
        x_BNC = run_blocks(self.blocks, x_BNC, grid, recomputed=self.recomputed)
        return self.consensus(self.frame_dropout(self.norm(x_BNC[:, : grid.t])))
