"""One attention layer and one clip of tokens: what the measurements of layers share.

Shapes: B batch, N tokens, C channels.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from slowfast_ext.analysis.cost import count_macs, saved_for_backward
from slowfast_ext.engine.precision import wait
from slowfast_ext.models.attention import AttentionOptions, AttentionSpec, Grid, build_attention
from slowfast_ext.models.attention.grouped import Grouped


@dataclass(frozen=True)
class Variant:
    """An attention layer by its name in the registry, or `divided`, and its options."""

    name: str
    layer: str
    attention: AttentionOptions = AttentionOptions()


@dataclass(frozen=True)
class LayerCost:
    """Of one batch. `saved_mib`: for the backward pass, parameters aside; `peak_mib`: above an idle process."""

    tokens: int
    gmacs: float
    forward_s: float
    training_s: float
    saved_mib: float
    peak_mib: float = float("nan")


class DividedSteps(nn.Module):
    """The two attention layers of a divided block, each with its residual."""

    def __init__(self, spec: AttentionSpec) -> None:
        super().__init__()
        self.time, self.space = Grouped(spec, over_time=True), Grouped(spec, over_time=False)

    def forward(self, x_BNC: Tensor, grid: Grid) -> Tensor:
        """[B, N, C] -> [B, N, C]."""
        x_BNC = x_BNC + self.time(x_BNC, grid)
        return x_BNC + self.space(x_BNC, grid)


def build_layer(variant: Variant, spec: AttentionSpec) -> nn.Module:
    """The layer of a variant."""
    spec = replace(spec, attention=variant.attention)
    return (
        DividedSteps(spec) if variant.layer == "divided" else build_attention(variant.layer, spec)
    )


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


def example_tokens(spec: AttentionSpec, batch: int, device: torch.device) -> Tensor:
    """Random tokens [B, N, C] that want a gradient."""
    return torch.randn(batch, spec.grid.tokens, spec.dim, device=device, requires_grad=True)


def this_device() -> torch.device:
    """The GPU there is, or the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Of one call: CPU seconds on a CPU, so that other work on the machine counts less; on a GPU those on the clock."""
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    wait(device)
    started = clock()
    work()
    wait(device)
    return clock() - started


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
