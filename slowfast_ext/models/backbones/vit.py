"""The plain vision transformer on space-time tokens: ViT, DeiT, TimeSformer, Motionformer.

Shapes: B batch, N tokens, C channels, T frames, H W pixels.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor, nn
from yacs.config import CfgNode

from slowfast_ext.config import Problem
from slowfast_ext.models.attention import Grid, LayerSpec, variant_of_block
from slowfast_ext.models.backbones.base import BACKBONES, Backbone
from slowfast_ext.models.backbones.vit_embed import Embedding
from slowfast_ext.models.layers import Block, drop_path_rates, init_transformer, run_blocks
from slowfast_ext.options import Options, option, section


@section("VIT", "Vision transformer (ViT, DeiT, TimeSformer, Motionformer)")
@dataclass(frozen=True)
class VitOptions(Options):
    """Vision transformer (ViT, DeiT, TimeSformer, Motionformer): the section VIT."""

    patch_size: tuple[int, ...] = option(
        (2, 16, 16), "token size", unit="frames, px, px", low=1, length=3
    )
    embed_dim: int = option(768, "width", unit="channels", low=1)
    depth: int = option(12, "blocks", low=1)
    num_heads: int = option(12, "heads", low=1)
    mlp_ratio: float = option(4.0, "hidden width of the MLP over the width", low=0)
    qkv_bias: bool = option(True, "bias of the query, key and value projection")
    pos_embed: str = option(
        "separate",
        "position embedding: one table for space and one for time, or one joint table",
        choices=("separate", "joint"),
    )
    pos_crop_size: int = option(
        0,
        "crop the spatial position table is made for, resized to any other; 0: the training crop",
        unit="px",
        low=0,
    )
    pool: str = option(
        "cls",
        "what the head reads: a cls token, or (without one) the mean of all tokens",
        choices=("cls", "mean"),
    )
    pos_dropout: float = option(0.0, "dropout after the position embedding", low=0, high=1)
    pre_logits: str = option(
        "none",
        "a D -> D layer with this activation before the head",
        choices=("none", "tanh", "gelu", "relu"),
    )
    layer_norm_eps: float = option(1e-06, "epsilon of the layer norms", low=0)


PRE_LOGITS = {"tanh": nn.Tanh, "gelu": nn.GELU, "relu": nn.ReLU}


@BACKBONES.register("vit")
class VisionTransformer(Backbone):
    """Tubelet tokens through pre-norm blocks; the feature is the class token or the mean of the tokens.

    Cost: embedding 3*N*prod(patch)*C; per block 2*mlp_ratio*N*C^2 and the attention's own; C^2 for
    pre-logits. Motionformer-B, 16x224 (N = 1568 + 1): 369.5 G plain, 204.3 G in the fast form of
    trajectory attention with original values, 216.7 G with projected ones.
    """

    def __init__(self, cfg: CfgNode) -> None:
        super().__init__()
        vit = cfg.VIT
        self.feature_dim = vit.EMBED_DIM
        self.num_layers = vit.DEPTH + 2
        self.recomputed = cfg.MODEL.CHECKPOINT_BLOCKS[0]
        self.mean_pooled = vit.POOL == "mean"
        self.embed = self.build_embedding(cfg)
        self.blocks = nn.ModuleList(_blocks(cfg, self.embed.token_grid(*token_sides(cfg))))
        self.norm = nn.LayerNorm(vit.EMBED_DIM, eps=vit.LAYER_NORM_EPS)
        self.pre_logits = _pre_logits(vit)
        for module in (self.blocks, self.pre_logits):
            module.apply(init_transformer(cfg.MODEL.INIT_STD))

    def build_embedding(self, cfg: CfgNode) -> Embedding:
        """What turns a clip into tokens."""
        vit = cfg.VIT
        table = Grid(*token_sides(cfg, vit.POS_CROP_SIZE), prefix=0 if vit.POOL == "mean" else 1)
        joint = vit.POS_EMBED == "joint"
        return Embedding(tuple(vit.PATCH_SIZE), vit.EMBED_DIM, table, joint, vit.POS_DROPOUT)

    @classmethod
    def check(cls, cfg: CfgNode) -> Iterable[Problem]:
        """Sizes that do not divide, and checkpoints beyond the depth."""
        vit, data = cfg.VIT, cfg.DATA
        frames, height, width = vit.PATCH_SIZE
        if data.NUM_FRAMES % frames:
            yield _indivisible("DATA.NUM_FRAMES", data.NUM_FRAMES, "PATCH_SIZE", frames)
        for key in ("TRAIN_CROP_SIZE", "TEST_CROP_SIZE"):
            for side in sorted({height, width}):
                if data[key] % side:
                    yield _indivisible(f"DATA.{key}", data[key], "PATCH_SIZE", side)
        for side in sorted({height, width}):
            if vit.POS_CROP_SIZE % side:
                yield _indivisible("VIT.POS_CROP_SIZE", vit.POS_CROP_SIZE, "PATCH_SIZE", side)
        if vit.EMBED_DIM % vit.NUM_HEADS:
            yield _indivisible("VIT.EMBED_DIM", vit.EMBED_DIM, "NUM_HEADS", vit.NUM_HEADS)
        counts = cfg.MODEL.CHECKPOINT_BLOCKS
        if len(counts) != 1 or counts[0] > vit.DEPTH:
            yield Problem(
                "MODEL.CHECKPOINT_BLOCKS",
                f"{counts} does not fit the one stage of {vit.DEPTH} blocks (VIT.DEPTH)",
                f"give one value up to {vit.DEPTH}",
            )

    def forward(self, clip_BCTHW: Tensor) -> Tensor:
        """Clip [B, 3, T, H, W] -> feature [B, C]. Raises ConfigError for an indivisible clip."""
        x_BNC, grid = self.embed(clip_BCTHW)
        x_BNC = run_blocks(self.blocks, x_BNC, grid, recomputed=self.recomputed)
        return self.pre_logits(self.pool(x_BNC))

    def pool(self, x_BNC: Tensor) -> Tensor:
        """What the head reads of the normalised tokens, [B, C]."""
        return self.norm(x_BNC).mean(dim=1) if self.mean_pooled else self.norm(x_BNC[:, 0])

    def layer_index(self, name: str) -> int:
        """0 for the embedding, 1.. for the blocks, then one for the norm and what follows."""
        part, *rest = name.split(".")
        if part == "blocks":
            return int(rest[0]) + 1
        return 0 if part == "embed" else self.num_layers - 1


def token_sides(cfg: CfgNode, crop: int = 0) -> tuple[int, int, int]:
    """Tokens along time, height and width of a clip of DATA.NUM_FRAMES frames; crop 0: the training crop."""
    frames, height, width = cfg.VIT.PATCH_SIZE
    crop = crop or cfg.DATA.TRAIN_CROP_SIZE
    return cfg.DATA.NUM_FRAMES // frames, crop // height, crop // width


def _blocks(cfg: CfgNode, grid: Grid) -> Iterable[Block]:
    vit = cfg.VIT
    for index, rate in enumerate(drop_path_rates(cfg.MODEL.DROP_PATH, vit.DEPTH)):
        spec = LayerSpec(
            vit.EMBED_DIM,
            vit.NUM_HEADS,
            grid,
            qkv_bias=vit.QKV_BIAS,
            norm_eps=vit.LAYER_NORM_EPS,
            drop_path=rate,
        )
        yield Block(variant_of_block(cfg.ATTENTION, index), spec, cfg.ATTENTION, vit.MLP_RATIO)


def _pre_logits(vit: CfgNode) -> nn.Module:
    if vit.PRE_LOGITS == "none":
        return nn.Identity()
    return nn.Sequential(nn.Linear(vit.EMBED_DIM, vit.EMBED_DIM), PRE_LOGITS[vit.PRE_LOGITS]())


def _indivisible(key: str, value: int, divisor: str, by: int) -> Problem:
    remedy = f"choose a multiple of {by} or another VIT.{divisor}"
    return Problem(key, f"{value} is not divisible by {by} (VIT.{divisor})", remedy)
