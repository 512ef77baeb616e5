"""The plain vision transformer on space-time tokens: ViT, DeiT, TimeSformer, ViViT, Motionformer, VideoMAE, InternVideo2,
V-JEPA 2. They differ in parts that it is given: attention and blocks, positions, pooling, norms. Names are timm's.

Shapes: B batch, N tokens (class token first, then time-major), C channels, T frames, H W pixels, S tokens of a frame.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from slowfast_ext.models.activations import ACTIVATIONS
from slowfast_ext.models.attention import AttentionSpec, Grid
from slowfast_ext.models.backbones.base import BACKBONES, Backbone, BackboneSpec, Mix
from slowfast_ext.models.backbones.vit_embed import PatchEmbed
from slowfast_ext.models.backbones.vit_pool import POOLS, Pool, PoolSpec
from slowfast_ext.models.backbones.vit_positions import POSITIONS, RESIZES
from slowfast_ext.models.blocks import Block, BlockSpec, build_block
from slowfast_ext.models.layers import (
    NORMS,
    drop_path_rates,
    init_transformer,
    run_blocks,
)
from slowfast_ext.options import Options, Problem, Size, option, pair, section


@section(
    "VIT",
    "Vision transformer (ViT, DeiT, TimeSformer, ViViT, Motionformer, VideoMAE, InternVideo2, V-JEPA 2)",
)
@dataclass(frozen=True)
class VitOptions(Options):
    """Sizes of the transformer, its positions, and what the head reads."""

    patch_size: tuple[int, int, int] = option(
        (2, 16, 16), "token size", unit="frames, px, px", low=1, length=3
    )
    embed_dim: int = option(768, "width", unit="channels", low=1)
    depth: int = option(12, "blocks", low=1)
    num_heads: int = option(12, "heads", low=1)
    mlp_ratio: float = option(4.0, "hidden width of the MLP over the width", low=0)
    qkv_bias: bool = option(True, "bias of the query, key and value projection")
    pos_embed: str = option(
        "separate",
        "position embedding: one table for space and one for time, one joint table, a fixed table of sines and cosines (sincos: made for each grid; sincos_table: made for POS_CROP_SIZE and POS_FRAMES, and resized), or none",
        choices=tuple(POSITIONS),
    )
    pos_crop_size: Size = option(
        0,
        "crop the spatial position table is made for (a side, or [height, width]), resized to any other; 0: the training crop",
        unit="px",
        low=0,
        length=2,
        types=(int, list, tuple),
    )
    pos_frames: int = option(
        0,
        "frames the position table is made for, resized to any other; 0: those of the clip",
        unit="frames",
        low=0,
    )
    pos_resize: str = option(
        "smooth",
        "how position tables are resized: bicubic in space and linear in time, or to the nearest row (TimeSformer)",
        choices=tuple(RESIZES),
    )
    pool: str = option(
        "cls",
        "what the head reads: a cls token; without one the mean of the normalised tokens or the normalised mean; with one attention of the mean (InternVideo2); an attentive probe (V-JEPA 2)",
        choices=tuple(POOLS),
    )
    pool_heads: int = option(0, "heads of POOL attention and probe; 0: NUM_HEADS", low=0)
    pool_dim: int = option(
        0, "width of the feature of POOL attention; 0: EMBED_DIM", unit="channels", low=0
    )
    pool_depth: int = option(3, "blocks of POOL probe before its query", low=0)
    pool_mlp_ratio: float = option(4.0, "hidden width over the width in POOL probe", low=0)
    pool_norm_eps: float = option(
        0.0, "epsilon of the norms of the feature and of its pooling; 0: LAYER_NORM_EPS", low=0
    )
    pos_dropout: float = option(0.0, "dropout after the position embedding", low=0, high=1)
    pre_logits: str = option(
        "none",
        "a D -> D layer with this activation before the head",
        choices=("none", "tanh", "gelu", "relu"),
    )
    layer_norm_eps: float = option(1e-06, "epsilon of the layer norms", low=0)
    norm: str = option(
        "layer",
        "norm of the blocks and of the tokens: layer norm, or root mean square",
        choices=tuple(NORMS),
    )
    activation: str = option("gelu", "activation of the MLPs", choices=tuple(ACTIVATIONS))
    layer_scale: float = option(
        0.0, "learned factor per channel of each branch, at the start; 0: none", low=0
    )

    def token_sides(self, num_frames: int, size: Size) -> tuple[int, int, int]:
        """Tokens along time, height and width of a clip of so many frames and pixels."""
        (frames, height, width), (h, w) = self.patch_size, pair(size)
        return num_frames // frames, h // height, w // width

    def check(self) -> None:
        """Tubelets have three sides, and heads share the width."""
        if not self.patch_size:
            raise self.error("patch_size", "has no values", "give frames, rows and columns")
        if self.embed_dim % self.num_heads:
            remedy = f"choose a multiple of {self.num_heads} or another VIT.NUM_HEADS"
            raise self.error("embed_dim", f"{self.embed_dim} is not divisible by NUM_HEADS", remedy)
        if self.embed_dim % (self.pool_heads or 1):
            remedy = f"choose a divisor of {self.embed_dim}"
            raise self.error("pool_heads", "do not divide VIT.EMBED_DIM", remedy)


PRE_LOGITS = {"tanh": nn.Tanh, "gelu": nn.GELU, "relu": nn.ReLU}


@BACKBONES.register("vit", VitOptions)
class VisionTransformer(Backbone):
    """Tubelet tokens with positions through pre-norm blocks, then pooled to one feature.

    Positions (vit_positions.py) may have a table `pos_embed`, and one for time, `temp_embed`; what the head reads is the
    business of vit_pool.py. `norm` acts on the tokens, `fc_norm` on the feature; one of them is the identity.
    Cost: embedding 3*N*prod(patch)*C; per block 2*mlp_ratio*N*C^2 and the attention's own; C^2 for
    pre-logits. Motionformer-B, 16x224 (N = 1568 + 1): 369.5 G in the reference form, 204.3 G in the fast form of
    trajectory attention with original values, 216.7 G with projected ones.
    """

    def __init__(
        self, spec: BackboneSpec = BackboneSpec(), options: VitOptions = VitOptions()
    ) -> None:
        super().__init__()
        self.num_layers = options.depth + 2
        self.recomputed = range(0, spec.checkpoint_blocks[0], spec.checkpoint_every)
        self.patch_embed = PatchEmbed(options.patch_size, options.embed_dim)
        self.table = self.position_table(spec, options)
        self._add_positions(options)
        grid = self.token_grid(*options.token_sides(spec.num_frames, spec.img_size))
        self.blocks = nn.ModuleList(_blocks(spec, options, grid))
        self.norm, self.pool, self.fc_norm = _pooling(options)
        self.feature_dim = self.pool.out_dim
        self.pre_logits = _pre_logits(options.pre_logits, self.feature_dim)
        for module in (self.blocks, self.pool, self.pre_logits):
            module.apply(init_transformer(spec.init_std))

    def position_table(self, spec: BackboneSpec, options: VitOptions) -> Grid:
        """The grid that the position tables are made for; its prefix, 0 or 1, says whether there is a class token."""
        frames = options.pos_frames or spec.num_frames
        size = options.pos_crop_size or spec.img_size
        return Grid(*options.token_sides(frames, size), int(POOLS[options.pool].class_token))

    def _add_positions(self, options: VitOptions) -> None:
        dim, resize = options.embed_dim, RESIZES[options.pos_resize]
        self.position_rule = rule = POSITIONS[options.pos_embed](self.table, dim, resize)
        space, time = torch.empty(1, rule.space_rows, dim), torch.zeros(1, rule.time_rows, dim)
        self.cls_token = nn.Parameter(torch.empty(1, 1, dim)) if self.table.prefix else None
        self.pos_embed = nn.Parameter(space) if rule.space_rows else None
        self.temp_embed = nn.Parameter(time) if rule.time_rows else None
        self.pos_drop = nn.Dropout(options.pos_dropout)
        for parameter in (self.cls_token, self.pos_embed):
            if parameter is not None:
                nn.init.trunc_normal_(parameter, std=0.02)

    @classmethod
    def check(
        cls, spec: BackboneSpec, test_size: tuple[int, int], *options: Options
    ) -> Iterable[Problem]:
        """Sizes that do not divide, and checkpoints beyond the depth."""
        vit = options[0]
        assert isinstance(vit, VitOptions)
        frames, height, width = vit.patch_size
        for key, count in (
            ("DATA.NUM_FRAMES", spec.num_frames),
            ("VIT.POS_FRAMES", vit.pos_frames),
        ):
            if count % frames:
                yield _indivisible(key, count, frames)
        sizes = {
            "DATA.TRAIN_CROP_SIZE": pair(spec.img_size),
            "DATA.TEST_CROP_SIZE": test_size,
            "VIT.POS_CROP_SIZE": pair(vit.pos_crop_size or 0),
        }
        for key, size in sizes.items():
            for pixels, side in sorted(set(zip(size, (height, width), strict=True))):
                if pixels % side:
                    yield _indivisible(key, pixels, side)
        counts = spec.checkpoint_blocks
        if len(counts) != 1 or counts[0] > vit.depth:
            message = f"{list(counts)} does not fit the one stage of {vit.depth} blocks (VIT.DEPTH)"
            yield Problem("MODEL.CHECKPOINT_BLOCKS", message, f"give one value up to {vit.depth}")

    def forward(self, clip_BCTHW: Tensor) -> Tensor:
        """Clip [B, 3, T, H, W] -> feature [B, C]. Raises ConfigError for an indivisible clip."""
        x_BNC = self.encode(*self.embed(clip_BCTHW))
        return self.pre_logits(self.fc_norm(self.pool(x_BNC)))

    @classmethod
    def token_size(cls, *options: Options) -> int:
        """Of square patches whose norm is that of the feature."""
        vit = options[0]
        assert isinstance(vit, VitOptions)
        _, height, width = vit.patch_size
        plain = POOLS[vit.pool].norms_tokens and vit.pool != "probe" and vit.pre_logits == "none"
        return height if plain and height == width else 0

    def dense(self, clip_BCTHW: Tensor, mix: Mix | None = None) -> tuple[Tensor, Tensor]:
        """The feature, and the patches' normed tokens; `mix` acts behind the patch embedding."""
        x_BNC, grid = self.embed(clip_BCTHW, mix)
        x_BNC = self.norm(run_blocks(self.blocks, x_BNC, grid, recomputed=self.recomputed))
        tokens_BNC = x_BNC[:, grid.prefix :]
        return self.pool(x_BNC), tokens_BNC.unflatten(1, (grid.t, grid.h, grid.w))

    def encode(self, x_BNC: Tensor, grid: Grid) -> Tensor:
        """Embedded tokens of `grid`, or a part of them without one (all are prefix), after blocks and norm."""
        x_BNC = run_blocks(self.blocks, x_BNC, grid, recomputed=self.recomputed)
        return self.norm(self.pool.tokens(x_BNC))

    def embed(self, clip_BCTHW: Tensor, mix: Mix | None = None) -> tuple[Tensor, Grid]:
        """Tokens [B, N, C] with positions, class token first, and their grid; `mix` acts on the patches before."""
        x_BCthw = self.patch_embed(clip_BCTHW)
        if mix:
            x_BCthw = mix(x_BCthw.movedim(1, -1)).movedim(-1, 1)
        grid = self.token_grid(*x_BCthw.shape[2:])
        x_BNC = x_BCthw.flatten(2).transpose(1, 2)
        if self.cls_token is not None:
            cls_BPC = self.cls_token.expand(x_BNC.shape[0], grid.prefix, -1)
            x_BNC = torch.cat([cls_BPC, x_BNC], dim=1)
        return self.pos_drop(x_BNC + self.positions(grid)), grid

    def token_grid(self, t: int, h: int, w: int) -> Grid:
        """The grid of a clip of t x h x w tubelets."""
        return Grid(t, h, w, self.table.prefix)

    def positions(self, grid: Grid) -> Tensor:
        """Position embedding [1, N, C] of all tokens of `grid`."""
        none = self.patch_embed.proj.weight.new_empty(0)
        space = none if self.pos_embed is None else self.pos_embed
        time = none if self.temp_embed is None else self.temp_embed
        return self.position_rule.of(space, time, grid)

    def layer_index(self, name: str) -> int:
        """0 for the embedding, 1.. for the blocks, then one for the norm and what follows."""
        part, *rest = name.split(".")
        if part == "blocks":
            return int(rest[0]) + 1
        embedding = ("patch_embed", "cls_token", "pos_embed", "temp_embed")
        return 0 if part in embedding else self.num_layers - 1


