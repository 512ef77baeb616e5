"""V-JEPA 2 checkpoints: an encoder with rotary positions, and the attentive probe that reads it.

The authors have a file for each; here they are one state with the prefixes `encoder.` and `classifiers.0.`, or one of
them alone.
"""

import re

from slowfast_ext.models.build import VideoModel
from slowfast_ext.models.weights.base import WEIGHTS, Importer, Shapes, State, rename
from slowfast_ext.models.weights.vit import vit_of

_WRAPPED = r"^((target_)?encoder\.)?(module\.)?(backbone\.)?"
_PROBE = r"^(classifiers\.0\.)?(module\.)?"
_TO_OURS = (
    (rf"{_PROBE}linear\.", "head."),
    (rf"{_PROBE}pooler\.query_tokens$", "backbone.pool.query"),
    (rf"{_PROBE}pooler\.cross_attention_block\.(xattn\.)?", "backbone.pool."),
    (rf"{_PROBE}pooler\.blocks\.", "backbone.pool.blocks."),
    (rf"{_WRAPPED}(patch_embed|blocks|norm)\.", r"backbone.\5."),
)
_TO_THEIRS = (
    (r"^head\.", "classifiers.0.module.linear."),
    (r"^backbone\.pool\.query$", "classifiers.0.module.pooler.query_tokens"),
    (r"^backbone\.pool\.blocks\.", "classifiers.0.module.pooler.blocks."),
    (r"^backbone\.pool\.(q|kv)\.", r"classifiers.0.module.pooler.cross_attention_block.xattn.\1."),
    (r"^backbone\.pool\.", "classifiers.0.module.pooler.cross_attention_block."),
    (r"^backbone\.", "encoder.module.backbone."),
)


@WEIGHTS.register("vjepa2")
class VJepa2Importer(Importer):
    """Keys `patch_embed`, `blocks`, `norm` of the encoder and `pooler`, `linear` of the probe, below several prefixes."""

    @staticmethod
    def recognise(shapes: Shapes) -> bool:
        """A probe, or tubelets without table, class token and classifier, and with a bias of the keys."""
        if any(re.search(rf"{_PROBE}pooler\.cross_attention_block\.", key) for key in shapes):
            return True
        bare = {re.sub(_WRAPPED, "", key): shape for key, shape in shapes.items()}
        others = ("cls_token", "pos_embed", "head.", "fc_norm.")
        return (
            len(bare.get("patch_embed.proj.weight", ())) == 5
            and {"blocks.0.attn.qkv.bias", "norm.weight"} <= bare.keys()
            and not any(key.startswith(others) for key in bare)
        )

    @staticmethod
    def to_ours(state: State, model: VideoModel) -> State:
        """Only names differ."""
        vit_of(model)
        return rename(state, _TO_OURS)

    @staticmethod
    def to_theirs(state: State, model: VideoModel) -> State:
        """The inverse, as one state."""
        return rename(state, _TO_THEIRS)
