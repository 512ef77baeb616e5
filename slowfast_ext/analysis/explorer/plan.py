"""What of all attention weights goes into a page of limited size: layers, heads and queries."""

from collections.abc import Sequence
from dataclasses import dataclass

from slowfast_ext.analysis.maps import Seen
from slowfast_ext.models.attention.emim import Emim
from slowfast_ext.models.attention.structsa import Struct
from slowfast_ext.models.attention.trajectory import Trajectory

STRIDES = (1, 2, 4, 8)
_ORDINALS = {2: "second", 4: "fourth", 8: "eighth"}


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
            rest = most_bytes - sum(_bytes(item, stride, heads) for item in chosen)
            if rest >= 0:
                return _plan(patches, _denser(chosen, stride, rest, heads), left_out)
    return _plan(patches, {patches[-1].name: STRIDES[-1]}, left_out)


def _denser(chosen: list[Seen], stride: int, rest: int, heads: int | None) -> dict[str, int]:
    """Stride of each layer by name: the smallest layers get every patch as long as there is room."""
    strides = {item.name: stride for item in chosen}
    for item in sorted(chosen, key=lambda item: _bytes(item, 1, heads)):
        rest -= _bytes(item, 1, heads) - _bytes(item, stride, heads)
        if rest < 0:
            break
        strides[item.name] = 1
    return strides


def _plan(patches: list[Seen], strides: dict[str, int], left_out: list[str]) -> Plan:
    missing = [item.name for item in patches if item.name not in strides]
    if missing:
        left_out.append(f"layers {', '.join(missing)}: name them with --layer, or raise --max-mb")
    chosen = tuple((item, strides[item.name]) for item in patches if item.name in strides)
    sparse = [(item, stride) for item, stride in chosen if stride > 1]
    for stride in sorted({stride for item, stride in sparse if not isinstance(item.layer, Emim)}):
        names = ", ".join(item.name for item, own in sparse if own == stride)
        left_out.append(
            f"queries of {names}: only each {_ORDINALS[stride]} row and column of a frame; the nearest is shown"
        )
    return Plan(chosen, tuple(left_out))


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
