"""UniFormer and EMIM checkpoints: joint, split and EMIM blocks, videos and images, with layer scale or without.

The files do not tell the temporal stride of the stem (2 UniFormer, 1 EMIM), nor whether EMIM was trained with 32
context channels: UNIFORMER.TEMPORAL_STRIDE and ATTENTION.EMIM.CONTEXT_CHANNELS have to.
"""

from torch import Tensor
from yacs.config import CfgNode

from slowfast_ext.models.attention import ATTENTION, variant_of_block
from slowfast_ext.models.weights.base import WEIGHTS, Importer, Shapes, State, rename

_POINTWISE = ("conv1.weight", "conv2.weight", "fc1.weight", "fc2.weight")

_CONV_BLOCK = {
    "pos_embed": "pos",
    "norm1": "norm1",
    "conv1": "conv1",
    "attn": "mix",
    "conv2": "conv2",
    "norm2": "norm2",
    "mlp.fc1": "fc1",
    "mlp.fc2": "fc2",
}
_ATTENTION_BLOCK = {
    "pos_embed": "pos",
    "norm2": "block.mlp.norm",
    "mlp": "block.mlp.layer",
    "gamma_2": "block.mlp.scale.gamma",
}
_ONE_STEP = {
    "norm1": "block.attn.norm",
    "attn": "block.attn.layer",
    "attn.rpb": "block.attn.layer.position_bias",
    "attn.motion_conv": "block.attn.layer.motion",
    "gamma_1": "block.attn.scale.gamma",
}
_TWO_STEPS = {
    "t_norm": "block.attn.time_norm",
    "t_attn": "block.attn.time",
    "norm1": "block.attn.space_norm",
    "attn": "block.attn.space",
}


@WEIGHTS.register("uniformer")
class UniFormerImporter(Importer):
    """Keys `patch_embed1..4`, `blocks1..4`, `norm`, `head`."""

    @staticmethod
    def recognise(shapes: Shapes) -> bool:
        """Four numbered stages with convolutional position encoding."""
        stages = all(f"blocks{stage}.0.pos_embed.weight" in shapes for stage in (1, 2, 3, 4))
        return stages and "patch_embed1.proj.weight" in shapes

    @staticmethod
    def to_ours(state: State, cfg: CfgNode) -> State:
        """1x1 convolutions become linear layers; 2-D kernels get a temporal axis of size one."""
        renamed = rename(state, _prefixes(cfg))
        return {name: _to_our_shape(name, tensor) for name, tensor in renamed.items()}

    @staticmethod
    def to_theirs(state: State, cfg: CfgNode) -> State:
        """2-D kernels for UNIFORMER.IMAGE, 3-D ones otherwise."""
        shaped = {
            name: _to_their_shape(name, tensor, cfg.UNIFORMER.IMAGE)
            for name, tensor in state.items()
        }
        return rename(shaped, {ours: theirs for theirs, ours in _prefixes(cfg).items()})


def _prefixes(cfg: CfgNode) -> dict[str, str]:
    """Their prefix -> our prefix, for each module of the model of `cfg`."""
    prefixes = {"norm": "backbone.norm", "head": "head.classifiers.0"}
    for stage, depth in enumerate(cfg.UNIFORMER.DEPTH):
        prefixes[f"patch_embed{stage + 1}"] = f"backbone.embeds.{stage}"
        for index in range(depth):
            theirs, ours = f"blocks{stage + 1}.{index}", f"backbone.stages.{stage}.{index}"
            for part, our_part in _block_parts(cfg, stage, index).items():
                prefixes[f"{theirs}.{part}"] = f"{ours}.{our_part}"
    return prefixes


def _block_parts(cfg: CfgNode, stage: int, index: int) -> dict[str, str]:
    if stage < 2:
        return _CONV_BLOCK
    composite = ATTENTION.get(variant_of_block(cfg.ATTENTION, index)).composite
    return _ATTENTION_BLOCK | (_TWO_STEPS if composite else _ONE_STEP)


def _is_pointwise(name: str) -> bool:
    return name.startswith(("backbone.stages.0.", "backbone.stages.1.")) and name.endswith(
        _POINTWISE
    )


def _to_our_shape(name: str, tensor: Tensor) -> Tensor:
    if _is_pointwise(name):
        return tensor.flatten(1)
    return tensor.unsqueeze(2) if tensor.ndim == 4 else tensor


def _to_their_shape(name: str, tensor: Tensor, image: bool) -> Tensor:
    if _is_pointwise(name):
        return tensor[..., None, None] if image else tensor[..., None, None, None]
    return tensor.squeeze(2) if image and tensor.ndim == 5 else tensor
