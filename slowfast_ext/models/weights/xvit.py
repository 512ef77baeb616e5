"""XViT checkpoints: a backbone below `base_model`, its temporal head below `consensus` or `new_fc`.

Files with the transformer head also hold the linear layer `new_fc`, which is never used: it is `idle`.
"""

from slowfast_ext.errors import CheckpointError
from slowfast_ext.models.backbones.xvit import Consensus, XViT
from slowfast_ext.models.build import VideoModel
from slowfast_ext.models.weights.base import WEIGHTS, Importer, Shapes, State, rename
from slowfast_ext.models.weights.vit import (
    KERNEL,
    TIME,
    TO_OURS,
    TO_THEIRS,
    resize_positions,
    vit_of,
    with_time_axis,
)

_CONSENSUS = (
    ("consensus.cls_token", "backbone.consensus.cls_token"),
    ("consensus.temporal_encoder.", "backbone.consensus.blocks."),
    ("consensus.mlp_head.0.", "backbone.consensus.norm."),
    ("consensus.mlp_head.1.", "backbone.consensus.fc."),
    ("consensus.mlp_head.4.", "head."),
)
_MEAN = (("new_fc.", "head."),)


@WEIGHTS.register("xvit")
class XViTImporter(Importer):
    """Keys `base_model`, `consensus`, `new_fc`; for ATTENTION.CYCLE [mixing] or [space]."""

    @staticmethod
    def recognise(shapes: Shapes) -> bool:
        """A backbone whose temporal table has an axis for the tokens of a frame."""
        return len(shapes.get("base_model.temp_embed", ())) == 4

    @staticmethod
    def to_ours(state: State, model: VideoModel) -> State:
        """The patch kernel gets a temporal axis, the temporal table loses that of the tokens."""
        rules = [(f"^{theirs}", ours) for theirs, ours in _head(model)]
        ours = with_time_axis(rename(state, (*rules, (r"^base_model\.", ""), *TO_OURS)))
        return ours | {TIME: ours[TIME].squeeze(2)}

    @staticmethod
    def to_theirs(state: State, model: VideoModel) -> State:
        """The inverse, for VIT.PATCH_SIZE of one frame; the idle layer is left out."""
        theirs = state | {KERNEL: state[KERNEL].squeeze(2), TIME: state[TIME].unsqueeze(2)}
        rules = [(f"^{ours}", theirs) for theirs, ours in _head(model)]
        base = ((r"^backbone\.", "backbone.base_model."),)
        return rename(theirs, (*rules, *base, *TO_THEIRS))

    @staticmethod
    def idle(name: str, model: VideoModel) -> bool:
        """See the module's docstring."""
        return _has_transformer(model) and name.startswith("new_fc.")

    resize = staticmethod(resize_positions)


def _has_transformer(model: VideoModel) -> bool:
    backbone = vit_of(model)
    if not isinstance(backbone, XViT):
        raise CheckpointError("a checkpoint of XViT; set MODEL.BACKBONE xvit")
    return isinstance(backbone.consensus, Consensus)


def _head(model: VideoModel) -> tuple[tuple[str, str], ...]:
    return _CONSENSUS if _has_transformer(model) else _MEAN
