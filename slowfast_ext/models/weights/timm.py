"""timm's ViT and DeiT image checkpoints, for images (one frame, VIT.POS_EMBED joint) or as a start for video.

A video model inflates the patch kernel (TRAIN.CHECKPOINT_INFLATE), keeps or repeats the positions and reports
what images do not have as new: positions in time (zero), projections along trajectories, attention over time.
"""

from slowfast_ext.errors import CheckpointError
from slowfast_ext.models.backbones.vit import VisionTransformer
from slowfast_ext.models.blocks.timesformer import TimeSformerBlock
from slowfast_ext.models.build import VideoModel
from slowfast_ext.models.weights.base import WEIGHTS, Importer, Shapes, State, rename
from slowfast_ext.models.weights.motionformer import MotionformerImporter
from slowfast_ext.models.weights.vit import (
    KERNEL,
    TO_OURS,
    TO_THEIRS,
    is_vit,
    resize_positions,
    vit_of,
    with_time_axis,
)


@WEIGHTS.register("timm")
class TimmImporter(Importer):
    """Keys `cls_token`, `pos_embed`, `patch_embed`, `blocks`, `norm`, `head`, in older files `pre_logits`."""

    @staticmethod
    def recognise(shapes: Shapes) -> bool:
        """A ViT that is not Motionformer's, on images: a 2-D patch kernel and positions."""
        of_images = len(shapes.get("patch_embed.proj.weight", ())) == 4 and "pos_embed" in shapes
        video = ("blocks.0.temporal_fc.weight", "blocks.0.attn.q_bias")
        return (
            is_vit(shapes)
            and of_images
            and not any(key in shapes for key in video)
            and not MotionformerImporter.recognise(shapes)
        )

    @staticmethod
    def to_ours(state: State, model: VideoModel) -> State:
        """The patch kernel gets a temporal axis; a model without class token takes no position of it.

        TimeSformer's attention over time starts as that over space.
        """
        state, of_cls = dict(state), {}
        if vit_of(model).cls_token is None and "cls_token" in state:
            of_cls = {"cls_token": state.pop("cls_token")}
            of_cls["pos_embed_of_cls"], state["pos_embed"] = state["pos_embed"].tensor_split(
                [1], dim=1
            )
        ours = with_time_axis(rename(state, TO_OURS)) | of_cls
        return _with_time_as_space(ours, vit_of(model))

    @staticmethod
    def to_theirs(state: State, model: VideoModel) -> State:
        """The inverse, for a model of images. Raises CheckpointError for one of clips."""
        if state[KERNEL].shape[2] > 1:
            raise CheckpointError(
                f"timm's ViT has no tubelets of {state[KERNEL].shape[2]} frames; "
                "export models with one frame in VIT.PATCH_SIZE"
            )
        return rename(state | {KERNEL: state[KERNEL].squeeze(2)}, TO_THEIRS)

    resize = staticmethod(resize_positions)


def _with_time_as_space(state: State, vit: VisionTransformer) -> State:
    copies: State = {}
    for index, block in enumerate(vit.blocks):
        if isinstance(block, TimeSformerBlock):
            for part in ("attn.", "norm1."):
                own = f"backbone.blocks.{index}.{part}"
                over_time = own.replace(part, f"temporal_{part}")
                copies |= {
                    over_time + name.removeprefix(own): tensor.clone()
                    for name, tensor in state.items()
                    if name.startswith(own)
                }
    return copies | state
