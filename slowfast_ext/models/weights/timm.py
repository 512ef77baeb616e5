"""timm's ViT and DeiT image checkpoints, for images (one frame, VIT.POS_EMBED joint) or as a start for video.

A video model inflates the patch kernel (TRAIN.CHECKPOINT_INFLATE), keeps or repeats the positions and reports
what images do not have as new: positions in time (zero), projections along trajectories, attention over time.
"""

from torch import Tensor
from yacs.config import CfgNode

from slowfast_ext.errors import CheckpointError
from slowfast_ext.models.weights.base import WEIGHTS, Importer, Resized, Shapes, State, rename
from slowfast_ext.models.weights.motionformer import (
    KERNEL,
    POSITIONS,
    MotionformerImporter,
    block_prefixes,
    is_vit,
    resize_positions,
    with_time_axis,
)


@WEIGHTS.register("timm")
class TimmImporter(Importer):
    """Keys `cls_token`, `pos_embed`, `patch_embed`, `blocks`, `norm`, `head`, in older files `pre_logits`."""

    @staticmethod
    def recognise(shapes: Shapes) -> bool:
        """A ViT that is not Motionformer's."""
        return is_vit(shapes) and not MotionformerImporter.recognise(shapes)

    @staticmethod
    def to_ours(state: State, cfg: CfgNode) -> State:
        """The patch kernel gets a temporal axis; a model without class token takes no position of it."""
        if cfg.VIT.POOL == "mean" and "cls_token" in state:
            of_cls, patches = state["pos_embed"].tensor_split([1], dim=1)
            state = state | {"pos_embed": patches, "pos_embed_of_cls": of_cls}
        return with_time_axis(rename(state, _prefixes(cfg)))

    @staticmethod
    def to_theirs(state: State, cfg: CfgNode) -> State:
        """The inverse, for a model of images. Raises CheckpointError for one of clips."""
        if state[KERNEL].shape[2] > 1:
            raise CheckpointError(
                f"timm's ViT has no tubelets of {state[KERNEL].shape[2]} frames; "
                "export models with one frame in VIT.PATCH_SIZE"
            )
        images = state | {KERNEL: state[KERNEL].squeeze(2)}
        return rename(images, {ours: theirs for theirs, ours in _prefixes(cfg).items()})

    @staticmethod
    def resize(name: str, tensor: Tensor, shape: tuple[int, ...], cfg: CfgNode) -> Resized | None:
        """See resize_positions."""
        return resize_positions(name, tensor, shape, cfg)


def _prefixes(cfg: CfgNode) -> dict[str, str]:
    return {
        **({"cls_token": "backbone.embed.cls_token"} if cfg.VIT.POOL == "cls" else {}),
        "pos_embed": POSITIONS,
        "patch_embed.proj": "backbone.embed.tubelets",
        **block_prefixes(cfg),
        "norm": "backbone.norm",
        "pre_logits.fc": "backbone.pre_logits.0",
        "head": "head.classifiers.0",
    }
