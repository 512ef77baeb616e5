"""What one training step of an attention layer asks of a device, counted without one.

Kernels launched, copies among them, values fetched from the device or sent to it (each stops the program until the device
has caught up), bytes that a forward pass saves for the backward pass, and the share of the multiply-adds in products that
stay in fp32 under bf16 autocast. Counted from shapes at published sizes (the last on small clips): nothing is timed.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.layers import OnGrid, Variant, build_layer
from slowfast_ext.analysis.cost import FusedAttention, saved_for_backward
from slowfast_ext.models.attention import KERNELS, AttentionOptions, AttentionSpec, Grid

aten, prims = torch.ops.aten, torch.ops.prim
_COPIES = {aten.clone, aten.copy_, aten._to_copy, aten.cat, aten.stack, aten.repeat, aten.index}
_SYNCS = {aten._local_scalar_dense, aten.lift_fresh, aten.nonzero, aten.equal, aten.is_nonzero}
_NO_KERNEL = {aten.empty, aten.empty_like, aten.new_empty, aten.empty_strided, aten._unsafe_view}
_NO_KERNEL |= {aten.detach, aten.alias, prims.device}
_PRODUCTS = {aten.mm: 0, aten.bmm: 0, aten.addmm: 1, aten.baddbmm: 1}
"""Matrix products, and the place of their left factor."""


@dataclass(frozen=True)
class Launches:
    """Of a forward and a backward pass."""

    kernels: int
    copies: int


class Counting(TorchDispatchMode):
    """Counts operators by what they do, and the multiply-adds of products by their dtype."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        self.macs: Counter[torch.dtype] = Counter()
        self.names: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        packet = func.overloadpacket
        if packet in _SYNCS:
            self.counts["syncs"] += 1
        elif not (func.is_view or packet in _NO_KERNEL):
            self.counts["kernels"] += 1
            self.names[str(packet)] += 1
            self.counts["copies"] += packet in _COPIES
        if packet in _PRODUCTS:
            left, right = args[_PRODUCTS[packet] :][:2]
            self.macs[left.dtype] += left.numel() * right.shape[-1]
        return func(*args, **(kwargs or {}))


def count_launches(step: Callable[[], object]) -> Launches:
    """What `step` launches on the meta device."""
    with FusedAttention(), Counting() as counting:
        step()
    return Launches(counting.counts["kernels"], counting.counts["copies"])


def on_cpu(step: Callable[[], object]) -> tuple[int, float]:
    """What `step` sends and fetches, and the share of the multiply-adds of products in fp32 under bf16 autocast.

    On CPU tensors, as the meta device has no values to send.
    """
    with Counting() as counting, torch.autocast("cpu", torch.bfloat16):
        step()
    return counting.counts["syncs"], counting.macs[torch.float32] / counting.macs.total()


_MOTIONFORMER = AttentionSpec(768, 12, Grid(8, 14, 14, prefix=1))
_UNIFORMER = AttentionSpec(320, 5, Grid(8, 14, 14))
_ROWS = [
    *((f"trajectory, {kernel}", "trajectory", kernel, _MOTIONFORMER) for kernel in KERNELS.names()),
    *((f"joint, {kernel}", "joint", kernel, _MOTIONFORMER) for kernel in KERNELS.names()),
    ("window", "window", "softmax", _MOTIONFORMER),
    ("space", "space", "softmax", _MOTIONFORMER),
    ("mixing (XViT)", "mixing", "softmax", replace(_MOTIONFORMER, grid=Grid(8, 14, 14, 8, True))),
    ("divided", "divided", "softmax", _MOTIONFORMER),
    ("EMIM", "emim", "softmax", _UNIFORMER),
    ("StructSA", "struct", "softmax", _UNIFORMER),
]
"""Label, layer, kernel and place: a layer of Motionformer-B or XViT on 16 frames, one of UniFormer-S's third stage."""


def main(argv: Sequence[str]) -> int:
    """Prints a table; exit code 1 where a layer waits for the device."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks launches", description=__doc__)
    parser.add_argument("--batch", type=int, default=8, help="clips")
    parser.add_argument("--only", default="", help="rows whose name contains this")
    args = parser.parse_args(argv)
    columns = ("layer", "kernels", "copies", "syncs", "saved MiB", "fp32 share in bf16")
    table = Table(*columns, title=f"a training step of a layer, {args.batch} clips")
    waits = 0
    for label, layer, kernel, spec in (row for row in _ROWS if args.only in row[0]):
        variant = Variant(label, layer, AttentionOptions(kernel=kernel))
        found, saved = at_published_size(variant, spec, args.batch)
        syncs, share = on_cpu(_step(*_on_grid(variant, _small(spec), 2, "cpu")))
        waits += syncs
        numbers = (found.kernels, found.copies, syncs, f"{saved / 2**20:.0f}")
        table.add_row(label, *map(str, numbers), f"{share:.0%}")
    Console(width=110).print(table)
    return int(waits > 0)


def at_published_size(variant: Variant, spec: AttentionSpec, batch: int) -> tuple[Launches, int]:
    """What a step launches, and the bytes that it saves."""
    layer, x_BNC = _on_grid(variant, spec, batch, "meta")
    found = count_launches(_step(layer, x_BNC))
    with FusedAttention():
        return found, saved_for_backward(layer, x_BNC)


def _small(spec: AttentionSpec) -> AttentionSpec:
    prefix = 4 if spec.grid.framewise else spec.grid.prefix
    grid = replace(spec.grid, t=4, h=6, w=6, prefix=prefix)
    return replace(spec, dim=64 * 2, num_heads=2, grid=grid)


def _on_grid(
    variant: Variant, spec: AttentionSpec, batch: int, device: str
) -> tuple[nn.Module, Tensor]:
    with torch.device(device):
        layer = OnGrid(build_layer(variant, spec), spec.grid)
        return layer, torch.randn(batch, spec.grid.tokens, spec.dim, requires_grad=True)


def _step(layer: nn.Module, x_BNC: Tensor) -> Callable[[], object]:
    return lambda: layer(x_BNC).sum().backward()
