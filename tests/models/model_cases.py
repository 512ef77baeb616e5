"""Small models, built from specs and options as in a notebook, and small trees for what is tested at the door."""

from dataclasses import replace

from torch import nn
from yacs.config import CfgNode

from slowfast_ext.config import tree_of
from slowfast_ext.config.schema import set_dotted
from slowfast_ext.models import VideoModel
from slowfast_ext.models.attention import AttentionOptions
from slowfast_ext.models.attention.lara import LaraOptions
from slowfast_ext.models.attention.linformer import LinformerOptions
from slowfast_ext.models.backbones import BACKBONES, BackboneSpec
from slowfast_ext.models.backbones.uniformer import UniFormer, UniformerOptions
from slowfast_ext.models.backbones.uniformerv2 import UniformerV2Options
from slowfast_ext.models.backbones.vit import VisionTransformer, VitOptions
from slowfast_ext.models.backbones.xvit import XvitOptions
from slowfast_ext.options import Options
from slowfast_ext.tasks.verb_noun import VerbNounHead

SMALL_VIT = VitOptions(patch_size=(2, 16, 16), embed_dim=24, depth=2, num_heads=3)
SMALL = {
    "vit": (SMALL_VIT,),
    "xvit": (SMALL_VIT, XvitOptions(consensus_heads=3, consensus_dim=16)),
    "uniformer": (UniformerOptions(embed_dim=(8, 8, 16, 16), depth=(1, 1, 1, 1), head_dim=8),),
    "uniformerv2": (
        UniformerV2Options(
            embed_dim=24,
            depth=2,
            num_heads=3,
            local_attention="double",
            global_layers=(0, 1),
            global_heads=3,
        ),
    ),
}
"""Options of every backbone for two or four narrow blocks on a clip of 4 x 64 x 64."""
FEW_TOKENS = (LaraOptions(landmarks=4), LinformerOptions(dim=5))
"""Options of kernels that suit few tokens."""

TINY_SPEC = BackboneSpec(num_frames=4, img_size=32)
TINY_VIT = VitOptions(patch_size=(2, 8, 8), embed_dim=24, depth=2, num_heads=3)
TINY_UNIFORMER = UniformerOptions(embed_dim=(8, 16, 24, 32), depth=(1, 2, 2, 1), head_dim=8)


def attention(*cycle: str, parts: tuple[Options, ...] = (), **options) -> AttentionOptions:
    """Attention of the variants `cycle` in turn."""
    return AttentionOptions(cycle=cycle, parts=parts, **options)


def with_head(backbone: nn.Module, classes: int | tuple[int, int] = 5, **options) -> VideoModel:
    """A model with a classifier for so many classes, or for verbs and nouns."""
    dim = backbone.feature_dim
    head = nn.Linear(dim, classes) if isinstance(classes, int) else VerbNounHead(dim, *classes)
    return VideoModel(backbone, head, **options)


def small_options(name: str) -> tuple[Options, ...]:
    """Options of the backbone `name` for a narrow model; those of one that is new are its defaults."""
    return SMALL.get(name) or tuple(kind() for kind in BACKBONES.options(name))


def small_model(
    name: str, attention: AttentionOptions, size=64, frames: int = 4, init_std: float = 0.02
) -> VideoModel:
    """The backbone `name`, narrow, for clips of 4 x 64 x 64; FEW_TOKENS apply where `attention` says nothing else."""
    own = replace(attention, parts=(*attention.parts, *FEW_TOKENS))
    spec = BackboneSpec(frames, size, own, init_std=init_std)
    return with_head(BACKBONES.get(name)(spec, *small_options(name)), init_std=init_std)


def tiny_vit(
    spec: BackboneSpec = TINY_SPEC, classes: int | tuple[int, int] = 5, **vit
) -> VideoModel:
    """A two-block ViT of width 24 on 4 frames of 32 px, with some options of VitOptions."""
    return with_head(VisionTransformer(spec, replace(TINY_VIT, **vit)), classes)


def tiny_uniformer(
    spec: BackboneSpec = TINY_SPEC, classes: int | tuple[int, int] = 5, **uniformer
) -> VideoModel:
    """A UniFormer of one block or two a stage on 4 frames of 32 px, with some options of UniformerOptions."""
    return with_head(UniFormer(spec, replace(TINY_UNIFORMER, **uniformer)), classes)


def tree(*options: Options, **changes) -> CfgNode:
    """A tree for clips of 4 x 32 x 32 with these options; `changes` are keys with __ for the dot."""
    cfg = tree_of(*options)
    cfg.DATA.NUM_FRAMES, cfg.DATA.TRAIN_CROP_SIZE, cfg.DATA.TEST_CROP_SIZE = 4, 32, 32
    for key, value in changes.items():
        set_dotted(cfg, key.replace("__", "."), value)
    return cfg
