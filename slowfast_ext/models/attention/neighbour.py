"""Neighbourhood association: keys and values take channels from the tokens next to them (paper of feature
fixation, Sec. 4.3).

The appendix with its details is not public; the fractions are those of TSM (a quarter of the channels each
for time and for space). Channels are counted over the concatenated heads.
Shapes: B batch, N tokens, C channels, h heads, D head dim.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor, nn
from yacs.config import CfgNode

from slowfast_ext.config import Problem
from slowfast_ext.models.attention.grid import Grid, LayerSpec
from slowfast_ext.models.attention.shift import spatial_shift, temporal_shift
from slowfast_ext.options import Options, option, section


@section("ATTENTION.NEIGHBOUR", "Neighbourhood association, for any pattern and kernel")
@dataclass(frozen=True)
class NeighbourOptions(Options):
    """Neighbourhood association, for any pattern and kernel: the section ATTENTION.NEIGHBOUR."""

    temporal: bool = option(False, "take channels from the next and the previous frame")
    spatial: bool = option(False, "take channels from the four neighbours in the frame")
    temporal_fraction: float = option(
        0.125,
        "share of the channels from each frame; those of space come after them",
        low=0,
        high=0.5,
    )
    spatial_fraction: float = option(
        0.0625, "share of the channels from each spatial neighbour", low=0, high=0.25
    )
    order: str = option(
        "before", "association before or after the feature fixation", choices=("before", "after")
    )


class Neighbour(nn.Module):
    """Temporal, then spatial channel shift of keys and values. Cost: no multiply-add."""

    def __init__(self, spec: LayerSpec, cfg: CfgNode) -> None:
        """`cfg` is the node ATTENTION.NEIGHBOUR."""
        super().__init__()
        self.temporal, self.spatial = cfg.TEMPORAL, cfg.SPATIAL
        self.before_fixation = cfg.ORDER == "before"
        self.temporal_fold = int(spec.dim * cfg.TEMPORAL_FRACTION)
        self.spatial_fold = int(spec.dim * cfg.SPATIAL_FRACTION)

    @staticmethod
    def check(cfg: CfgNode) -> Iterable[Problem]:
        """Fractions of the whole `cfg` that add up to more channels than there are."""
        node = cfg.ATTENTION.NEIGHBOUR
        if 2 * node.TEMPORAL_FRACTION + 4 * node.SPATIAL_FRACTION > 1:
            message = f"2 * {node.TEMPORAL_FRACTION} of the channels and 4 * {node.SPATIAL_FRACTION} are more than all"
            remedy = "lower ATTENTION.NEIGHBOUR.TEMPORAL_FRACTION or SPATIAL_FRACTION"
            yield Problem("ATTENTION.NEIGHBOUR.TEMPORAL_FRACTION", message, remedy)

    def forward(self, k_BhND: Tensor, v_BhND: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
        """Keys and values with shifted channels, [B, h, N, D] each."""
        if not (self.temporal or self.spatial):
            return k_BhND, v_BhND
        return self._associate(k_BhND, grid), self._associate(v_BhND, grid)

    def _associate(self, x_BhND: Tensor, grid: Grid) -> Tensor:
        x_BNC = x_BhND.transpose(1, 2).flatten(2)
        if self.temporal:
            x_BNC = temporal_shift(x_BNC, grid, self.temporal_fold)
        if self.spatial:
            x_BNC = spatial_shift(x_BNC, grid, self.spatial_fold, start=2 * self.temporal_fold)
        return x_BNC.unflatten(2, (x_BhND.shape[1], -1)).transpose(1, 2)
