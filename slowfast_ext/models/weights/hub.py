"""Checkpoints in the layout of the transformers library: VideoMAE, TimeSformer, ViViT.

Of VideoMAE before finetuning the decoder is without effect here; of a bare ViViT its pooler.
"""

import re
from collections.abc import Iterable

from slowfast_ext.models.build import VideoModel
from slowfast_ext.models.weights.base import KINETICS_400, WEIGHTS, Importer, Shapes, State, rename
from slowfast_ext.models.weights.qkv import join, join_biases, split, split_biases
from slowfast_ext.models.weights.videomae import PRETRAINING
from slowfast_ext.models.weights.vit import KERNEL, resize_positions, vit_of, with_time_axis

_OUTSIDE = (
    ("{}.embeddings.patch_embeddings.projection.", "backbone.patch_embed.proj."),
    ("{}.embeddings.cls_token", "backbone.cls_token"),
    ("{}.embeddings.position_embeddings", "backbone.pos_embed"),
    ("{}.embeddings.time_embeddings", "backbone.temp_embed"),
    ("{}.encoder.layer.", "backbone.blocks."),
    ("{}.layernorm.", "backbone.norm."),
    ("fc_norm.", "backbone.fc_norm."),
    ("classifier.", "head."),
)
_INSIDE = (
    (".temporal_attention.output.dense.", ".temporal_attn.proj."),
    (".temporal_attention.attention.", ".temporal_attn."),
    (".temporal_layernorm.", ".temporal_norm1."),
    (".temporal_dense.", ".temporal_fc."),
    (".attention.output.dense.", ".attn.proj."),
    (".attention.attention.", ".attn."),
    (".layernorm_before.", ".norm1."),
    (".layernorm_after.", ".norm2."),
    (".intermediate.dense.", ".mlp.fc1."),
    (".output.dense.", ".mlp.fc2."),
)
"""What stands where in a key, theirs and ours; each may follow only those above it."""

Pairs = Iterable[tuple[str, str]]


def towards_ours(pairs: Pairs, anchored: bool = False) -> list[tuple[str, str]]:
    """Rules that put our part of a key in the place of theirs; `anchored`: at its beginning."""
    return [("^" * anchored + re.escape(theirs), ours) for theirs, ours in pairs]


def towards_theirs(pairs: Pairs, anchored: bool = False) -> list[tuple[str, str]]:
    """The inverse rules."""
    return towards_ours([(ours, theirs) for theirs, ours in pairs], anchored)


class HubImporter(Importer):
    """What the layouts share: `family` is the first word of the keys."""

    family: str
    orders = KINETICS_400

    @classmethod
    def recognise(cls, shapes: Shapes) -> bool:
        """An embedding of this family."""
        return f"{cls.family}.embeddings.patch_embeddings.projection.weight" in shapes

    @classmethod
    def to_ours(cls, state: State, model: VideoModel) -> State:
        """One projection of queries, keys and values."""
        vit_of(model)
        idle = {key: x for key, x in state.items() if key.startswith(PRETRAINING)}
        used = {key: x for key, x in state.items() if key not in idle}
        rules = towards_ours(cls._outside(), anchored=True) + towards_ours(_INSIDE)
        ours = rename(used, rules)
        return with_time_axis(join_biases(join(ours))) | idle

    @classmethod
    def to_theirs(cls, state: State, model: VideoModel) -> State:
        """The inverse."""
        return cls._rename(split(state))

    @classmethod
    def idle(cls, name: str, model: VideoModel) -> bool:
        """See the module's docstring."""
        pooler = f"{cls.family}.pooler."
        return name.startswith((*PRETRAINING, pooler, "backbone.norm."))

    @classmethod
    def _outside(cls) -> list[tuple[str, str]]:
        return [(theirs.format(cls.family), ours) for theirs, ours in _OUTSIDE]

    @classmethod
    def _rename(cls, state: State) -> State:
        rules = towards_theirs(_INSIDE) + towards_theirs(cls._outside(), anchored=True)
        return rename(state, rules)

    resize = staticmethod(resize_positions)


@WEIGHTS.register("videomae_hub")
class VideoMaeHub(HubImporter):
    """Keys `videomae.`, `fc_norm`, `classifier`; no bias of the keys."""

    family = "videomae"

    @classmethod
    def to_theirs(cls, state: State, model: VideoModel) -> State:
        """The inverse."""
        return super().to_theirs(split_biases(state), model)


@WEIGHTS.register("timesformer_hub")
class TimeSformerHub(HubImporter):
    """Keys `timesformer.`, `classifier`; one projection of queries, keys and values."""

    family = "timesformer"

    @classmethod
    def to_theirs(cls, state: State, model: VideoModel) -> State:
        """The inverse, for tubelets of one frame."""
        images = state | {KERNEL: state[KERNEL].squeeze(2)}
        return cls._rename(images)


@WEIGHTS.register("vivit_hub")
class ViViTHub(HubImporter):
    """Keys `vivit.`, `classifier`: joint attention, a joint table, the tanh form of GELU (VIT.ACTIVATION gelu_tanh)."""

    family = "vivit"
