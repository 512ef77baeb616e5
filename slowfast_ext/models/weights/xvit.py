"""XViT checkpoints: a backbone below `base_model`, its temporal head below `consensus` or `new_fc`.

Files with the transformer head also hold the linear layer `new_fc`, which is never used: it is `idle`.
"""

from torch import Tensor
from yacs.config import CfgNode

from slowfast_ext.models.weights.base import WEIGHTS, Importer, Resized, Shapes, State, rename
from slowfast_ext.models.weights.motionformer import (
    KERNEL,
    POSITIONS,
    TIME,
    block_prefixes,
    prefixes_of_block,
    resize_positions,
    with_time_axis,
)

_CLASSIFIER = "head.classifiers.0"


@WEIGHTS.register("xvit")
class XViTImporter(Importer):
    """Keys `base_model`, `consensus`, `new_fc`; for ATTENTION.CYCLE [mixing] or [space]."""

    @staticmethod
    def recognise(shapes: Shapes) -> bool:
        """A backbone whose temporal table has an axis for the tokens of a frame."""
        return len(shapes.get("base_model.temp_embed", ())) == 4

    @staticmethod
    def to_ours(state: State, cfg: CfgNode) -> State:
        """The patch kernel gets a temporal axis, the temporal table loses that of the tokens."""
        ours = with_time_axis(rename(state, _prefixes(cfg)))
        return ours | {TIME: ours[TIME].squeeze(2)}

    @staticmethod
    def to_theirs(state: State, cfg: CfgNode) -> State:
        """The inverse, for VIT.PATCH_SIZE of one frame; the idle layer is left out."""
        theirs = state | {KERNEL: state[KERNEL].squeeze(2), TIME: state[TIME].unsqueeze(2)}
        return rename(theirs, {ours: key for key, ours in _prefixes(cfg).items()})

    @staticmethod
    def idle(name: str, cfg: CfgNode) -> bool:
        """See the module's docstring."""
        return cfg.XVIT.CONSENSUS == "vit" and name.startswith("new_fc.")

    @staticmethod
    def resize(name: str, tensor: Tensor, shape: tuple[int, ...], cfg: CfgNode) -> Resized | None:
        """See resize_positions."""
        return resize_positions(name, tensor, shape, cfg)


def _prefixes(cfg: CfgNode) -> dict[str, str]:
    """Their prefix -> our prefix, for each module of the model of `cfg`."""
    prefixes = {
        "base_model.cls_token": "backbone.embed.cls_token",
        "base_model.pos_embed": POSITIONS,
        "base_model.temp_embed": TIME,
        "base_model.patch_embed.proj": "backbone.embed.tubelets",
        "base_model.norm": "backbone.norm",
        **{f"base_model.{theirs}": ours for theirs, ours in block_prefixes(cfg).items()},
    }
    return prefixes | ({"new_fc": _CLASSIFIER} if cfg.XVIT.CONSENSUS == "avg" else _consensus(cfg))


def _consensus(cfg: CfgNode) -> dict[str, str]:
    prefixes = {
        "consensus.cls_token": "backbone.consensus.cls_token",
        "consensus.mlp_head.0": "backbone.consensus.norm",
        "consensus.mlp_head.1": "backbone.consensus.fc",
        "consensus.mlp_head.4": _CLASSIFIER,
    }
    for index in range(cfg.XVIT.CONSENSUS_DEPTH):
        theirs, ours = (f"consensus.{x}.{index}" for x in ("temporal_encoder", "blocks"))
        prefixes |= prefixes_of_block(theirs, f"backbone.{ours}", "joint")
    return prefixes
