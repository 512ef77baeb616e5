"""Space-time mixing of XViT: attention within a frame, over keys and values that hold channels of both
neighbouring frames (Sec. 3.3)."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from yacs.config import CfgNode

from slowfast_ext.models.attention.base import ATTENTION, Grid, LayerSpec
from slowfast_ext.models.attention.factorized import Space
from slowfast_ext.models.attention.shift import temporal_shift
from slowfast_ext.options import Options, option, section


@section("ATTENTION.MIXING", "The mixing pattern: XViT's temporal shift of keys and values")
@dataclass(frozen=True)
class MixingOptions(Options):
    """The mixing pattern: XViT's temporal shift of keys and values: the section ATTENTION.MIXING."""

    shift_div: int = option(
        8, "1/SHIFT_DIV of the channels comes from the next frame, as many from the previous", low=2
    )
    num_segments: int = option(
        0,
        "frames of a group that exchange channels (XViT on Kinetics: 8 of 16); 0: the whole clip",
        unit="frames",
        low=0,
    )


@ATTENTION.register("mixing")
class Mixing(Space):
    """Attention in space alone, with a temporal shift of keys and values. Cost: that of Space."""

    def __init__(self, spec: LayerSpec, cfg: CfgNode) -> None:
        super().__init__(spec, cfg)
        self.fold = spec.dim // cfg.MIXING.SHIFT_DIV
        self.group = cfg.MIXING.NUM_SEGMENTS

    def mix(
        self, q: Tensor, k: Tensor, v: Tensor, grid: Grid, activate: Callable[[Tensor], Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The shift, then what every attention does."""
        return super().mix(q, self._shift(k, grid), self._shift(v, grid), grid, activate)

    def _shift(self, x_BhND: Tensor, grid: Grid) -> Tensor:
        x_BNC = x_BhND.transpose(1, 2).flatten(2)
        x_BNC = temporal_shift(x_BNC, grid, self.fold, self.group)
        return x_BNC.unflatten(2, (x_BhND.shape[1], -1)).transpose(1, 2)
