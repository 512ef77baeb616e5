"""The order of classes: checkpoints of one data set may number its classes differently."""

from collections.abc import Sequence

import torch
from torch import Tensor

from slowfast_ext.errors import CheckpointError
from slowfast_ext.models.weights.base import State


def class_permutation(have: Sequence[str], wanted: Sequence[str]) -> Tensor:
    """Index into `have` for each name of `wanted`. Raises CheckpointError unless both name the same classes."""
    index = {_plain(name): position for position, name in enumerate(have)}
    plain = [_plain(name) for name in wanted]
    odd = sorted(set(index) ^ set(plain))
    if odd or len(index) != len(have) or len(set(plain)) != len(plain):
        some = ", ".join(odd[:5]) or "some are named twice"
        raise CheckpointError(
            f"class lists of {len(have)} and {len(wanted)} names differ ({some}): both must name each class once"
        )
    return torch.tensor([index[name] for name in plain])


def reorder_classes(
    state: State, have: Sequence[str], wanted: Sequence[str], head: str = "head"
) -> State:
    """Our state with the rows of a classifier, trained for classes `have`, in the order of `wanted`."""
    order = class_permutation(have, wanted)
    prefix = f"{head}."
    rows = {name for name in state if name.startswith(prefix)}
    wrong = [name for name in rows if len(state[name]) != len(order)]
    if not rows or wrong:
        raise CheckpointError(f"{head} of the checkpoint has not the {len(order)} classes listed")
    return {name: tensor[order] if name in rows else tensor for name, tensor in state.items()}


def _plain(name: str) -> str:
    """Names of the same class in different lists differ in case, underscores and quotes."""
    return " ".join(name.replace("_", " ").replace('"', "").lower().split())
