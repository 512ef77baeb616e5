"""How time and memory of a layer grow with the tokens: N^1 for linear attention, N^2 for exact attention.

Each trial runs in a process of its own, which gives it a peak of memory of its own, and may run out of memory
or time. Group joint: kernels over all tokens of a clip, with feature fixation and neighbourhood association; the
largest grid is that of 96 frames of 448 pixels. Group trajectory: frames get larger, their number stays.
"""

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from benchmarks.layers import (
    LayerCost,
    OnGrid,
    Variant,
    build_layer,
    draw_over_tokens,
    example_tokens,
    this_device,
)
from benchmarks.own_process import Failure, in_own_process
from slowfast_ext.analysis.timing import least_seconds
from slowfast_ext.engine.precision import peak_bytes
from slowfast_ext.models.attention import AttentionOptions, AttentionSpec, Grid
from slowfast_ext.models.attention.fixation import FixationOptions
from slowfast_ext.models.attention.neighbour import NeighbourOptions

PANELS = {
    "training_s": "forward + backward, s",
    "saved_mib": "saved for the backward pass, MiB",
    "peak_mib": "peak memory, MiB",
}
STEPS = (FixationOptions(mode="cooperative"), NeighbourOptions(temporal=True, spatial=True))


@dataclass(frozen=True)
class Group:
    """Variants, their width, and the grids (frames, side) that they are measured at."""

    variants: tuple[Variant, ...]
    grids: tuple[str, ...]
    dim: int
    heads: int


def _joint(name: str, kernel: str, reference: bool = False) -> Variant:
    return Variant(name, "joint", AttentionOptions(kernel=kernel, reference=reference, parts=STEPS))


KERNELS = (
    *("softmax", "relu", "elu", "cosformer", "linformer", "performer"),
    *("lara", "nystrom", "orthoformer"),
)

GROUPS = {
    "joint": Group(
        variants=(
            _joint("softmax, N x N weights", "softmax", reference=True),
            *(_joint(kernel, kernel) for kernel in KERNELS),
        ),
        grids=("16x14", "32x14", "32x20", "48x28", "96x28"),
        dim=64,
        heads=2,
    ),
    "trajectory": Group(
        variants=tuple(
            Variant(kernel, "trajectory", AttentionOptions(kernel=kernel))
            for kernel in ("softmax", "orthoformer", "nystrom", "performer", "lara", "relu")
        ),
        grids=("8x7", "8x10", "8x14", "8x20", "8x28"),
        dim=768,
        heads=12,
    ),
}


def main(argv: Sequence[str]) -> int:
    """Prints a row a kernel, with the exponents of its growth; draws a picture."""
    args = _parse(argv)
    group = GROUPS[args.group]
    grids = args.grids or map(_grid, group.grids)
    specs = [
        AttentionSpec(args.dim or group.dim, args.heads or group.heads, grid) for grid in grids
    ]
    columns = (f"{spec.grid.tokens:,} tokens" for spec in specs)
    title = f"forward+backward s, saved / peak MiB; {args.threads} threads, {this_device()}"
    table = Table("kernel", *columns, *("time", "saved", "peak"), title=title)
    found: dict[str, list[LayerCost]] = {}
    for variant in group.variants:
        if args.kernels and variant.name not in args.kernels:
            continue
        outcomes = run_trials(variant, specs, args.threads, args.repeats, args.timeout)
        costs = [outcome for outcome in outcomes if isinstance(outcome, LayerCost)]
        found[variant.name] = costs
        powers = (f"N^{exponent(costs, what):.2f}" for what in PANELS)
        table.add_row(variant.name, *(_cell(outcome) for outcome in outcomes), *powers)
    Console(width=160).print(table)
    if args.picture:
        draw_over_tokens(found, PANELS, args.picture)
    return 0


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks growth", description=__doc__)
    parser.add_argument("--group", choices=list(GROUPS), default="joint")
    parser.add_argument("--kernels", nargs="+", help="only these of the group")
    parser.add_argument("--grids", nargs="+", type=_grid, help="frames x tokens of a side: 96x28")
    parser.add_argument("--dim", type=int, help="channels; like all sizes, the group's own")
    parser.add_argument("--heads", type=int)
    parser.add_argument("--repeats", type=int, default=7, help="timed repeats; the least counts")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--timeout", type=float, default=60.0, help="longest trial, seconds")
    parser.add_argument("--picture", type=Path, help="write the curves to this image file")
    return parser.parse_args(argv)


def run_trials(
    variant: Variant, specs: Sequence[AttentionSpec], threads: int, repeats: int, timeout: float
) -> list[LayerCost | Failure]:
    """Sizes in growing order; beyond the first that fails none is tried."""
    outcomes: list[LayerCost | Failure] = []
    for spec in specs:
        failed = outcomes and isinstance(outcomes[-1], Failure)
        outcomes.append(
            outcomes[-1]
            if failed
            else in_own_process(timeout, measure, variant, spec, threads, repeats)
        )
    return outcomes


def measure(variant: Variant, spec: AttentionSpec, threads: int, repeats: int) -> LayerCost:
    """A variant at one size, in this process."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    device = this_device()
    # What torch loads at its first step is not the layer's.
    layer, x_BNC = _prepared(variant, replace(spec, grid=Grid(2, 2, 2)))
    layer.train_on(x_BNC)
    idle = peak_bytes(device)
    layer, x_BNC = _prepared(variant, spec)
    training_s = least_seconds(lambda: layer.train_on(x_BNC), device, repeats)
    peak = peak_bytes(device) - idle
    forward_s = least_seconds(lambda: layer.infer(x_BNC), device, repeats)
    return replace(layer.cost(x_BNC, forward_s, training_s), peak_mib=peak / 2**20)


def _prepared(variant: Variant, spec: AttentionSpec) -> tuple[OnGrid, Tensor]:
    layer = OnGrid(build_layer(variant, spec), spec.grid).to(this_device())
    return layer, example_tokens(spec, 1, this_device())


def exponent(costs: Sequence[LayerCost], what: str) -> float:
    """Slope of the logarithm of a field over that of the tokens, by least squares; nan for one size."""
    if len(costs) < 2:
        return math.nan
    tokens = np.log([cost.tokens for cost in costs])
    return float(np.polyfit(tokens, np.log([getattr(cost, what) for cost in costs]), 1)[0])


def _cell(outcome: LayerCost | Failure) -> str:
    if isinstance(outcome, Failure):
        return outcome.reason
    return f"{outcome.training_s:.3g} s, {outcome.saved_mib:.0f} / {outcome.peak_mib:.0f}"


def _grid(text: str) -> Grid:
    frames, side = map(int, text.split("x"))
    return Grid(frames, side, side)
