"""VideoMAE and VideoMAE V2 checkpoints: finetuned classifiers, and pre-training files with their decoder.

Positions are no part of the files (VIT.POS_EMBED sincos), the mean token is normalised (VIT.POOL mean_norm). Of a
pre-training file the decoder is without effect in a classifier, and so is the norm of its encoder unless VIT.POOL is mean;
a masked autoencoder takes all of it.
"""

from slowfast_ext.models.build import VideoModel
from slowfast_ext.models.masked import MaskedAutoencoder
from slowfast_ext.models.weights.base import KINETICS, WEIGHTS, Importer, Shapes, State, rename
from slowfast_ext.models.weights.qkv import join_biases, split_biases
from slowfast_ext.models.weights.vit import resize_positions, vit_of

PRETRAINING = ("decoder.", "encoder_to_decoder.", "mask_token")

_TO_OURS = (
    (r"^(encoder|backbone)\.", ""),
    (r"\.gamma_([12])$", r".ls\1.gamma"),
    (r"^(pos_embed|patch_embed|blocks|norm|fc_norm)\b", r"backbone.\1"),
)
_TO_THEIRS = ((r"^backbone\.", ""), (r"\.ls([12])\.gamma$", r".gamma_\1"))
_BEFORE_FINETUNING = ((r"^backbone\.", "encoder."), (r"^head\.", ""), *_TO_THEIRS[1:])


@WEIGHTS.register("videomae")
class VideoMaeImporter(Importer):
    """Keys `patch_embed`, `blocks` with `q_bias` and `v_bias`, `fc_norm`, `head`; `encoder.`, `decoder.` before finetuning."""

    orders = KINETICS

    @staticmethod
    def recognise(shapes: Shapes) -> bool:
        """Tubelets, and biases of queries and values that are parameters of their own."""
        return any(
            f"{part}blocks.0.attn.q_bias" in shapes
            and len(shapes.get(f"{part}patch_embed.proj.weight", ())) == 5
            for part in ("", "encoder.", "backbone.")
        )

    @staticmethod
    def to_ours(state: State, model: VideoModel) -> State:
        """One bias of queries, keys and values; that of the keys is zero. The decoder keeps its names in a classifier."""
        vit_of(model)
        decoder = {key: x for key, x in state.items() if key.startswith(PRETRAINING)}
        used = join_biases(
            rename({key: x for key, x in state.items() if key not in decoder}, _TO_OURS)
        )
        if isinstance(model, MaskedAutoencoder):
            return used | join_biases({f"head.{key}": x for key, x in decoder.items()})
        return used | decoder

    @staticmethod
    def to_theirs(state: State, model: VideoModel) -> State:
        """The inverse, as finetuned classifiers are stored, or a masked autoencoder."""
        before = isinstance(model, MaskedAutoencoder)
        return rename(split_biases(state), _BEFORE_FINETUNING if before else _TO_THEIRS)

    @staticmethod
    def idle(name: str, model: VideoModel) -> bool:
        """See the module's docstring."""
        return name.startswith((*PRETRAINING, "backbone.norm."))

    resize = staticmethod(resize_positions)
