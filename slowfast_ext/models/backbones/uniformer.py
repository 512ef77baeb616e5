"""UniFormer: two stages of convolution blocks, two of attention blocks, each behind a patch embedding.

Shapes: B batch, C channels, T frames, H W pixels or grid.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate

from torch import Tensor, nn
from yacs.config import CfgNode

from slowfast_ext.config import Problem
from slowfast_ext.models.attention import ATTENTION, Grid, LayerSpec, variant_of_block
from slowfast_ext.models.backbones.base import BACKBONES, Backbone
from slowfast_ext.models.backbones.uniformer_blocks import AttentionBlock, ConvBlock, PatchEmbed
from slowfast_ext.models.layers import drop_path_rates, init_transformer, run_blocks
from slowfast_ext.options import Options, option, section


@section("UNIFORMER", "UniFormer and its descendants (EMIM, StructViT)")
@dataclass(frozen=True)
class UniformerOptions(Options):
    """UniFormer and its descendants (EMIM, StructViT): the section UNIFORMER."""

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
    std: bool = option(
        False, "patch embeddings 2 to 4 also span three frames (kernel 3,2,2 instead of 1,2,2)"
    )
    image: bool = option(
        False, "kernels of temporal size one: the 2-D models of ImageNet, for DATA.NUM_FRAMES 1"
    )
    pos_dropout: float = option(0.0, "dropout after the first patch embedding", low=0, high=1)


_STEM_PX = 4
_SMALLEST_CROP = 32
_CONV_STAGES = 2


@BACKBONES.register("uniformer")
class UniFormer(Backbone):
    """S, B and L by UNIFORMER.EMBED_DIM and DEPTH; the attention of stages 3 and 4 by ATTENTION.CYCLE.

    UNIFORMER.IMAGE gives all kernels temporal size one: the 2-D ImageNet models with a temporal axis
    of one frame. Video kernels on T = 1 compute the same with their central slices.
    """

    def __init__(self, cfg: CfgNode) -> None:
        super().__init__()
        node = cfg.UNIFORMER
        self.feature_dim = node.EMBED_DIM[-1]
        self.num_layers = sum(node.DEPTH) + 2
        self.first_block = [0, *accumulate(node.DEPTH)]
        self.recomputed = recomputed_blocks(cfg.MODEL.CHECKPOINT_BLOCKS, node.DEPTH)
        self.embeds = nn.ModuleList(_patch_embed(node, stage) for stage in range(4))
        self.pos_drop = nn.Dropout(node.POS_DROPOUT)
        self.stages = nn.ModuleList(_stage(cfg, stage) for stage in range(4))
        self.norm = nn.BatchNorm1d(self.feature_dim)
        for stage in self.stages[_CONV_STAGES:]:
            stage.apply(init_transformer(cfg.MODEL.INIT_STD))

    @classmethod
    def check(cls, cfg: CfgNode) -> Iterable[Problem]:
        """Widths, sizes and variants that do not fit together."""
        yield from _check_sizes(cfg)
        yield from _check_blocks(cfg)

    def forward(self, clip_BCTHW: Tensor) -> Tensor:
        """Normalised clip [B, 3, T, H, W] -> feature [B, C], the mean over the last stage's normed tokens."""
        x_BTHWC = self.stage_outputs(clip_BCTHW)[-1]
        return self.norm(x_BTHWC.flatten(0, 3)).view_as(x_BTHWC).mean((1, 2, 3))

    def stage_outputs(self, clip_BCTHW: Tensor) -> list[Tensor]:
        """What each of the four stages puts out, [B, T, H, W, C]."""
        x_BTHWC, outputs = clip_BCTHW.permute(0, 2, 3, 4, 1), []
        for index, (embed, blocks) in enumerate(zip(self.embeds, self.stages, strict=True)):
            x_BTHWC = embed(x_BTHWC)
            x_BTHWC = self.pos_drop(x_BTHWC) if index == 0 else x_BTHWC
            x_BTHWC = run_blocks(blocks, x_BTHWC, recomputed=self.recomputed[index])
            outputs.append(x_BTHWC)
        return outputs

    def layer_index(self, name: str) -> int:
        """Blocks count through all stages; a patch embedding belongs to the block before it."""
        kind, stage, *rest = name.split(".")
        if kind == "embeds":
            return self.first_block[int(stage)]
        if kind == "stages":
            return self.first_block[int(stage)] + int(rest[0]) + 1
        return self.num_layers - 1


