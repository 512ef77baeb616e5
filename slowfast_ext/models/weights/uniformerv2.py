"""UniFormerV2 checkpoints, and its start from the image tower of a CLIP checkpoint (OpenAI's names).

All of a published file lies below `backbone.`, its classifier too. No parameter tells the number of frames.
"""

import math
import re
from typing import cast

import torch
from torch import Tensor

from slowfast_ext.errors import CheckpointError
from slowfast_ext.models.backbones.uniformerv2 import UniFormerV2
from slowfast_ext.models.backbones.vit_positions import resize_space
from slowfast_ext.models.build import VideoModel
from slowfast_ext.models.weights.base import (
    KINETICS_UNIFORMER,
    WEIGHTS,
    Importer,
    Resized,
    Shapes,
    State,
    rename,
)

_KERNEL = "backbone.patch_embed.proj.weight"
_POSITIONS = "backbone.pos_embed"
_POINTWISE = re.compile(r"backbone\.blocks\.\d+\.local[12]\.fc[12]\.weight")

_TOWER = (
    ("conv1.weight", "patch_embed.proj.weight"),
    ("class_embedding", "cls_token"),
    ("positional_embedding", "pos_embed"),
    ("ln_pre", "norm_pre"),
)
_IN_BLOCK = (
    ("attn.in_proj_", "attn.qkv."),
    ("attn.out_proj", "attn.proj"),
    ("mlp.c_fc", "mlp.fc1"),
    ("mlp.c_proj", "mlp.fc2"),
    ("ln_1", "norm1"),
    ("ln_2", "norm2"),
    ("ln_3", "norm_tokens"),
)
_IN_LOCAL = (
    ("pos_embed.0", "norm"),
    ("pos_embed.1", "fc1"),
    ("pos_embed.2", "conv"),
    ("pos_embed.3", "fc2"),
)
_OWN = (
    ("transformer.temporal_cls_token", "temporal_cls_token"),
    ("transformer.balance", "balance"),
    ("transformer.proj.0", "norm"),
)
"""Pairs of names: theirs, ours."""


def _to_ours(pairs: tuple[tuple[str, str], ...], before: str) -> list[tuple[str, str]]:
    return [(rf"^({before}){re.escape(theirs)}", rf"\g<1>{ours}") for theirs, ours in pairs]


def _to_theirs(pairs: tuple[tuple[str, str], ...], before: str) -> list[tuple[str, str]]:
    return _to_ours(tuple((ours, theirs) for theirs, ours in pairs), before)


_B = r"backbone\."
_OUR_BLOCK, _OUR_LOCAL = rf"{_B}blocks\.\d+\.block\.", rf"{_B}blocks\.\d+\.local[12]\."
_OUR_GLOBAL = rf"{_B}global_blocks\.\d+\."
_TO_OURS = (
    (r"^backbone\.transformer\.proj\.2\.", "head."),
    *_to_ours((*_TOWER, *_OWN), _B),
    (rf"^({_B})transformer\.resblocks\.(\d+)\.lmhra([12])\.", r"\1blocks.\2.local\3."),
    (rf"^({_B})transformer\.resblocks\.(\d+)\.", r"\1blocks.\2.block."),
    (rf"^({_B})transformer\.dpe\.(\d+)\.", r"\1global_blocks.\2.pos_embed."),
    (rf"^({_B})transformer\.dec\.(\d+)\.", r"\1global_blocks.\2."),
    *_to_ours(_IN_LOCAL, _OUR_LOCAL),
    *_to_ours(_IN_BLOCK, f"{_OUR_BLOCK}|{_OUR_GLOBAL}"),
)
_TO_THEIRS = (
    *_to_theirs(_IN_BLOCK, f"{_OUR_BLOCK}|{_OUR_GLOBAL}"),
    *_to_theirs(_IN_LOCAL, _OUR_LOCAL),
    (rf"^({_B})global_blocks\.(\d+)\.pos_embed\.", r"\1transformer.dpe.\2."),
    (rf"^({_B})global_blocks\.(\d+)\.", r"\1transformer.dec.\2."),
    (rf"^({_B})blocks\.(\d+)\.local([12])\.", r"\1transformer.resblocks.\2.lmhra\3."),
    (rf"^({_B})blocks\.(\d+)\.block\.", r"\1transformer.resblocks.\2."),
    *_to_theirs((*_TOWER, *_OWN), _B),
    (r"^head\.", "backbone.transformer.proj.2."),
)


