"""Queries, keys and values as one projection, as ours are, or apart, as some programs have them.

Softmax does not see the bias of the keys, so some files have none: it is zero here, and left out of what is written.
"""

from collections.abc import Sequence

import torch

from slowfast_ext.models.weights.base import State

PARTS = ("query", "key", "value")


def join(state: State, parts: Sequence[str] = PARTS, whole: str = "qkv") -> State:
    """`x.query.weight`, `x.key.weight`, `x.value.weight` as `x.qkv.weight`, the same for biases; of keys there may be none."""
    joined = dict(state)
    for name, tensor in state.items():
        layer, _, kind = name.rpartition(f".{parts[0]}.")
        if layer:
            if kind == "bias":
                joined.setdefault(f"{layer}.{parts[1]}.bias", torch.zeros_like(tensor))
            rows = [joined.pop(f"{layer}.{part}.{kind}") for part in parts]
            joined[f"{layer}.{whole}.{kind}"] = torch.cat(rows)
    return joined


def split(state: State, parts: Sequence[str] = PARTS, whole: str = "qkv") -> State:
    """The inverse."""
    apart: State = {}
    for name, tensor in state.items():
        layer, _, kind = name.rpartition(f".{whole}.")
        names = [f"{layer}.{part}.{kind}" for part in parts] if layer else [name]
        apart |= dict(zip(names, tensor.chunk(len(names)), strict=True))
    return apart


def join_biases(state: State) -> State:
    """`x.q_bias`, `x.v_bias` as `x.qkv.bias`, zero for the keys."""
    joined = dict(state)
    for name in state:
        layer, _, kind = name.rpartition(".")
        if kind == "q_bias":
            q, v = joined.pop(name), joined.pop(f"{layer}.v_bias")
            joined[f"{layer}.qkv.bias"] = torch.cat([q, torch.zeros_like(q), v])
    return joined


def split_biases(state: State) -> State:
    """The inverse, for layers called `attn`."""
    apart: State = {}
    for name, tensor in state.items():
        if name.endswith(".attn.qkv.bias"):
            layer = name.removesuffix(".qkv.bias")
            apart[f"{layer}.q_bias"], _, apart[f"{layer}.v_bias"] = tensor.chunk(3)
        else:
            apart[name] = tensor
    return apart
