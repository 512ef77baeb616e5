"""UniFormer: two stages of convolution blocks, two of attention blocks, each behind a patch embedding.

Shapes: B batch, C channels, T frames, H W pixels or grid.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from torch import Tensor, nn

from slowfast_ext.models.attention import AttentionSpec, Grid
from slowfast_ext.models.backbones.base import BACKBONES, Backbone, BackboneSpec, Mix
from slowfast_ext.models.backbones.uniformer_blocks import AttentionBlock, ConvBlock, PatchEmbed
from slowfast_ext.models.blocks import BlockSpec
from slowfast_ext.models.layers import drop_path_rates, init_transformer, run_blocks
from slowfast_ext.options import Options, Problem, option, pair, section

_STEM_PX = 4
_SMALLEST_CROP = 32
_CONV_STAGES = 2


@section("UNIFORMER", "UniFormer and its descendants (EMIM, StructViT)")
@dataclass(frozen=True)
class UniformerOptions(Options):
    """Sizes of the four stages."""

    embed_dim: tuple[int, ...] = option(
        (64, 128, 320, 512), "width of each stage", unit="channels", low=1, length=4
    )
    depth: tuple[int, ...] = option((3, 4, 8, 3), "blocks of each stage", low=1, length=4)
    head_dim: int = option(64, "width of a head", unit="channels", low=1)
    mlp_ratio: float = option(4.0, "hidden width of the MLP over the width", low=0)
    qkv_bias: bool = option(True, "bias of the query, key and value projection")
    temporal_stride: int = option(
        2,
        "stride in time of the first patch embedding (2 UniFormer, 1 EMIM)",
        unit="frames",
        choices=(1, 2),
    )
    layer_scale: float = option(
        0.0, "initial scale of the residual branches of attention blocks; 0: no layer scale", low=0
    )
    layer_scale_conv: bool = option(
        False,
        "LAYER_SCALE in convolution blocks too (UniFormer-L of the token-labelling program)",
    )
    std: bool = option(
        False, "patch embeddings 2 to 4 also span three frames (kernel 3,2,2 instead of 1,2,2)"
    )
    image: bool = option(
        False, "kernels of temporal size one: the 2-D models of ImageNet, for DATA.NUM_FRAMES 1"
    )
    pos_dropout: float = option(0.0, "dropout after the first patch embedding", low=0, high=1)

    def check(self) -> None:
        """Four stages, and heads that share the width."""
        for field in ("embed_dim", "depth"):
            if len(getattr(self, field)) != 4:
                raise self.error(field, "has no values", "give one for each of the four stages")
        for dim in self.embed_dim[_CONV_STAGES:]:
            if dim % self.head_dim:
                raise self.error("head_dim", f"does not divide the width {dim}", "change either")


@BACKBONES.register("uniformer", UniformerOptions)
class UniFormer(Backbone):
    """S, B and L by UNIFORMER.EMBED_DIM and DEPTH; the attention of stages 3 and 4 by ATTENTION.CYCLE.

    UNIFORMER.IMAGE gives all kernels temporal size one: the 2-D ImageNet models with a temporal axis
    of one frame. Video kernels on T = 1 compute the same with their central slices.
    """

    attention_stages = 4 - _CONV_STAGES

    def __init__(
        self, spec: BackboneSpec = BackboneSpec(), options: UniformerOptions = UniformerOptions()
    ) -> None:
        super().__init__()
        self.feature_dim = options.embed_dim[-1]
        self.num_layers = sum(options.depth) + 2
        self.first_block = [0, *accumulate(options.depth)]
        self.recomputed = [
            range(0, blocks, spec.checkpoint_every)
            for blocks in recomputed_blocks(spec.checkpoint_blocks, options.depth)
        ]
        self.patch_embeds = nn.ModuleList(_patch_embed(options, stage) for stage in range(4))
        self.pos_drop = nn.Dropout(options.pos_dropout)
        self.stages = nn.ModuleList(_stage(spec, options, stage) for stage in range(4))
        self.norm = nn.BatchNorm1d(self.feature_dim)
        for stage in self.stages[_CONV_STAGES:]:
            stage.apply(init_transformer(spec.init_std))

    @classmethod
    def check(
        cls, spec: BackboneSpec, test_size: tuple[int, int], *options: Options
    ) -> Iterable[Problem]:
        """Crops without tokens in the last stage, and numbers of checkpoints."""
        for key, size in (("TRAIN", pair(spec.img_size)), ("TEST", test_size)):
            name = f"DATA.{key}_CROP_SIZE"
            if any(side % _STEM_PX for side in size):
                message = f"the stem's patches are {_STEM_PX} px wide"
                yield Problem(name, message, "take multiples of 32")
            elif min(size) < _SMALLEST_CROP:
                message = "stage 4 would have no tokens"
                yield Problem(name, message, f"take {_SMALLEST_CROP} px or more")
        if len(spec.checkpoint_blocks) not in (1, 4):
            message = "needs one value or four"
            yield Problem("MODEL.CHECKPOINT_BLOCKS", message, "one for each stage")

    def forward(self, clip_BCTHW: Tensor) -> Tensor:
        """Normalised clip [B, 3, T, H, W] -> feature [B, C], the mean over the last stage's normed tokens."""
        return self.dense(clip_BCTHW)[0]

    @classmethod
    def token_size(cls, *options: Options) -> int:
        """Of the last stage's."""
        return _SMALLEST_CROP

    def dense(self, clip_BCTHW: Tensor, mix: Mix | None = None) -> tuple[Tensor, Tensor]:
        """The feature, and the last stage's normed tokens; `mix` acts behind the first patch embedding."""
        x_BTHWC = self.stage_outputs(clip_BCTHW, mix)[-1]
        x_BTHWC = self.norm(x_BTHWC.flatten(0, 3)).view_as(x_BTHWC)
        return x_BTHWC.mean((1, 2, 3)), x_BTHWC

    def stage_outputs(self, clip_BCTHW: Tensor, mix: Mix | None = None) -> list[Tensor]:
        """What each of the four stages puts out, [B, T, H, W, C]; `mix` acts behind the first patch embedding."""
        x_BTHWC, outputs = clip_BCTHW.permute(0, 2, 3, 4, 1), []
        for index, (embed, blocks) in enumerate(zip(self.patch_embeds, self.stages, strict=True)):
            assert isinstance(blocks, nn.ModuleList)
            x_BTHWC = embed(x_BTHWC)
            x_BTHWC = self.pos_drop(x_BTHWC) if index == 0 else x_BTHWC
            x_BTHWC = mix(x_BTHWC) if index == 0 and mix else x_BTHWC
            x_BTHWC = run_blocks(blocks, x_BTHWC, recomputed=self.recomputed[index])
            outputs.append(x_BTHWC)
        return outputs

    def layer_index(self, name: str) -> int:
        """Blocks count through all stages; a patch embedding belongs to the block before it."""
        kind, stage, *rest = name.split(".")
        if kind == "patch_embeds":
            return self.first_block[int(stage)]
        if kind == "stages":
            return self.first_block[int(stage)] + int(rest[0]) + 1
        return self.num_layers - 1