def recomputed_blocks(wanted: list[int], depth: list[int]) -> list[int]:
    """MODEL.CHECKPOINT_BLOCKS for each stage; a single value counts through all stages."""
    if len(wanted) == len(depth):
        return list(wanted)
    starts = [0, *accumulate(depth)][:-1]
    return [
        min(max(wanted[0] - start, 0), blocks) for start, blocks in zip(starts, depth, strict=True)
    ]


def _kernel(node: CfgNode, size: int) -> tuple[int, int, int]:
    return (1 if node.IMAGE else size, size, size)


def _patch_embed(node: CfgNode, stage: int) -> PatchEmbed:
    if stage == 0:
        kernel, stride = (3, _STEM_PX, _STEM_PX), (node.TEMPORAL_STRIDE, _STEM_PX, _STEM_PX)
    else:
        kernel, stride = (3 if node.STD else 1, 2, 2), (1, 2, 2)
    if node.IMAGE:
        kernel, stride = (1, *kernel[1:]), (1, *stride[1:])
    in_dim = node.EMBED_DIM[stage - 1] if stage else 3
    return PatchEmbed(in_dim, node.EMBED_DIM[stage], kernel, stride)


def _stage(cfg: CfgNode, stage: int) -> nn.ModuleList:
    node = cfg.UNIFORMER
    first = sum(node.DEPTH[:stage])
    rates = drop_path_rates(cfg.MODEL.DROP_PATH, sum(node.DEPTH))[first : first + node.DEPTH[stage]]
    if stage < _CONV_STAGES:
        dim, kernels = node.EMBED_DIM[stage], (_kernel(node, 3), _kernel(node, 5))
        hidden = int(dim * node.MLP_RATIO)
        return nn.ModuleList(ConvBlock(dim, hidden, kernels, rate) for rate in rates)
    return nn.ModuleList(
        AttentionBlock(
            variant_of_block(cfg.ATTENTION, index),
            _layer_spec(cfg, stage, rate),
            cfg.ATTENTION,
            node.MLP_RATIO,
            node.LAYER_SCALE,
            _kernel(node, 3),
        )
        for index, rate in enumerate(rates)
    )


def _layer_spec(cfg: CfgNode, stage: int, rate: float) -> LayerSpec:
    node, dim = cfg.UNIFORMER, cfg.UNIFORMER.EMBED_DIM[stage]
    stride = 1 if node.IMAGE else node.TEMPORAL_STRIDE
    side = cfg.DATA.TRAIN_CROP_SIZE // _STEM_PX // 2**stage
    grid = Grid((cfg.DATA.NUM_FRAMES - 1) // stride + 1, side, side)
    return LayerSpec(dim, dim // node.HEAD_DIM, grid, node.QKV_BIAS, drop_path=rate)


def _check_sizes(cfg: CfgNode) -> Iterable[Problem]:
    for key in ("DATA.TRAIN_CROP_SIZE", "DATA.TEST_CROP_SIZE"):
        size = cfg.DATA[key.rpartition(".")[2]]
        if size % _STEM_PX:
            yield Problem(
                key, f"the stem's patches are {_STEM_PX} px wide", "take a multiple of 32"
            )
        elif 0 < size < _SMALLEST_CROP:
            yield Problem(key, "stage 4 would have no tokens", f"take {_SMALLEST_CROP} px or more")


def _check_blocks(cfg: CfgNode) -> Iterable[Problem]:
    node = cfg.UNIFORMER
    for key in ("EMBED_DIM", "DEPTH"):
        if len(node[key]) != 4:
            yield Problem(
                f"UNIFORMER.{key}", "has no values", "give one for each of the four stages"
            )
            return
    for dim in node.EMBED_DIM[_CONV_STAGES:]:
        if dim % node.HEAD_DIM:
            yield Problem("UNIFORMER.HEAD_DIM", f"does not divide the width {dim}", "change either")
    if len(cfg.MODEL.CHECKPOINT_BLOCKS) not in (1, 4):
        yield Problem("MODEL.CHECKPOINT_BLOCKS", "needs one value or four", "one for each stage")
    composite = [name for name in cfg.ATTENTION.CYCLE if ATTENTION.get(name).composite]
    if node.LAYER_SCALE and composite:
        remedy = "set it to 0 or change ATTENTION.CYCLE"
        yield Problem("UNIFORMER.LAYER_SCALE", f"does not reach into '{composite[0]}'", remedy)
