"""An attention layer with options of its own: each token meets the tokens of its row of the frame."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from slowfast_ext.models.attention import ATTENTION, Attention, AttentionSpec, Grid
from slowfast_ext.options import Options, option, section


@section("ATTENTION.ROWS", "The variant `rows`")
@dataclass(frozen=True)
class RowOptions(Options):
    """How sharp the attention is."""

    temperature: float = option(1.0, "divides the scores", low=0.01)


@ATTENTION.register("rows", RowOptions)
class Rows(Attention):
    """Prefix tokens pass their values on. Cost: 4*N*C^2 + 2*N*W*C multiply-adds."""

    def __init__(self, spec: AttentionSpec, options: RowOptions = RowOptions()) -> None:
        super().__init__(spec)
        self.scale = spec.head_dim**-0.5 / options.temperature

    def forward(self, x_BNC: Tensor, grid: Grid) -> Tensor:
        """[B, N, C] -> [B, N, C]."""
        q, k, v = self.apply_steps(*self.split_heads(x_BNC), grid)
        rows = (x[:, :, grid.prefix :].unflatten(2, (grid.t * grid.h, grid.w)) for x in (q, k, v))
        y = v.clone()
        y[:, :, grid.prefix :] = scaled_dot_product_attention(*rows, scale=self.scale).flatten(2, 3)
        return self.merge_heads(y)
