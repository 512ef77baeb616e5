"""Space-time mixing of XViT: attention within a frame, over keys and values that hold channels of both
neighbouring frames (Sec. 3.3)."""

from dataclasses import dataclass

from torch import Tensor

from slowfast_ext.models.attention.base import ATTENTION, AttentionSpec, Grid
from slowfast_ext.models.attention.shift import over_heads, temporal_shift
from slowfast_ext.models.attention.space import Space
from slowfast_ext.options import Options, option, section


@section("ATTENTION.MIXING", "The mixing pattern: XViT's temporal shift of keys and values")
@dataclass(frozen=True)
class MixingOptions(Options):
    """How many channels come from the neighbouring frames."""

    shift_div: int = option(
        8, "1/SHIFT_DIV of the channels comes from the next frame, as many from the previous", low=2
    )
    num_segments: int = option(
        0,
        "frames of a group that exchange channels (XViT on Kinetics: 8 of 16); 0: the whole clip",
        unit="frames",
        low=0,
    )


@ATTENTION.register("mixing", MixingOptions)
class Mixing(Space):
    """Attention in space alone; a temporal shift of keys and values comes first. Cost: that of Space."""

    def __init__(self, spec: AttentionSpec, options: MixingOptions = MixingOptions()) -> None:
        super().__init__(spec)
        self.fold = spec.dim // options.shift_div
        self.group = options.num_segments
        self.qkv_steps.insert(0, self._shift_keys_and_values)

    def _shift_keys_and_values(
        self, q: Tensor, k: Tensor, v: Tensor, grid: Grid
    ) -> tuple[Tensor, Tensor, Tensor]:
        def shift(x_BNC: Tensor) -> Tensor:
            return temporal_shift(x_BNC, grid, self.fold, self.group)

        # As a view the queries would keep the whole projection for the backward pass.
        return q.clone(), over_heads(shift, k), over_heads(shift, v)
