"""One attention layer over a growing number of tokens: time, multiply-adds and memory, side by side.

Group trajectory: trajectory attention in its fast form and its reference form, with exact and approximate kernels;
joint and divided attention for comparison. Group local: EMIM and StructSA beside their reference forms. All in one
process, in turn, the least of several times (on a CPU: of CPU seconds): the ratios hold though the machine has other work.
"""

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.layer_groups import GROUPS, Group
from benchmarks.layers import (
    LayerCost,
    OnGrid,
    build_layer,
    draw_over_tokens,
    example_tokens,
    seconds,
    this_device,
)
from slowfast_ext.models.attention import AttentionSpec, Grid

COLUMNS = ("tokens", "layer", "GMAC", "forward s", "forward+backward s", "faster", "saved MiB")
PANELS = {
    "training_s": "forward + backward, s",
    "saved_mib": "saved for the backward pass, MiB",
}


def main(argv: Sequence[str]) -> int:
    """Prints a table, draws a picture. 0 if the fast forms reach their targets at the largest size."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks attention", description=__doc__)
    parser.add_argument("--group", choices=list(GROUPS), default="trajectory")
    parser.add_argument("--frames", type=int, help="token frames; like all sizes, the group's own")
    parser.add_argument("--sides", type=int, nargs="+", help="tokens along a frame's side")
    parser.add_argument("--dim", type=int, help="channels")
    parser.add_argument("--heads", type=int)
    parser.add_argument("--batch", type=int, default=1, help="clips")
    parser.add_argument("--repeats", type=int, default=3, help="rounds; the least time counts")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--picture", type=Path, help="write the curves to this image file")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    group = GROUPS[args.group]
    found: dict[str, list[LayerCost]] = {variant.name: [] for variant in group.variants}
    title = f"batch {args.batch}, {args.threads} threads, {this_device()}"
    table = Table(*COLUMNS, title=title)
    for side in args.sides or group.sides:
        grid = Grid(args.frames or group.frames, side, side, group.prefix)
        spec = AttentionSpec(args.dim or group.dim, args.heads or group.heads, grid)
        costs = measure(group, spec, args.batch, args.repeats)
        for name, cost in costs.items():
            found[name].append(cost)
        _add_rows(table, group, costs)
    Console(width=120).print(table)
    if args.picture:
        draw_over_tokens(found, PANELS, args.picture)
    largest = {name: costs[-1] for name, costs in found.items()}
    return 0 if all(target.is_met(largest) for target in group.targets) else 1


def measure(group: Group, spec: AttentionSpec, batch: int, repeats: int) -> dict[str, LayerCost]:
    """Every variant by its name, on the device there is."""
    torch.manual_seed(0)
    device = this_device()
    names = [variant.name for variant in group.variants]
    layers = [OnGrid(build_layer(v, spec), spec.grid).to(device) for v in group.variants]
    x_BNC = example_tokens(spec, batch, device)
    forward_s = least_in_turn([partial(layer.infer, x_BNC) for layer in layers], repeats)
    training_s = least_in_turn([partial(layer.train_on, x_BNC) for layer in layers], repeats)
    costs = (
        layer.cost(x_BNC, forward, training)
        for layer, forward, training in zip(layers, forward_s, training_s, strict=True)
    )
    return dict(zip(names, costs, strict=True))


def least_in_turn(works: Sequence[Callable[[], None]], rounds: int) -> list[float]:
    """The least time of each work; in every round all have their turn, after one to warm up."""
    device = this_device()
    times: list[list[float]] = [[] for _ in works]
    for _ in range(rounds + 1):
        for work, own in zip(works, times, strict=True):
            own.append(seconds(work, device))
    return [min(own[1:]) for own in times]


def _add_rows(table: Table, group: Group, costs: dict[str, LayerCost]) -> None:
    reference = ""
    for name, cost in costs.items():
        reference = name if name in group.references else reference
        table.add_row(
            str(cost.tokens),
            name,
            f"{cost.gmacs:.2f}",
            f"{cost.forward_s:.3f}",
            f"{cost.training_s:.3f}",
            f"{costs[reference].training_s / cost.training_s:.1f} x",
            f"{cost.saved_mib:.0f}",
        )
    table.add_section()
