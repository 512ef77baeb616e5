"""Was an EMIM checkpoint trained with the published kernels, which train only 32 channels of each head?

With them queries, keys and values of the other channels get no gradient. AdamW then leaves their biases as they
were, shrinks their weights by one common factor, and its second moments stay exactly zero: that is looked for.

Shapes: C channels, h heads, D head dim.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor

from slowfast_ext.errors import CheckpointError
from slowfast_ext.models.weights.base import State, unwrap

KERNEL_CHANNELS = 32
UNTOUCHED = 1e-3


class Verdict(NamedTuple):
    """`channels` is the value for ATTENTION.EMIM.CONTEXT_CHANNELS, None when the files do not tell."""

    channels: int | str | None
    evidence: str


def context_channels(
    checkpoint: Mapping[str, Any], pretrained: Mapping[str, Any] | None = None
) -> Verdict:
    """Judge by the weights that training started from, else by the optimizer state in the checkpoint.

    Both checkpoints carry the same names, public or ours. Raises CheckpointError where there is no EMIM block.
    """
    state = unwrap(checkpoint)
    tables = (name.rpartition(".") for name in state)
    heads = {
        f"{block}.qkv.weight": len(state[f"{block}.{leaf}"])
        for block, _, leaf in tables
        if leaf in ("rpb", "position_bias")
    }
    if not heads:
        raise CheckpointError("no EMIM block: there is no table of position biases (rpb)")
    name = next(iter(heads))
    if state[name].shape[1] // heads[name] <= KERNEL_CHANNELS:
        return Verdict("all", f"heads have at most {KERNEL_CHANNELS} channels")
    if pretrained is not None:
        return _by_start(state, unwrap(pretrained), heads)
    return _by_moments(checkpoint.get("optimizer_state", {}).get("state", {}), state, heads)


def _by_start(state: State, start: State, heads: Mapping[str, int]) -> Verdict:
    """How far the rows went from a multiple of where they started."""
    missing = [name for name in heads if name not in start]
    if missing:
        raise CheckpointError(
            f"the pretrained checkpoint has no {missing[0]}; are the names the same?"
        )
    trained: list[float] = []
    rest: list[float] = []
    for name, h in heads.items():
        after, before = (_rows(weights[name], h) for weights in (state, start))
        trained += map(_distance, after[0], before[0])
        rest += map(_distance, after[1], before[1])
    evidence = f"channels below 32 went {min(trained):.1e} from a multiple of their start, the others {max(rest):.1e}"
    if min(trained) < 10 * UNTOUCHED:
        return Verdict(None, f"{evidence}: hardly trained, or the wrong start")
    return Verdict(KERNEL_CHANNELS if max(rest) < UNTOUCHED else "all", evidence)


def _by_moments(optimizer: Mapping[Any, Any], state: State, heads: Mapping[str, int]) -> Verdict:
    """Second moments of EMIM's projections: found by shape, for the file names parameters by number."""
    heads_of = {state[name].shape: h for name, h in heads.items()}
    moments = [entry.get("exp_avg_sq") for entry in optimizer.values()]
    found = [m for m in moments if isinstance(m, Tensor) and m.shape in heads_of]
    if not found:
        return Verdict(None, "give the pretrained weights: there is no optimizer state to judge by")
    silent = sum(not any(row.any() for row in _rows(m, heads_of[m.shape])[1]) for m in found)
    evidence = f"channels from 32 on never had a gradient in {silent} of {len(found)} layers"
    return Verdict(KERNEL_CHANNELS if silent >= len(heads) else "all", evidence)


def _rows(weight_3CC: Tensor, heads: int) -> tuple[list[Tensor], list[Tensor]]:
    """Rows of q, k and v that the kernels train, and the others, of all heads."""
    weight_3hDC = weight_3CC.unflatten(0, (3, heads, -1))
    parts = weight_3hDC.tensor_split([KERNEL_CHANNELS], dim=2)
    trained, rest = (list(part.flatten(1).double().unbind(0)) for part in parts)
    return trained, rest


def _distance(after: Tensor, before: Tensor) -> float:
    """Relative distance of `after` from the nearest multiple of `before`."""
    factor = (after @ before) / (before @ before).clamp_min(1e-30)
    return ((after - factor * before).norm() / after.norm().clamp_min(1e-30)).item()
