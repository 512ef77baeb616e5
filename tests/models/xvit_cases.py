"""XViT for the tests: the models of the golden cases, and the published one."""

from model_cases import with_head

from slowfast_ext.models.attention import AttentionOptions
from slowfast_ext.models.attention.xvit_mixing import MixingOptions
from slowfast_ext.models.backbones import BackboneSpec
from slowfast_ext.models.backbones.vit import VitOptions
from slowfast_ext.models.backbones.xvit import XViT, XvitOptions

PUBLISHED = (VitOptions(patch_size=(1, 16, 16)), XvitOptions(time_rows=8))
PUBLISHED_SPEC = BackboneSpec(
    attention=AttentionOptions(cycle=("mixing",), parts=(MixingOptions(num_segments=8),))
)
"""XViT-B/16 as released: 16 frames of 224 px in two groups of 8."""


def golden_model(case):
    """Our model for a golden case's configuration."""
    xvit, head = case["XVIT"], case["TEMPORAL_HEAD"]
    vit = VitOptions(
        patch_size=(1, case["patch"], case["patch"]),
        embed_dim=case["dim"],
        depth=case["depth"],
        num_heads=case["heads"],
        mlp_ratio=float(case["mlp_ratio"]),
    )
    options = XvitOptions(
        time_rows=xvit["temp_embed_frames"],
        consensus=xvit["CONSENSUS_TYPE"],
        consensus_depth=head["NUM_HIDDEN_LAYERS"],
        consensus_heads=head["NUM_ATTENTION_HEADS"],
        consensus_dim=head["MLP_DIM"],
    )
    mixing = MixingOptions(shift_div=xvit["SHIFT_DIV"], num_segments=xvit["NUM_SEGMENTS"])
    name = "mixing" if xvit["USE_XVIT"] else "space"
    attention = AttentionOptions(cycle=(name,), parts=(mixing,))
    spec = BackboneSpec(case["frames"], case["H"], attention)
    return with_head(XViT(spec, vit, options), case["classes"])