def _blocks(spec: BackboneSpec, options: VitOptions, grid: Grid) -> Iterable[Block]:
    attention = AttentionSpec(
        options.embed_dim,
        options.num_heads,
        grid,
        options.qkv_bias,
        spec.attention.at_stage(0, stages=1),
    )
    for index, rate in enumerate(drop_path_rates(spec.drop_path, options.depth)):
        block = BlockSpec(
            attention,
            options.mlp_ratio,
            rate,
            options.layer_scale,
            options.layer_norm_eps,
            ACTIVATIONS[options.activation],
            NORMS[options.norm],
        )
        yield build_block(attention.attention.variant(index), block)


def _pooling(options: VitOptions) -> tuple[nn.Module, Pool, nn.Module]:
    """Norm of the tokens, pooling, norm of the feature."""
    eps = options.pool_norm_eps or options.layer_norm_eps
    heads, dim = options.pool_heads or options.num_heads, options.pool_dim or options.embed_dim
    spec = PoolSpec(options.embed_dim, heads, dim, options.pool_depth, options.pool_mlp_ratio, eps)
    pool = POOLS[options.pool](spec)
    norm: nn.Module = nn.Identity()
    fc_norm: nn.Module = nn.Identity()
    if pool.norms_tokens:
        norm = NORMS[options.norm](options.embed_dim, eps=options.layer_norm_eps)
    if pool.norms_feature:
        fc_norm = nn.LayerNorm(pool.out_dim, eps=eps)
    return norm, pool, fc_norm


def _pre_logits(activation: str, dim: int) -> nn.Module:
    if activation == "none":
        return nn.Identity()
    return nn.Sequential(nn.Linear(dim, dim), PRE_LOGITS[activation]())


def _indivisible(key: str, value: int, by: int) -> Problem:
    remedy = f"choose a multiple of {by} or another VIT.PATCH_SIZE"
    return Problem(key, f"{value} is not divisible by {by} (VIT.PATCH_SIZE)", remedy)
