"""CLIP checkpoints in the hub's layout (transformers' CLIPModel or CLIPVisionModel): a start for UniFormerV2."""

from slowfast_ext.models.build import VideoModel
from slowfast_ext.models.weights.base import WEIGHTS, Importer, Shapes, State, rename
from slowfast_ext.models.weights.qkv import join, split
from slowfast_ext.models.weights.uniformerv2 import ClipImporter

_PARTS = ("q_proj", "k_proj", "v_proj")
_BLOCK, _LAYER = r"visual\.transformer\.resblocks\.", r"vision_model\.encoder\.layers\."
_TO_CLIP = (
    (r"^vision_model\.embeddings\.class_embedding$", "visual.class_embedding"),
    (r"^vision_model\.embeddings\.patch_embedding\.", "visual.conv1."),
    (r"^vision_model\.embeddings\.position_embedding\.weight$", "visual.positional_embedding"),
    (r"^vision_model\.pre_layrnorm\.", "visual.ln_pre."),
    (rf"^({_LAYER}\d+)\.self_attn\.in_proj\.", r"\1.attn.in_proj_"),
    (rf"^({_LAYER}\d+)\.self_attn\.", r"\1.attn."),
    (rf"^({_LAYER}\d+)\.layer_norm([12])\.", r"\1.ln_\2."),
    (rf"^({_LAYER}\d+)\.mlp\.fc1\.", r"\1.mlp.c_fc."),
    (rf"^({_LAYER}\d+)\.mlp\.fc2\.", r"\1.mlp.c_proj."),
    (rf"^{_LAYER}", "visual.transformer.resblocks."),
)
_TO_HUB = (
    (rf"^{_BLOCK}", "vision_model.encoder.layers."),
    (rf"^({_LAYER}\d+)\.attn\.in_proj_", r"\1.self_attn.in_proj."),
    (rf"^({_LAYER}\d+)\.attn\.", r"\1.self_attn."),
    (rf"^({_LAYER}\d+)\.ln_([12])\.", r"\1.layer_norm\2."),
    (rf"^({_LAYER}\d+)\.mlp\.c_fc\.", r"\1.mlp.fc1."),
    (rf"^({_LAYER}\d+)\.mlp\.c_proj\.", r"\1.mlp.fc2."),
    (r"^visual\.class_embedding$", "vision_model.embeddings.class_embedding"),
    (r"^visual\.conv1\.", "vision_model.embeddings.patch_embedding."),
    (r"^visual\.positional_embedding$", "vision_model.embeddings.position_embedding.weight"),
    (r"^visual\.ln_pre\.", "vision_model.pre_layrnorm."),
)


@WEIGHTS.register("clip_hub")
class ClipHubImporter(Importer):
    """Keys `vision_model.*`, beside those of the text tower or alone; what ClipImporter leaves out is `idle` here too."""

    @staticmethod
    def recognise(shapes: Shapes) -> bool:
        """An image tower with a norm before its layers, which is spelt as only CLIP's is."""
        own = ("pre_layrnorm.weight", "embeddings.patch_embedding.weight")
        return all(f"vision_model.{key}" in shapes for key in own)

    @staticmethod
    def to_ours(state: State, model: VideoModel) -> State:
        """By way of OpenAI's names; queries, keys and values become one projection."""
        tower = {key: x for key, x in state.items() if key.startswith("vision_model.")}
        others = {key: x for key, x in state.items() if key not in tower}
        clip = rename(join(tower, _PARTS, "in_proj"), _TO_CLIP)
        return ClipImporter.to_ours(clip, model) | others

    @staticmethod
    def to_theirs(state: State, model: VideoModel) -> State:
        """The image tower. Raises CheckpointError as ClipImporter does."""
        hub = rename(ClipImporter.to_theirs(state, model), _TO_HUB)
        return split(hub, _PARTS, "in_proj")

    idle = staticmethod(ClipImporter.idle)
    resize = staticmethod(ClipImporter.resize)
