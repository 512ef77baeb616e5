"""V-JEPA 2 checkpoints in the layout of the transformers library: encoder, probe, and a predictor without effect here."""

from slowfast_ext.models.build import VideoModel
from slowfast_ext.models.weights.base import WEIGHTS, Importer, Shapes, State, rename
from slowfast_ext.models.weights.hub import towards_ours, towards_theirs
from slowfast_ext.models.weights.qkv import join, split
from slowfast_ext.models.weights.vit import vit_of

_OUTSIDE = (
    ("vjepa2.encoder.embeddings.patch_embeddings.", "backbone.patch_embed."),
    ("vjepa2.encoder.layernorm.", "backbone.norm."),
    ("vjepa2.encoder.layer.", "backbone.blocks."),
    ("pooler.query_tokens", "backbone.pool.query"),
    ("pooler.self_attention_layers.", "backbone.pool.blocks."),
    ("pooler.cross_attention_layer.cross_attn.q_proj.", "backbone.pool.q."),
    ("pooler.cross_attention_layer.cross_attn.k_proj.", "backbone.pool.k."),
    ("pooler.cross_attention_layer.cross_attn.v_proj.", "backbone.pool.v."),
    ("pooler.cross_attention_layer.layer_norm", "backbone.pool.norm"),
    ("pooler.cross_attention_layer.mlp.", "backbone.pool.mlp."),
    ("classifier.", "head."),
)
_ENCODER = ((".attention.", ".attn."),)
_PROBE = (
    (".self_attn.out_proj.", ".attn.proj."),
    (".self_attn.", ".attn."),
    (".layer_norm", ".norm"),
)
_PROJECTIONS = ("q_proj", "k_proj", "v_proj")
_BLOCKS = ("backbone.blocks.", "backbone.pool.blocks.")


@WEIGHTS.register("vjepa2_hub")
class VJepa2Hub(Importer):
    """Keys `vjepa2.encoder`, `vjepa2.predictor`, `pooler`, `classifier`."""

    @staticmethod
    def recognise(shapes: Shapes) -> bool:
        """An encoder of this family."""
        return "vjepa2.encoder.embeddings.patch_embeddings.proj.weight" in shapes

    @staticmethod
    def to_ours(state: State, model: VideoModel) -> State:
        """One projection of queries, keys and values; of keys and values where the probe reads the tokens."""
        vit_of(model)
        encoder, probe, rest = _parts(rename(state, towards_ours(_OUTSIDE, anchored=True)))
        encoder = join(rename(encoder, towards_ours(_ENCODER)))
        probe = join(rename(probe, towards_ours(_PROBE)), _PROJECTIONS)
        return encoder | probe | join(rest, ("k", "v"), "kv")

    @staticmethod
    def to_theirs(state: State, model: VideoModel) -> State:
        """The inverse, without the predictor."""
        encoder, probe, rest = _parts(state)
        encoder = rename(split(encoder), towards_theirs(_ENCODER))
        probe = rename(split(probe, _PROJECTIONS), towards_theirs(_PROBE))
        whole = encoder | probe | split(rest, ("k", "v"), "kv")
        return rename(whole, towards_theirs(_OUTSIDE, anchored=True))

    @staticmethod
    def idle(name: str, model: VideoModel) -> bool:
        """See the module's docstring."""
        return name.startswith("vjepa2.predictor.")


def _parts(state: State) -> tuple[State, State, State]:
    """The blocks of the encoder, those of the probe, and the rest."""
    blocks = [{k: x for k, x in state.items() if k.startswith(part)} for part in _BLOCKS]
    rest = {key: x for key, x in state.items() if not key.startswith(_BLOCKS)}
    return blocks[0], blocks[1], rest
