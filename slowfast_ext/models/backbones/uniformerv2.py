"""UniFormerV2: an image transformer (CLIP's) on every frame, global blocks that gather its tokens beside it.

Shapes: B batch, C channels, T frames, H W pixels, F tokens of a frame (its class token, then h*w patches).
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from slowfast_ext.models.activations import QuickGELU
from slowfast_ext.models.attention import AttentionSpec, Grid
from slowfast_ext.models.backbones.base import BACKBONES, Backbone, BackboneSpec
from slowfast_ext.models.backbones.uniformerv2_blocks import FrameEmbed, GlobalBlock, SpaceBlock
from slowfast_ext.models.backbones.vit_positions import resize_space
from slowfast_ext.models.blocks import BlockSpec
from slowfast_ext.models.layers import drop_path_rates, init_transformer, run_blocks
from slowfast_ext.options import Options, Problem, option, pair, section

_EPS = 1e-5
_NUM_LOCAL = {"none": 0, "single": 1, "double": 2}


@section(
    "UNIFORMERV2", "UniFormerV2: a CLIP image transformer with local and global attention over time"
)
@dataclass(frozen=True)
class UniformerV2Options(Options):
    """Sizes of the image transformer, and what is added to it for video."""

    patch_size: int = option(16, "side of a patch", unit="px", low=1)
    embed_dim: int = option(768, "width", unit="channels", low=1)
    depth: int = option(12, "blocks of the image transformer", low=1)
    num_heads: int = option(12, "heads of the image transformer", low=1)
    mlp_ratio: float = option(4.0, "hidden width of its MLPs over the width", low=0)
    temporal_stride: int = option(
        1,
        "stride in time of the patch embedding; 2: its kernel spans three frames (Something-Something)",
        unit="frames",
        choices=(1, 2),
    )
    local_attention: str = option(
        "none",
        "attention of a patch to its neighbours in time: before the attention of each block, or also before its MLP",
        choices=("none", "single", "double"),
    )
    local_reduction: float = option(1.5, "width over the channels of local attention", low=1)
    global_layers: tuple[int, ...] = option(
        (8, 9, 10, 11),
        "blocks, counted from 0, after each of which a global block reads the tokens of all frames",
        low=0,
    )
    global_heads: int = option(12, "heads of the global blocks", low=1)
    global_mlp_ratio: float = option(4.0, "hidden width of their MLPs over the width", low=0)
    global_dropout: float = option(0.5, "dropout in their MLPs", low=0, high=1)
    global_drop_path: float = option(
        0.0, "stochastic depth of the last of them; rises linearly from 0", low=0, high=1
    )
    balance: bool = option(
        True,
        "the feature is a learned balance, per channel, of the global token and the frames' class tokens; False: the global token",
    )

    def check(self) -> None:
        """Heads share the width, and global blocks follow blocks that there are."""
        for field in ("num_heads", "global_heads"):
            if self.embed_dim % getattr(self, field):
                raise self.error(field, f"does not divide the width {self.embed_dim}", "change it")
        layers = self.global_layers
        if not layers or list(layers) != sorted(set(layers)) or layers[-1] >= self.depth:
            message = f"{list(layers)} are not rising numbers of the {self.depth} blocks"
            raise self.error("global_layers", message, "name blocks from 0, e.g. the last four")


@BACKBONES.register("uniformerv2", UniformerV2Options)
class UniFormerV2(Backbone):
    """B/16, L/14 and L/14 at 336 px by UNIFORMERV2; published with ATTENTION.CYCLE [space].

    Other attention meets each frame's class token as XViT's does (see xvit.py). Names are timm's; `block` is the
    image transformer's. No parameter depends on the number of frames; positions of a frame are resized to its
    grid, bicubic. MODEL.DROPOUT_RATE is that of the classifier (published: 0.5).

    Stochastic depth drops a step for a clip. The published code, whose batch is not the first axis, drops it for a
    position in all clips, and in the global blocks for the whole batch.
    Cost, N tokens of all frames: embedding, see FrameEmbed; per block (4 + 2*mlp_ratio)*N*C^2 + 2*N*F*C and the local
    attention's; the global blocks'. B/16 on 8x224: 148.1 G in the reference form, 140.8 G in the fast one.
    """

    def __init__(
        self,
        spec: BackboneSpec = BackboneSpec(),
        options: UniformerV2Options = UniformerV2Options(),
    ) -> None:
        super().__init__()
        dim = options.embed_dim
        self.feature_dim = dim
        self.num_layers = options.depth + 2
        self.recomputed = range(0, spec.checkpoint_blocks[0], spec.checkpoint_every)
        height, width = (side // options.patch_size for side in pair(spec.img_size))
        self.table = Grid(1, height, width, prefix=1)
        self.patch_embed = FrameEmbed(options.patch_size, dim, options.temporal_stride)
        self.cls_token = nn.Parameter(dim**-0.5 * torch.randn(dim))
        self.pos_embed = nn.Parameter(dim**-0.5 * torch.randn(self.table.tokens, dim))
        self.norm_pre = nn.LayerNorm(dim, eps=_EPS)
        self.blocks = nn.ModuleList(_blocks(spec, options, self.table))
        self.global_layers = options.global_layers
        self.global_blocks = nn.ModuleList(_global_blocks(spec, options))
        self.temporal_cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.balance = nn.Parameter(torch.zeros(dim)) if options.balance else None
        self.norm = nn.LayerNorm(dim, eps=_EPS)

    @classmethod
    def check(
        cls, spec: BackboneSpec, test_size: tuple[int, int], *options: Options
    ) -> Iterable[Problem]:
        """Crops that the patches do not divide, and checkpoints beyond the depth."""
        own = options[0]
        assert isinstance(own, UniformerV2Options)
        for key, size in (("TRAIN", pair(spec.img_size)), ("TEST", test_size)):
            if any(side % own.patch_size for side in size):
                message = f"is not divisible by {own.patch_size} (UNIFORMERV2.PATCH_SIZE)"
                yield Problem(f"DATA.{key}_CROP_SIZE", message, "choose a multiple of it")
        counts = spec.checkpoint_blocks
        if len(counts) != 1 or counts[0] > own.depth:
            message = f"{list(counts)} does not fit the one stage of {own.depth} blocks (UNIFORMERV2.DEPTH)"
            yield Problem("MODEL.CHECKPOINT_BLOCKS", message, f"give one value up to {own.depth}")

    def forward(self, clip_BCTHW: Tensor) -> Tensor:
        """Clip [B, 3, T, H, W] -> feature [B, C]. Raises ConfigError for sizes that the patches do not divide."""
        x_BTFC, grid = self.embed(clip_BCTHW)
        token_BC = self.temporal_cls_token[0].repeat(x_BTFC.shape[0], 1)
        readers = dict(zip(self.global_layers, self.global_blocks, strict=True))
        for index, block in enumerate(self.blocks):
            x_BTFC = run_blocks([block], x_BTFC, grid, recomputed=range(index in self.recomputed))
            if index in readers:
                token_BC = readers[index](token_BC, x_BTFC, grid)
        return self.norm(self.pool(token_BC, x_BTFC))

    def embed(self, clip_BCTHW: Tensor) -> tuple[Tensor, Grid]:
        """Normalised tokens [B, T, F, C] of all frames with positions, and their grid."""
        x_BCThw = self.patch_embed(clip_BCTHW)
        B, _, T, h, w = x_BCThw.shape
        patches_BTSC = x_BCThw.permute(0, 2, 3, 4, 1).flatten(2, 3)
        x_BTFC = torch.cat([self.cls_token.expand(B, T, 1, -1), patches_BTSC], dim=2)
        return self.norm_pre(x_BTFC + self.positions(h, w)), Grid(T, h, w, prefix=T, framewise=True)

    def positions(self, h: int, w: int) -> Tensor:
        """Position embedding [F, C] of the class token and the patches of a frame."""
        prefix, table = self.pos_embed.tensor_split([1])
        table_11hwC = table.unflatten(0, (1, 1, self.table.h, self.table.w))
        return torch.cat([prefix, resize_space(table_11hwC, h, w).flatten(0, 3)])

    def pool(self, token_BC: Tensor, x_BTFC: Tensor) -> Tensor:
        """The global token, balanced with the mean of the frames' class tokens: [B, C]."""
        if self.balance is None:
            return token_BC
        return torch.lerp(token_BC, x_BTFC[:, :, 0].mean(1), self.balance.sigmoid())

    def layer_index(self, name: str) -> int:
        """0 for the embedding, 1.. for the image transformer's blocks, then one for the global blocks and the norm."""
        part, *rest = name.split(".")
        if part == "blocks":
            return int(rest[0]) + 1
        embedding = ("patch_embed", "cls_token", "pos_embed", "norm_pre")
        return 0 if part in embedding else self.num_layers - 1


def _blocks(spec: BackboneSpec, options: UniformerV2Options, table: Grid) -> Iterable[SpaceBlock]:
    frames = (spec.num_frames - 1) // options.temporal_stride + 1
    grid = Grid(frames, table.h, table.w, prefix=frames, framewise=True)
    own = spec.attention.at_stage(0, stages=1)
    attention = AttentionSpec(options.embed_dim, options.num_heads, grid, attention=own)
    for index, rate in enumerate(drop_path_rates(spec.drop_path, options.depth)):
        block = BlockSpec(attention, options.mlp_ratio, rate, norm_eps=_EPS, act=QuickGELU)
        num_local = _NUM_LOCAL[options.local_attention]
        made = SpaceBlock(own.variant(index), block, num_local, options.local_reduction)
        made.block.apply(init_transformer(spec.init_std))
        yield made


def _global_blocks(spec: BackboneSpec, options: UniformerV2Options) -> Iterable[GlobalBlock]:
    for rate in drop_path_rates(options.global_drop_path, len(options.global_layers)):
        yield GlobalBlock(
            options.embed_dim,
            options.global_heads,
            options.global_mlp_ratio,
            options.global_dropout,
            rate,
            spec.attention.reference,
        )
