"""UniFormer and EMIM checkpoints: joint, split and EMIM blocks, videos and images, with layer scale or without,
with a classifier of tokens (token labelling) or without.

The files do not tell the temporal stride of the stem (2 UniFormer, 1 EMIM), nor whether EMIM was trained with 32
context channels: UNIFORMER.TEMPORAL_STRIDE and ATTENTION.EMIM.CONTEXT_CHANNELS have to.
"""

import re

from torch import Tensor

from slowfast_ext.errors import CheckpointError
from slowfast_ext.models.backbones.uniformer import UniFormer
from slowfast_ext.models.backbones.uniformer_blocks import PatchEmbed
from slowfast_ext.models.build import VideoModel
from slowfast_ext.models.weights.base import WEIGHTS, Importer, Shapes, State, rename

_ATTENTION = r"(stages\.[23]\.\d+)"

_TO_OURS = (
    *((rf"^patch_embed{stage + 1}\.", f"patch_embeds.{stage}.") for stage in range(4)),
    *((rf"^blocks{stage + 1}\.", f"stages.{stage}.") for stage in range(4)),
    (rf"^{_ATTENTION}\.(?!pos_embed)", r"\1.block."),
    (r"\.block\.t_norm\.", ".block.temporal_norm1."),
    (r"\.block\.t_attn\.", ".block.temporal_attn."),
    (r"\.block\.attn\.rpb$", ".block.attn.position_bias"),
    (r"\.block\.attn\.motion_conv\.", ".block.attn.motion."),
    (r"\.gamma_([12])$", r".ls\1.gamma"),
    (r"^aux_head\.", "head.tokens."),
    (r"^(?!head\.)", "backbone."),
)
_TO_THEIRS = (
    (r"^backbone\.", ""),
    (r"^head\.tokens\.", "aux_head."),
    (r"\.block\.temporal_norm1\.", ".block.t_norm."),
    (r"\.block\.temporal_attn\.", ".block.t_attn."),
    (r"\.block\.attn\.position_bias$", ".block.attn.rpb"),
    (r"\.block\.attn\.motion\.", ".block.attn.motion_conv."),
    (r"\.ls([12])\.gamma$", r".gamma_\1"),
    (rf"^{_ATTENTION}\.block\.", r"\1."),
    *((rf"^patch_embeds\.{stage}\.", f"patch_embed{stage + 1}.") for stage in range(4)),
    *((rf"^stages\.{stage}\.", f"blocks{stage + 1}.") for stage in range(4)),
)
_CONV_SCALE = re.compile(r"backbone\.stages\.[01]\.\d+\.ls[12]\.gamma")
_POINTWISE = re.compile(r"backbone\.stages\.[01]\.\d+\.(conv1|conv2|mlp\.fc1|mlp\.fc2)\.weight")


@WEIGHTS.register("uniformer")
class UniFormerImporter(Importer):
    """Keys `patch_embed1..4`, `blocks1..4`, `norm`, `head`, and `aux_head`, the classifier of tokens."""

    @staticmethod
    def recognise(shapes: Shapes) -> bool:
        """Four numbered stages with convolutional position encoding."""
        stages = all(f"blocks{stage}.0.pos_embed.weight" in shapes for stage in (1, 2, 3, 4))
        return stages and "patch_embed1.proj.weight" in shapes

    @staticmethod
    def to_ours(state: State, model: VideoModel) -> State:
        """1x1 convolutions become linear layers; 2-D kernels get a temporal axis of size one."""
        renamed = rename(state, _TO_OURS)
        return {name: _to_our_shape(name, tensor) for name, tensor in renamed.items()}

    @staticmethod
    def to_theirs(state: State, model: VideoModel) -> State:
        """2-D kernels for UNIFORMER.IMAGE, 3-D ones otherwise."""
        if not isinstance(model.backbone, UniFormer):
            raise CheckpointError(
                "only MODEL.BACKBONE uniformer can be written with UniFormer's names"
            )
        stem = model.backbone.patch_embeds[0]
        assert isinstance(stem, PatchEmbed)
        image = stem.proj.kernel_size[0] == 1
        shaped = {name: _to_their_shape(name, tensor, image) for name, tensor in state.items()}
        return rename(shaped, _TO_THEIRS)


def _to_our_shape(name: str, tensor: Tensor) -> Tensor:
    if _POINTWISE.fullmatch(name):
        return tensor.flatten(1)
    if _CONV_SCALE.fullmatch(name):
        return tensor.flatten()
    return tensor.unsqueeze(2) if tensor.ndim == 4 else tensor


def _to_their_shape(name: str, tensor: Tensor, image: bool) -> Tensor:
    if _POINTWISE.fullmatch(name):
        return tensor[..., None, None] if image else tensor[..., None, None, None]
    if _CONV_SCALE.fullmatch(name):
        return tensor[None, :, None, None] if image else tensor[None, :, None, None, None]
    return tensor.squeeze(2) if image and tensor.ndim == 5 else tensor
