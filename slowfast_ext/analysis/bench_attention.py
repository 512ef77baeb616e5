"""One attention layer over a growing number of tokens: time, multiply-adds and memory, side by side.

Trajectory attention in its fast form and its plain one, with exact and approximate kernels; joint and divided
attention for comparison. All in one process, in turn, the least of several times: the ratios hold though
the machine has other work.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from slowfast_ext.analysis.cost import count_macs, kept_for_backward
from slowfast_ext.config.schema import get_cfg, set_dotted
from slowfast_ext.engine.device import wait
from slowfast_ext.models.attention import Grid, LayerSpec, build_attention

COLUMNS = ("tokens", "layer", "GMAC", "forward s", "forward+backward s", "faster", "kept MiB")


@dataclass(frozen=True)
class Variant:
    """A pattern and the ATTENTION keys that differ from their defaults."""

    name: str
    pattern: str = "trajectory"
    keys: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Figures:
    """Of one layer and one clip. `kept_mib`: for the backward pass, parameters aside."""

    tokens: int
    gmacs: float
    forward_s: float
    training_s: float
    kept_mib: float


def _trajectory(name: str, **keys: Any) -> Variant:
    return Variant(name, keys={key.replace("__", "."): value for key, value in keys.items()})


# The published code projects keys and values of all trajectory tokens, whether it uses the values or not:
# what it spends is what the plain form with projected values spends.
PUBLISHED = _trajectory("plain, as published", REFERENCE=True, TRAJECTORY__VALUES="projected")
FAST = _trajectory("fast")
VARIANTS = (  # the first is what the others are compared with
    PUBLISHED,
    _trajectory("plain, no unused values", REFERENCE=True),
    FAST,
    _trajectory("fast, projected values", TRAJECTORY__VALUES="projected"),
    _trajectory("orthoformer", KERNEL="orthoformer"),
    _trajectory("nystrom", KERNEL="nystrom"),
    _trajectory("performer", KERNEL="performer"),
    Variant("joint", "joint"),
    Variant("divided", "divided"),
)


def main(argv: Sequence[str]) -> int:
    """Prints a table, draws a picture. 0 if fast is twice as fast as published and keeps half as much."""
    parser = argparse.ArgumentParser(prog="bench.py attention", description=__doc__)
    parser.add_argument("--frames", type=int, default=8, help="token frames")
    parser.add_argument(
        "--sides", type=int, nargs="+", default=[7, 10, 14, 20], help="tokens along a frame's side"
    )
    parser.add_argument("--dim", type=int, default=768, help="channels")
    parser.add_argument("--heads", type=int, default=12)
    parser.add_argument("--batch", type=int, default=1, help="clips")
    parser.add_argument("--repeats", type=int, default=3, help="rounds; the least time counts")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--picture", type=Path, help="write the curves to this image file")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    found: dict[str, list[Figures]] = {variant.name: [] for variant in VARIANTS}
    table = Table(*COLUMNS, title=f"batch {args.batch}, {args.threads} threads, {_device()}")
    for side in args.sides:
        spec = LayerSpec(args.dim, args.heads, Grid(args.frames, side, side, prefix=1))
        rows = measure(spec, args.batch, args.repeats)
        for variant, figures in zip(VARIANTS, rows, strict=True):
            found[variant.name].append(figures)
            table.add_row(*_cells(variant, figures, rows[0]))
        table.add_section()
    Console(width=120).print(table)
    if args.picture:
        draw(found, args.picture)
    return 0 if reaches_targets(found) else 1


def measure(spec: LayerSpec, batch: int, repeats: int) -> list[Figures]:
    """Every variant, on the device there is."""
    torch.manual_seed(0)
    device = _device()
    layers = [build_layer(variant, spec).to(device) for variant in VARIANTS]
    x_BNC = torch.randn(batch, spec.grid.tokens, spec.dim, device=device, requires_grad=True)

    def forward(layer: nn.Module) -> None:
        with torch.no_grad():
            layer(x_BNC, spec.grid)

    def train(layer: nn.Module) -> None:
        layer(x_BNC, spec.grid).sum().backward()

    forward_s = least_seconds(forward, layers, device, repeats)
    training_s = least_seconds(train, layers, device, repeats)
    kept = (kept_for_backward(_OnGrid(layer, spec.grid), x_BNC) for layer in layers)
    macs = (count_macs(layer.eval(), x_BNC.detach(), spec.grid)[""] for layer in layers)
    return [
        Figures(spec.grid.tokens, mac / batch / 1e9, forward_s, training_s, kept / batch / 2**20)
        for mac, forward_s, training_s, kept in zip(macs, forward_s, training_s, kept, strict=True)
    ]


def least_seconds(
    work: Callable[[nn.Module], None], layers: list[nn.Module], device: torch.device, rounds: int
) -> list[float]:
    """The least time of each layer; in every round all have their turn, after one to warm up."""
    times: list[list[float]] = [[] for _ in layers]
    for _ in range(rounds + 1):
        for layer, own in zip(layers, times, strict=True):
            wait(device)
            started = time.perf_counter()
            work(layer)
            wait(device)
            own.append(time.perf_counter() - started)
    return [min(own[1:]) for own in times]


def build_layer(variant: Variant, spec: LayerSpec) -> nn.Module:
    """The layer of a variant."""
    cfg = get_cfg().ATTENTION
    for key, value in variant.keys.items():
        set_dotted(cfg, key, value)
    return build_attention(variant.pattern, spec, cfg)


def reaches_targets(found: dict[str, list[Figures]]) -> bool:
    """Whether the fast form is twice as fast as the published one, and keeps half, at the largest size."""
    published, fast = found[PUBLISHED.name][-1], found[FAST.name][-1]
    return 2 * fast.training_s <= published.training_s and 2 * fast.kept_mib <= published.kept_mib


def draw(found: dict[str, list[Figures]], path: Path) -> None:
    """Time and memory over tokens, both axes logarithmic."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    for axes, what, label in zip(
        figure.subplots(1, 2),
        ("training_s", "kept_mib"),
        ("forward + backward, s", "kept for the backward pass, MiB"),
        strict=True,
    ):
        for name, rows in found.items():
            axes.plot([r.tokens for r in rows], [getattr(r, what) for r in rows], "o-", label=name)
        axes.set(xscale="log", yscale="log", xlabel="tokens", ylabel=label)
        axes.grid(alpha=0.3)
    figure.get_axes()[0].legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


class _OnGrid(nn.Module):
    def __init__(self, layer: nn.Module, grid: Grid) -> None:
        super().__init__()
        self.layer, self.grid = layer, grid

    def forward(self, x_BNC: torch.Tensor) -> torch.Tensor:
        return self.layer(x_BNC, self.grid)


def _cells(variant: Variant, figures: Figures, published: Figures) -> list[str]:
    return [
        str(figures.tokens),
        variant.name,
        f"{figures.gmacs:.2f}",
        f"{figures.forward_s:.3f}",
        f"{figures.training_s:.3f}",
        f"{published.training_s / figures.training_s:.1f} x",
        f"{figures.kept_mib:.0f}",
    ]


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
