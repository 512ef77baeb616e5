"""One attention layer and one clip of tokens: what the measurements of layers share.

Shapes: B batch, N tokens, C channels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from slowfast_ext.analysis.cost import count_macs, saved_for_backward
from slowfast_ext.config.schema import get_cfg, set_dotted
from slowfast_ext.models.attention import Grid, LayerSpec, build_attention


@dataclass(frozen=True)
class Variant:
    """A pattern and the ATTENTION keys that differ from their defaults."""

    name: str
    pattern: str
    keys: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LayerCost:
    """Of one batch. `saved_mib`: for the backward pass, parameters aside; `peak_mib`: above an idle process."""

    tokens: int
    gmacs: float
    forward_s: float
    training_s: float
    saved_mib: float
    peak_mib: float = float("nan")


def build_layer(variant: Variant, spec: LayerSpec) -> nn.Module:
    """The layer of a variant."""
    cfg = get_cfg().ATTENTION
    for key, value in variant.keys.items():
        set_dotted(cfg, key, value)
    return build_attention(variant.pattern, spec, cfg)


class OnGrid(nn.Module):
    """A layer as a function of the tokens alone."""

    def __init__(self, layer: nn.Module, grid: Grid) -> None:
        super().__init__()
        self.layer, self.grid = layer, grid

    def forward(self, x_BNC: Tensor) -> Tensor:
        """[B, N, C] -> [B, N, C]."""
        return self.layer(x_BNC, self.grid)

    def infer(self, x_BNC: Tensor) -> None:
        """Forward only."""
        with torch.no_grad():
            self(x_BNC)

    def train_on(self, x_BNC: Tensor) -> None:
        """Forward and backward."""
        self(x_BNC).sum().backward()

    def cost(self, x_BNC: Tensor, forward_s: float, training_s: float) -> LayerCost:
        """The measured times, beside what can be counted. Leaves the layer in evaluation."""
        tokens = x_BNC.shape[1]
        saved = saved_for_backward(self, x_BNC)
        macs = count_macs(self.eval(), x_BNC.detach())[""]
        return LayerCost(tokens, macs / 1e9, forward_s, training_s, saved / 2**20)


def example_tokens(spec: LayerSpec, batch: int, device: torch.device) -> Tensor:
    """Random tokens [B, N, C] that want a gradient."""
    return torch.randn(batch, spec.grid.tokens, spec.dim, device=device, requires_grad=True)


def this_device() -> torch.device:
    """The GPU there is, or the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def draw_over_tokens(
    found: Mapping[str, Sequence[LayerCost]], panels: Mapping[str, str], path: Path
) -> None:
    """Curves of the fields named in `panels` (field -> label) over tokens, all axes logarithmic."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter

    figure = Figure(figsize=(5 * len(panels) + 2, 4.5), layout="constrained")
    ticks = sorted({row.tokens for rows in found.values() for row in rows})
    for axes, (what, label) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
        for name, rows in found.items():
            axes.plot([r.tokens for r in rows], [getattr(r, what) for r in rows], "o-", label=name)
        axes.set(xscale="log", yscale="log", xlabel="tokens", ylabel=label)
        axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks], fontsize=8)
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.grid(alpha=0.3)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right center", fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)
