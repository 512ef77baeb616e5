"""Was an EMIM checkpoint trained with the published kernels, which train only 32 channels of each head?

With them queries, keys and values of the other channels get no gradient. AdamW then leaves their biases as they
were, shrinks their weights by one common factor, and keeps moments of exactly zero: that is what is looked for.

Shapes: C channels, h heads, D head dim.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from slowfast_ext.errors import CheckpointError
from slowfast_ext.models.weights.base import State, unwrap

_TRAINED_BY_KERNELS = 32
_UNTOUCHED = 1e-3


@dataclass(frozen=True)
class Verdict:
    """`channels` is the value for ATTENTION.EMIM.CONTEXT_CHANNELS, None when the files do not tell."""

    channels: int | str | None
    evidence: str


def context_channels(
    checkpoint: Mapping[str, Any], pretrained: Mapping[str, Any] | None = None
) -> Verdict:
    """What `checkpoint` was trained with, judged by the weights it started from or by its optimizer state.

    Both checkpoints carry the same names, public or ours. Raises CheckpointError where there is no EMIM block.
    """
    state = unwrap(checkpoint)
    blocks = list(_emim_blocks(state))
    if not blocks:
        raise CheckpointError(
            "no EMIM block in the checkpoint: there is no table of position biases (rpb)"
        )
    heads, dim = len(state[blocks[0][1]]), state[f"{blocks[0][0]}qkv.weight"].shape[1]
    if dim // heads <= _TRAINED_BY_KERNELS:
        return Verdict(
            "all", f"heads have {dim // heads} channels, which the published kernels train all"
        )
    if pretrained is not None:
        return _by_start(state, unwrap(pretrained), blocks)
    if "optimizer_state" in checkpoint:
        return _by_moments(checkpoint["optimizer_state"], state, blocks)
    return Verdict(
        None, "neither the pretrained weights nor an optimizer state are there to judge by"
    )


def _emim_blocks(state: State) -> Iterator[tuple[str, str]]:
    """Prefix of the attention layer and name of its bias table."""
    for name in state:
        prefix, _, leaf = name.rpartition(".")
        if leaf in ("rpb", "position_bias"):
            yield f"{prefix}.", name


def _by_start(state: State, start: State, blocks: list[tuple[str, str]]) -> Verdict:
    """How far the rows went from a multiple of where they started, at most over the blocks."""
    missing = [prefix for prefix, _ in blocks if f"{prefix}qkv.weight" not in start]
    if missing:
        raise CheckpointError(
            f"the pretrained checkpoint has no {missing[0]}qkv.weight; are the names the same?"
        )
    rest, kept = 0.0, float("inf")
    for prefix, table in blocks:
        after, before, heads = (
            state[f"{prefix}qkv.weight"],
            start[f"{prefix}qkv.weight"],
            len(state[table]),
        )
        rest = max(rest, *map(_distance, _rows(after, heads, True), _rows(before, heads, True)))
        kept = min(kept, *map(_distance, _rows(after, heads, False), _rows(before, heads, False)))
    evidence = f"q, k, v of channels from 32 on went {rest:.1e} from a multiple of their start, those below {kept:.1e}"
    if kept < 10 * _UNTOUCHED:
        return Verdict(None, f"{evidence}: hardly trained, or the wrong start")
    return Verdict(_TRAINED_BY_KERNELS if rest < _UNTOUCHED else "all", evidence)


def _by_moments(
    optimizer: Mapping[str, Any], state: State, blocks: list[tuple[str, str]]
) -> Verdict:
    """Second moments of EMIM's projections: found by shape, for the file names parameters by number."""
    shapes = {
        tuple(state[f"{prefix}qkv.weight"].shape): len(state[table]) for prefix, table in blocks
    }
    moments = [
        entry["exp_avg_sq"]
        for entry in optimizer.get("state", {}).values()
        if tuple(getattr(entry.get("exp_avg_sq"), "shape", ())) in shapes
    ]
    if not moments:
        return Verdict(None, "the optimizer state has no second moments of the projections")
    silent = sum(
        not any(rows.any() for rows in _rows(moment, shapes[tuple(moment.shape)], True))
        for moment in moments
    )
    evidence = (
        f"channels from 32 on never had a gradient in {silent} of {len(moments)} attention layers"
    )
    return Verdict(_TRAINED_BY_KERNELS if silent >= len(blocks) else "all", evidence)


def _rows(weight_3CC: Tensor, heads: int, rest: bool) -> list[Tensor]:
    """Rows of q, k and v that the kernels do not train (`rest`), or those they do, of all heads."""
    weight_3hDC = weight_3CC.unflatten(0, (3, heads, -1))
    first, last = weight_3hDC.tensor_split([_TRAINED_BY_KERNELS], dim=2)
    return list((last if rest else first).flatten(1).double().unbind(0))


def _distance(after: Tensor, before: Tensor) -> float:
    """Relative distance of `after` from the nearest multiple of `before`."""
    factor = (after @ before) / (before @ before).clamp_min(1e-30)
    return ((after - factor * before).norm() / after.norm().clamp_min(1e-30)).item()
