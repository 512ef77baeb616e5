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

from slowfast_ext.models.attention import AttentionSpec, Grid
from slowfast_ext.models.backbones.base import BACKBONES, BackboneSpec
from slowfast_ext.models.backbones.vit import VisionTransformer, VitOptions
from slowfast_ext.models.backbones.vit_embed import resize_space
from slowfast_ext.models.blocks import BlockSpec, build_block
from slowfast_ext.models.layers import init_transformer, run_blocks
from slowfast_ext.options import Options, Problem, option, section


@section(
    "XVIT", "XViT: a ViT with a class token a frame (its sizes: VIT; its mixing: ATTENTION.MIXING)"
)
@dataclass(frozen=True)
class XvitOptions(Options):
    """Temporal positions, and how the frames become one feature."""

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


class Consensus(nn.Module):
    """Class tokens of the frames -> one feature: blocks behind a learned token, a norm and a hidden layer.

    As published the blocks have no bias in the projection of queries, keys and values, know no positions,
    and all norms here have epsilon 1e-5. Cost, T frames: depth*(12*(T + 1)*C^2 + 2*(T + 1)^2*C) + C*D.
    """

    def __init__(self, dim: int, options: XvitOptions, init_std: float) -> None:
        super().__init__()
        attention = AttentionSpec(dim, options.consensus_heads, Grid.placeless(), qkv_bias=False)
        spec = BlockSpec(attention, norm_eps=1e-5)
        self.cls_token = nn.Parameter(torch.empty(1, 1, dim))
        self.blocks = nn.ModuleList(
            build_block("joint", spec) for _ in range(options.consensus_depth)
        )
        self.norm = nn.LayerNorm(dim)
        self.fc = nn.Linear(dim, options.consensus_dim)
        self.act = nn.GELU()
        nn.init.trunc_normal_(self.cls_token, std=0.02)
        self.apply(init_transformer(init_std))

    def forward(self, cls_BTC: Tensor) -> Tensor:
        """[B, T, C] -> [B, consensus_dim]."""
        x_BNC = torch.cat([self.cls_token.expand(cls_BTC.shape[0], -1, -1), cls_BTC], dim=1)
        x_BNC = run_blocks(self.blocks, x_BNC, Grid.placeless(x_BNC.shape[1]))
        return self.act(self.fc(self.norm(x_BNC[:, 0])))


class Mean(nn.Module):
    """Class tokens of the frames -> their mean: the same as the mean of the frames' logits."""

    def forward(self, cls_BTC: Tensor) -> Tensor:
        """[B, T, C] -> [B, C]."""
        return cls_BTC.mean(dim=1)


@BACKBONES.register("xvit", VitOptions, XvitOptions)
class XViT(VisionTransformer):
    """Blocks of any attention on framewise tokens, then a consensus of the frames.

    Cost: embedding 3*N*prod(patch)*C; per block 2*mlp_ratio*(N + T)*C^2 and the attention's own; consensus.
    """

    def __init__(
        self,
        spec: BackboneSpec = BackboneSpec(),
        vit: VitOptions = VitOptions(),
        options: XvitOptions = XvitOptions(),
    ) -> None:
        self.time_rows = options.time_rows or vit.token_sides(spec.num_frames, 0)[0]
        super().__init__(spec, vit)
        self.frame_dropout = nn.Dropout(options.frame_dropout)
        self.consensus: nn.Module = Mean()
        if options.consensus == "vit":
            self.feature_dim = options.consensus_dim
            self.consensus = Consensus(vit.embed_dim, options, spec.init_std)

    @classmethod
    def check(
        cls, spec: BackboneSpec, test_size: tuple[int, int], *options: Options
    ) -> Iterable[Problem]:
        """What ViT asks for, and keys of VIT that XViT has no use for."""
        vit, xvit = options
        assert isinstance(vit, VitOptions)
        assert isinstance(xvit, XvitOptions)
        yield from super().check(spec, test_size, vit)
        for field, value in (("pool", "cls"), ("pos_embed", "separate"), ("pre_logits", "none")):
            if getattr(vit, field) != value:
                message = f"MODEL.BACKBONE xvit knows only {value}"
                yield Problem(f"VIT.{field.upper()}", message, f"set it to {value}")
        if xvit.consensus == "vit" and vit.embed_dim % xvit.consensus_heads:
            message = f"{xvit.consensus_heads} heads do not divide VIT.EMBED_DIM {vit.embed_dim}"
            yield Problem("XVIT.CONSENSUS_HEADS", message, "choose a divisor")

    @classmethod
    def token_size(cls, *options: Options) -> int:
        """None: its feature is made of one class token a frame."""
        return 0

    def position_table(self, spec: BackboneSpec, options: VitOptions) -> Grid:
        """A row for the class token in space; `time_rows` in time."""
        _, h, w = options.token_sides(spec.num_frames, options.pos_crop_size or spec.img_size)
        return Grid(self.time_rows, h, w, prefix=1)

    def token_grid(self, t: int, h: int, w: int) -> Grid:
        """The grid of a clip of t x h x w tubelets: a class token a frame."""
        return Grid(t, h, w, prefix=t, framewise=True)

    def positions(self, grid: Grid) -> Tensor:
        """Position embedding [1, N, C] of all tokens of `grid`; the temporal row of a frame is added to all its tokens.

        A clip with more frames than the temporal table has rows uses them over again.
        """
        assert self.pos_embed is not None
        assert self.temp_embed is not None
        cls_11C, space = self.pos_embed.tensor_split([1], dim=1)
        space = space.unflatten(1, (1, self.table.h, self.table.w))
        space_1SC = resize_space(space, grid.h, grid.w).flatten(1, 3)
        rows = torch.arange(grid.t, device=space.device) % self.table.t
        time_1tC = self.temp_embed[:, rows]
        patches = space_1SC[:, None] + time_1tC[:, :, None]
        return torch.cat([cls_11C + time_1tC, patches.flatten(1, 2)], dim=1)

    def forward(self, clip_BCTHW: Tensor) -> Tensor:
        """Clip [B, 3, T, H, W] -> feature [B, feature_dim]. Raises ConfigError for an indivisible clip."""
        x_BNC, grid = self.embed(clip_BCTHW)
        x_BNC = run_blocks(self.blocks, x_BNC, grid, recomputed=self.recomputed)
        return self.consensus(self.frame_dropout(self.norm(x_BNC[:, : grid.t])))
