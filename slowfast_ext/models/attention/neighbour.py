"""Neighbourhood association: keys and values take channels from the tokens next to them (paper of feature
fixation, Sec. 4.3).

The appendix with its details is not public; the fractions are those of TSM (a quarter of the channels each
for time and for space). Channels are counted over the concatenated heads.
Shapes: B batch, N tokens, C channels, h heads, D head dim.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from slowfast_ext.models.attention.grid import Grid
from slowfast_ext.models.attention.shift import over_heads, spatial_shift, temporal_shift
from slowfast_ext.options import Options, option, section


@section("ATTENTION.NEIGHBOUR", "Neighbourhood association, for any pattern and kernel")
@dataclass(frozen=True)
class NeighbourOptions(Options):
    """Which neighbours, and how many channels of each."""

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

    def check(self) -> None:
        """The fractions must not add up to more channels than there are."""
        if 2 * self.temporal_fraction + 4 * self.spatial_fraction > 1:
            raise self.error(
                "temporal_fraction",
                f"2 * {self.temporal_fraction} of the channels and 4 * {self.spatial_fraction} are more than all",
                "lower ATTENTION.NEIGHBOUR.TEMPORAL_FRACTION or SPATIAL_FRACTION",
            )


class Neighbour(nn.Module):
    """Temporal, then spatial channel shift of keys and values. Cost: no multiply-add."""

    def __init__(self, dim: int, options: NeighbourOptions) -> None:
        """`dim` channels over all heads."""
        super().__init__()
        self.temporal, self.spatial = options.temporal, options.spatial
        self.before_fixation = options.order == "before"
        self.temporal_fold = int(dim * options.temporal_fraction)
        self.spatial_fold = int(dim * options.spatial_fraction)

    def forward(
        self, q_BhND: Tensor, k_BhND: Tensor, v_BhND: Tensor, grid: Grid
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries as they are, keys and values with shifted channels, [B, h, N, D] each."""
        return q_BhND, self._associate(k_BhND, grid), self._associate(v_BhND, grid)

    def _associate(self, x_BhND: Tensor, grid: Grid) -> Tensor:
        def shift(x_BNC: Tensor) -> Tensor:
            if self.temporal:
                x_BNC = temporal_shift(x_BNC, grid, self.temporal_fold)
            if self.spatial:
                # The channels behind those of time.
                x_BNC = spatial_shift(x_BNC, grid, self.spatial_fold, start=2 * self.temporal_fold)
            return x_BNC

        return over_heads(shift, x_BhND)
