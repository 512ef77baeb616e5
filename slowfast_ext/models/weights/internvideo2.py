"""InternVideo2 checkpoints (single modality, finetuned): RMS norms, attention pooling, tanh GELU as they were trained."""

from slowfast_ext.models.build import VideoModel
from slowfast_ext.models.weights.base import (
    KINETICS_UNIFORMER,
    WEIGHTS,
    Importer,
    Shapes,
    State,
    rename,
)
from slowfast_ext.models.weights.vit import resize_positions, vit_of

_TO_OURS = (
    (r"\.attn\.(q_norm|k_norm)\.", r".attn.qk_norm.\1."),
    (r"^clip_projector\.norm1_", "pool.norm_"),
    (r"^clip_projector\.cross_attn\.([qkv])_bias$", r"pool.\1.bias"),
    (r"^clip_projector\.cross_attn\.", "pool."),
    (r"^(cls_token|pos_embed|patch_embed|blocks|pool|fc_norm)\b", r"backbone.\1"),
)
_TO_THEIRS = (
    (r"^backbone\.", ""),
    (r"\.attn\.qk_norm\.", ".attn."),
    (r"^pool\.norm_", "clip_projector.norm1_"),
    (r"^pool\.([qkv])\.bias$", r"clip_projector.cross_attn.\1_bias"),
    (r"^pool\.", "clip_projector.cross_attn."),
)


@WEIGHTS.register("internvideo2")
class InternVideo2Importer(Importer):
    """Keys `cls_token`, `pos_embed`, `patch_embed`, `blocks`, `clip_projector`, `fc_norm`, `head`."""

    orders = KINETICS_UNIFORMER

    @staticmethod
    def recognise(shapes: Shapes) -> bool:
        """A ViT whose tokens are read by attention."""
        return "clip_projector.cross_attn.q_bias" in shapes and "blocks.0.norm1.weight" in shapes

    @staticmethod
    def to_ours(state: State, model: VideoModel) -> State:
        """Only names differ."""
        vit_of(model)
        return rename(state, _TO_OURS)

    @staticmethod
    def to_theirs(state: State, model: VideoModel) -> State:
        """The inverse."""
        return rename(state, _TO_THEIRS)

    resize = staticmethod(resize_positions)