def recomputed_blocks(wanted: Sequence[int], depth: Sequence[int]) -> list[int]:
    """MODEL.CHECKPOINT_BLOCKS for each stage; a single value counts through all stages."""
    if len(wanted) == len(depth):
        return list(wanted)
    starts = [0, *accumulate(depth)][:-1]
    return [
        min(max(wanted[0] - start, 0), blocks) for start, blocks in zip(starts, depth, strict=True)
    ]


def _kernel(options: UniformerOptions, size: int) -> tuple[int, int, int]:
    return (1 if options.image else size, size, size)


def _patch_embed(options: UniformerOptions, stage: int) -> PatchEmbed:
    if stage == 0:
        kernel, stride = (3, _STEM_PX, _STEM_PX), (options.temporal_stride, _STEM_PX, _STEM_PX)
    else:
        kernel, stride = (3 if options.std else 1, 2, 2), (1, 2, 2)
    if options.image:
        kernel, stride = (1, *kernel[1:]), (1, *stride[1:])
    in_dim = options.embed_dim[stage - 1] if stage else 3
    return PatchEmbed(in_dim, options.embed_dim[stage], kernel, stride)


def _stage(spec: BackboneSpec, options: UniformerOptions, stage: int) -> nn.ModuleList:
    first, depth = sum(options.depth[:stage]), options.depth[stage]
    rates = drop_path_rates(spec.drop_path, sum(options.depth))[first : first + depth]
    if stage < _CONV_STAGES:
        dim, kernels = options.embed_dim[stage], (_kernel(options, 3), _kernel(options, 5))
        hidden = int(dim * options.mlp_ratio)
        scale = options.layer_scale if options.layer_scale_conv else 0.0
        return nn.ModuleList(ConvBlock(dim, hidden, kernels, rate, scale) for rate in rates)
    attention = _attention(spec, options, stage)
    return nn.ModuleList(
        AttentionBlock(
            attention.attention.variant(index),
            BlockSpec(attention, options.mlp_ratio, rate, options.layer_scale),
            _kernel(options, 3),
        )
        for index, rate in enumerate(rates)
    )


def _attention(spec: BackboneSpec, options: UniformerOptions, stage: int) -> AttentionSpec:
    dim = options.embed_dim[stage]
    stride = 1 if options.image else options.temporal_stride
    height, width = (side // _STEM_PX // 2**stage for side in pair(spec.img_size))
    grid = Grid((spec.num_frames - 1) // stride + 1, height, width)
    own = spec.attention.at_stage(stage - _CONV_STAGES, UniFormer.attention_stages)
    return AttentionSpec(dim, dim // options.head_dim, grid, options.qkv_bias, own)