@WEIGHTS.register("uniformerv2")
class UniFormerV2Importer(Importer):
    """Keys `backbone.conv1`, `backbone.transformer.resblocks`, `dpe`, `dec`, `proj`; for ATTENTION.CYCLE [space]."""

    orders = KINETICS_UNIFORMER

    @staticmethod
    def recognise(shapes: Shapes) -> bool:
        """A CLIP tower below `backbone.` with a class token for the clip."""
        own = ("backbone.conv1.weight", "backbone.transformer.temporal_cls_token")
        return all(key in shapes for key in own)

    @staticmethod
    def to_ours(state: State, model: VideoModel) -> State:
        """1x1x1 convolutions become linear layers."""
        ours = rename(state, _TO_OURS)
        return {k: x.flatten(1) if _POINTWISE.fullmatch(k) else x for k, x in ours.items()}

    @staticmethod
    def to_theirs(state: State, model: VideoModel) -> State:
        """The inverse."""
        _require_uniformerv2(model)
        shaped = {
            k: x[..., None, None, None] if _POINTWISE.fullmatch(k) else x for k, x in state.items()
        }
        return rename(shaped, _TO_THEIRS)

    @staticmethod
    def resize(
        name: str, tensor: Tensor, shape: tuple[int, ...], model: VideoModel
    ) -> Resized | None:
        """Positions of a square of patches for another frame, bicubic."""
        if name != _POSITIONS or tensor.shape[1:] != shape[1:]:
            return None
        prefix, patches = tensor.tensor_split([1])
        side = math.isqrt(len(patches))
        if side**2 != len(patches):
            return None
        table = cast(UniFormerV2, model.backbone).table
        resized = resize_space(patches.unflatten(0, (1, 1, side, side)), table.h, table.w)
        return Resized(torch.cat([prefix, resized.flatten(0, 3)]), "space")


@WEIGHTS.register("clip")
class ClipImporter(Importer):
    """Keys `visual.*` beside those of the text tower, or the image tower alone without `visual.`.

    What the tower has beyond its blocks (`ln_post`, `proj`) and the text tower are `idle`; all else that UniFormerV2
    has is new.
    """

    @staticmethod
    def recognise(shapes: Shapes) -> bool:
        """A tower whose patches are embedded by a 2-D convolution."""
        own = ("ln_pre.weight", "class_embedding", "transformer.resblocks.0.attn.in_proj_weight")
        return any(
            len(shapes.get(f"{before}conv1.weight", ())) == 4
            and all(f"{before}{key}" in shapes for key in own)
            for before in ("visual.", "")
        )

    @staticmethod
    def to_ours(state: State, model: VideoModel) -> State:
        """The patch kernel lies in the middle of a kernel that spans several frames, zeros around it."""
        whole = any(key.startswith("visual.") for key in state)
        tower = r"^visual\." if whole else "^"
        used = rf"{tower}(?=conv1\.|class_embedding$|positional_embedding$|ln_pre\.|transformer\.)"
        ours = rename(state, ((used, "backbone."), *_TO_OURS))
        if _KERNEL in ours:
            ours[_KERNEL] = _in_the_middle(ours[_KERNEL], _require_uniformerv2(model))
        return ours

    @staticmethod
    def to_theirs(state: State, model: VideoModel) -> State:
        """The image tower, `visual.*`. Raises CheckpointError where patches are embedded with neighbouring frames."""
        kernel = state[_KERNEL]
        middle = kernel.shape[2] // 2
        around = [kernel[:, :, frame] for frame in range(kernel.shape[2]) if frame != middle]
        if any(bool(part.any()) for part in around):
            raise CheckpointError(
                "CLIP's patch kernel has no extent in time, that of the model has"
            )
        theirs = UniFormerV2Importer.to_theirs(state | {_KERNEL: kernel[:, :, middle]}, model)
        names = tuple(f"backbone.{theirs}" for theirs, _ in _TOWER)
        blocks = re.compile(r"backbone\.transformer\.resblocks\.\d+\.(?!lmhra)")
        tower = {k: x for k, x in theirs.items() if k.startswith(names) or blocks.match(k)}
        return rename(tower, ((r"^backbone\.", "visual."),))

    @staticmethod
    def idle(name: str, model: VideoModel) -> bool:
        """See the class."""
        return not name.startswith(("backbone.", "head."))

    resize = staticmethod(UniFormerV2Importer.resize)


def _require_uniformerv2(model: VideoModel) -> UniFormerV2:
    if not isinstance(model.backbone, UniFormerV2):
        raise CheckpointError(
            f"a checkpoint of UniFormerV2 or CLIP for the backbone {type(model.backbone).__name__}; "
            "set MODEL.BACKBONE to uniformerv2"
        )
    return model.backbone


def _in_the_middle(kernel_OIkk: Tensor, backbone: UniFormerV2) -> Tensor:
    frames = backbone.patch_embed.proj.kernel_size[0]
    kernel = kernel_OIkk.new_zeros(*kernel_OIkk.shape[:2], frames, *kernel_OIkk.shape[2:])
    kernel[:, :, frames // 2] = kernel_OIkk
    return kernel
