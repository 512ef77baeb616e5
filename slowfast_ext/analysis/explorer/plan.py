"""What of all attention weights goes into a page of limited size: layers, heads and queries."""

from collections.abc import Sequence
from dataclasses import dataclass

from slowfast_ext.analysis.maps import Seen
from slowfast_ext.models.attention.emim import Emim
from slowfast_ext.models.attention.structsa import Struct
from slowfast_ext.models.attention.trajectory import Trajectory

STRIDES = (1, 2, 4, 8)


@dataclass(frozen=True)
class Plan:
    """Layers to write, and which queries of each: every `stride`-th row and column of a frame."""

    layers: tuple[tuple[Seen, int], ...]
    left_out: tuple[str, ...]


def plan(seen: Sequence[Seen], most_bytes: int, heads: int | None = None) -> Plan:
    """As many layers as fit, with every patch as a query where that is possible, else with every second.

    Layers are left out before queries become sparser than every second row and column; those that stay are
    spread over the depth, the last always among them. `heads`: how many of each layer are written (None: all).
    """
    patches = [item for item in seen if item.grid.patches]
    left_out = [
        f"{item.name}: its tokens are no positions of the clip"
        for item in seen
        if not item.grid.patches
    ]
    if not patches:
        return Plan((), tuple(left_out))
    for stride in STRIDES:
        fewest = len(patches) if stride == 1 else 1
        for count in range(len(patches), fewest - 1, -1):
            chosen = _spread(patches, count)
            sizes = [_bytes(item, stride, heads) for item in chosen]
            if sum(sizes) <= most_bytes:
                return _plan(patches, chosen, stride, left_out)
    return _plan(patches, patches[-1:], STRIDES[-1], left_out)


def _plan(patches: list[Seen], chosen: list[Seen], stride: int, left_out: list[str]) -> Plan:
    names = {item.name for item in chosen}
    missing = [item.name for item in patches if item.name not in names]
    if missing:
        left_out.append(f"layers {', '.join(missing)}: name them with --layer, or raise --max-mb")
    strided = [item for item in chosen if not isinstance(item.layer, Emim)]
    if stride > 1 and strided:
        left_out.append(f"queries: every {stride}. row and column of a frame; the nearest is shown")
    return Plan(tuple((item, stride) for item in chosen), tuple(left_out))


def _spread(items: list[Seen], count: int) -> list[Seen]:
    """`count` of the items, evenly, the last among them."""
    return [items[(place + 1) * len(items) // count - 1] for place in range(count)]


def _bytes(item: Seen, stride: int, heads: int | None) -> int:
    grid, layer = item.grid, item.layer
    heads = heads or layer.num_heads
    if isinstance(layer, Emim):
        rows, columns = layer.position_bias.shape[-2:]
        return heads * max(grid.t - 1, 1) * grid.space * rows * columns
    queries = grid.t * -(-grid.h // stride) * -(-grid.w // stride) + 1
    if isinstance(layer, Struct):
        step = layer.keys.stride[1]
        return (
            heads
            * queries
            * grid.t
            * -(-grid.h // step)
            * -(-grid.w // step)
            * layer.values.structures
        )
    extra = grid.t if isinstance(layer, Trajectory) else 0
    return heads * queries * (grid.patches + extra)
