"""TimeSformer checkpoints: divided space-time attention (ATTENTION.CYCLE [timesformer])."""

from slowfast_ext.models.build import VideoModel
from slowfast_ext.models.weights.base import KINETICS_400, WEIGHTS, Importer, Shapes, State, rename
from slowfast_ext.models.weights.vit import KERNEL, resize_positions, vit_of, with_time_axis

_TO_OURS = (
    (r"^model\.", ""),
    (r"^time_embed$", "temp_embed"),
    (r"^(cls_token|pos_embed|temp_embed|patch_embed|blocks|norm)\b", r"backbone.\1"),
)
_TO_THEIRS = ((r"^backbone\.", ""), (r"^temp_embed$", "time_embed"), (r"^", "model."))


@WEIGHTS.register("timesformer")
class TimeSformerImporter(Importer):
    """Keys `model.` with `time_embed`, `blocks` with `temporal_attn` and `temporal_fc`, `norm`, `head`."""

    orders = KINETICS_400

    @staticmethod
    def recognise(shapes: Shapes) -> bool:
        """A table for time, and the linear layer after attention over time."""
        return any(
            f"{part}time_embed" in shapes and f"{part}blocks.0.temporal_fc.weight" in shapes
            for part in ("", "model.")
        )

    @staticmethod
    def to_ours(state: State, model: VideoModel) -> State:
        """The patch kernel gets a temporal axis."""
        vit_of(model)
        return with_time_axis(rename(state, _TO_OURS))

    @staticmethod
    def to_theirs(state: State, model: VideoModel) -> State:
        """The inverse, for tubelets of one frame."""
        return rename(state | {KERNEL: state[KERNEL].squeeze(2)}, _TO_THEIRS)

    resize = staticmethod(resize_positions)
