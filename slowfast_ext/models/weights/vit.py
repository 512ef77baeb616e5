"""What the checkpoints of vision transformers have in common: timm's names, patch kernels, position tables."""

import math
from typing import cast

import torch
from torch import Tensor

from slowfast_ext.errors import CheckpointError
from slowfast_ext.models.backbones.vit import VisionTransformer
from slowfast_ext.models.build import VideoModel
from slowfast_ext.models.weights.base import Resized, Shapes, State

POSITIONS = "backbone.pos_embed"
TIME = "backbone.temp_embed"
KERNEL = "backbone.patch_embed.proj.weight"

TO_OURS = (
    (r"^(blocks\.\d+)\.norm3\.", r"\1.temporal_norm1."),
    (r"^(blocks\.\d+)\.timeattn\.", r"\1.temporal_attn."),
    (r"^pre_logits\.fc\.", "pre_logits.0."),
    (r"^(cls_token|pos_embed|temp_embed|patch_embed|blocks|norm|pre_logits)\b", r"backbone.\1"),
)
"""From the names of timm and Motionformer."""

TO_THEIRS = (
    (r"^backbone\.", ""),
    (r"^(blocks\.\d+)\.temporal_norm1\.", r"\1.norm3."),
    (r"^(blocks\.\d+)\.temporal_attn\.", r"\1.timeattn."),
    (r"^pre_logits\.0\.", "pre_logits.fc."),
)


def vit_of(model: VideoModel) -> VisionTransformer:
    """The backbone, as a vision transformer. Raises CheckpointError where it is none."""
    if not isinstance(model.backbone, VisionTransformer):
        raise CheckpointError(
            f"a checkpoint of a vision transformer for the backbone {type(model.backbone).__name__}; "
            "set MODEL.BACKBONE to that of the checkpoint"
        )
    return model.backbone


def is_vit(shapes: Shapes) -> bool:
    """Whether these are the keys of a vision transformer of images or clips, at top level."""
    embedder = "patch_embed.proj.weight" in shapes or "patch_embed_3d.proj.weight" in shapes
    return embedder and "blocks.0.attn.qkv.weight" in shapes


def with_time_axis(state: State) -> State:
    """2-D patch kernels [C, 3, p, p] as [C, 3, 1, p, p]."""
    kernel = state.get(KERNEL)
    return state if kernel is None or kernel.ndim == 5 else state | {KERNEL: kernel.unsqueeze(2)}


def resize_positions(
    name: str, tensor: Tensor, shape: tuple[int, ...], model: VideoModel
) -> Resized | None:
    """As VIT.POS_RESIZE says, in space from a square, in time from one row: repeated. A joint table in one of both."""
    vit = cast(VisionTransformer, model.backbone)
    resize = vit.position_rule.resize
    if name == TIME:
        return Resized(resize.time(tensor, shape[1]), "time")
    if name != POSITIONS:
        return None
    t, h, w = vit.table.t if vit.temp_embed is None else 1, vit.table.h, vit.table.w
    prefix, patches = tensor.tensor_split([shape[1] - t * h * w], dim=1)
    side = math.isqrt(patches.shape[1] // t)
    if patches.shape[1] % (h * w) == 0:
        frames = patches.unflatten(1, (-1, h * w)).flatten(2)
        resized, change = resize.time(frames, t).unflatten(2, (h * w, -1)), "time"
    elif patches.shape[1] == t * side**2:
        resized = resize.space(patches.unflatten(1, (t, side, side)), h, w).flatten(2, 3)
        change = "space"
    else:
        return None
    return Resized(torch.cat([prefix, resized.flatten(1, 2)], dim=1), change)
