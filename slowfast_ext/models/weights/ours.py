"""Checkpoints that are written here, those with the parameter names of version 0.1 among them."""

from slowfast_ext.models.build import VideoModel
from slowfast_ext.models.weights.base import WEIGHTS, Importer, Shapes, State, rename
from slowfast_ext.models.weights.vit import resize_positions

_BLOCK = r"(blocks\.\d+|stages\.\d+\.\d+\.block)"
_STAGE = r"(stages\.\d+\.\d+)"

_SINCE_0_1 = (
    (r"\.embed\.tubelets\.", ".patch_embed.proj."),
    (r"\.embed\.(cls_token|pos_embed)$", r".\1"),
    (r"\.embed\.time_embed$", ".temp_embed"),
    (r"\.embeds\.(\d)\.", r".patch_embeds.\1."),
    (rf"{_STAGE}\.pos\.", r"\1.pos_embed."),
    (rf"{_STAGE}\.mix\.", r"\1.attn."),
    (rf"{_STAGE}\.(fc1|fc2)\.", r"\1.mlp.\2."),
    (rf"{_BLOCK}\.attn\.(space_)?norm\.", r"\1.norm1."),
    (rf"{_BLOCK}\.attn\.(layer|space)\.", r"\1.attn."),
    (rf"{_BLOCK}\.attn\.time_norm\.", r"\1.temporal_norm1."),
    (rf"{_BLOCK}\.attn\.time\.", r"\1.temporal_attn."),
    (rf"{_BLOCK}\.attn\.scale\.", r"\1.ls1."),
    (rf"{_BLOCK}\.mlp\.norm\.", r"\1.norm2."),
    (rf"{_BLOCK}\.mlp\.layer\.", r"\1.mlp."),
    (rf"{_BLOCK}\.mlp\.scale\.", r"\1.ls2."),
)
_ONE_HEAD = ((r"^head\.classifiers\.0\.", "head."),)
_TWO_HEADS = (
    (r"^head\.classifiers\.0\.", "head.verb."),
    (r"^head\.classifiers\.1\.", "head.noun."),
)


def current_names(state: State) -> State:
    """A state of ours with today's parameter names, whichever version wrote it."""
    two = any(key.startswith("head.classifiers.1.") for key in state)
    return rename(state, (*_SINCE_0_1, *(_TWO_HEADS if two else _ONE_HEAD)))


@WEIGHTS.register("ours")
class Ours(Importer):
    """All keys lie below the backbone or the head."""

    @staticmethod
    def recognise(shapes: Shapes) -> bool:
        """Whether there are keys of both, no others, and none that only other families have below `backbone.`."""
        return {key.partition(".")[0] for key in shapes} == {"backbone", "head"} and not any(
            key.startswith("backbone.transformer.") or key.endswith(".attn.q_bias")
            for key in shapes
        )

    @staticmethod
    def to_ours(state: State, model: VideoModel) -> State:
        """Today's names."""
        return current_names(state)

    @staticmethod
    def to_theirs(state: State, model: VideoModel) -> State:
        """The state itself."""
        return dict(state)

    resize = staticmethod(resize_positions)
