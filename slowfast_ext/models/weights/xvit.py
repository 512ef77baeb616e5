"""XViT checkpoints: a backbone below `base_model`, its temporal head below `consensus` or `new_fc`.

Files with the transformer head also hold the linear layer `new_fc` that is never used: it keeps its name and is
reported as unused (allow `unused` in TRAIN.CHECKPOINT_CHANGED).
"""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from yacs.config import CfgNode

from slowfast_ext.models.backbones.vit import token_sides
from slowfast_ext.models.backbones.vit_embed import resize_space
from slowfast_ext.models.weights.base import WEIGHTS, Importer, Resized, Shapes, State, rename

_SPACE = "backbone.embed.pos_embed"
_TIME = "backbone.embed.time_embed"
_KERNEL = "backbone.embed.tubelets.weight"
_CLASSIFIER = "head.classifiers.0"
_BLOCK = {"norm1": "attn.norm", "attn": "attn.layer", "norm2": "mlp.norm", "mlp": "mlp.layer"}


@WEIGHTS.register("xvit")
class XViTImporter(Importer):
    """Keys `base_model`, `consensus`, `new_fc`; for ATTENTION.CYCLE [mixing] or [space]."""

    @staticmethod
    def recognise(shapes: Shapes) -> bool:
        """A backbone whose temporal table has an axis for the tokens of a frame."""
        return len(shapes.get("base_model.temp_embed", ())) == 4

    @staticmethod
    def to_ours(state: State, cfg: CfgNode) -> State:
        """Patch kernels get a temporal axis of size one, the temporal table loses that of the tokens."""
        ours = rename(state, _prefixes(cfg))
        return _changed(ours, {_TIME: lambda x: x.squeeze(2), _KERNEL: lambda x: x.unsqueeze(2)})

    @staticmethod
    def to_theirs(state: State, cfg: CfgNode) -> State:
        """The inverse, for VIT.PATCH_SIZE of one frame."""
        back = {_TIME: lambda x: x.unsqueeze(2), _KERNEL: lambda x: x.squeeze(2)}
        return rename(_changed(state, back), {ours: key for key, ours in _prefixes(cfg).items()})

    @staticmethod
    def resize(name: str, tensor: Tensor, shape: tuple[int, ...], cfg: CfgNode) -> Resized | None:
        """Bicubic in space; in time the rows are used over again, as in the published model."""
        if name == _TIME:
            return Resized(tensor[:, torch.arange(shape[1]) % tensor.shape[1]], "time")
        if name != _SPACE:
            return None
        side = math.isqrt(tensor.shape[1] - 1)
        cls, space = tensor.tensor_split([1], dim=1)
        _, height, width = token_sides(cfg, cfg.VIT.POS_CROP_SIZE)
        space = resize_space(space.unflatten(1, (1, side, side)), height, width)
        return Resized(torch.cat([cls, space.flatten(1, 3)], dim=1), "space")


def _prefixes(cfg: CfgNode) -> dict[str, str]:
    """Their prefix -> our prefix, for each module of the model of `cfg`."""
    prefixes = {
        "base_model.cls_token": "backbone.embed.cls_token",
        "base_model.pos_embed": _SPACE,
        "base_model.temp_embed": _TIME,
        "base_model.patch_embed.proj": "backbone.embed.tubelets",
        "base_model.norm": "backbone.norm",
        **_blocks("base_model.blocks", "backbone.blocks", cfg.VIT.DEPTH),
    }
    if cfg.XVIT.CONSENSUS == "avg":
        return {**prefixes, "new_fc": _CLASSIFIER}
    return {
        **prefixes,
        "consensus.cls_token": "backbone.consensus.cls_token",
        "consensus.mlp_head.0": "backbone.consensus.norm",
        "consensus.mlp_head.1": "backbone.consensus.fc",
        "consensus.mlp_head.4": _CLASSIFIER,
        **_blocks(
            "consensus.temporal_encoder", "backbone.consensus.blocks", cfg.XVIT.CONSENSUS_DEPTH
        ),
    }


def _blocks(theirs: str, ours: str, depth: int) -> dict[str, str]:
    return {
        f"{theirs}.{index}.{part}": f"{ours}.{index}.{our_part}"
        for index in range(depth)
        for part, our_part in _BLOCK.items()
    }


def _changed(state: State, changes: Mapping[str, Callable[[Tensor], Tensor]]) -> State:
    return {key: changes.get(key, lambda x: x)(tensor) for key, tensor in state.items()}
