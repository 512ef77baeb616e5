"""Tensors that depend on sizes alone: made once for each, and never mistaken for what a tracer made of them."""

from collections.abc import Callable, Hashable
from functools import wraps
from typing import ParamSpec

import torch
from torch import Tensor

Sizes = ParamSpec("Sizes")

_MOST = 16
"""How many a function keeps, the last ones made."""


def constant(make: Callable[Sizes, Tensor]) -> Callable[Sizes, Tensor]:
    """`make`, called once for the same arguments, which must be hashable.

    A compiler gets a constant of its program; the stand-in that fake tensors give for a constant is not kept.
    """
    kept: dict[Hashable, Tensor] = {}

    @wraps(make)
    def of(*args: Sizes.args, **kwargs: Sizes.kwargs) -> Tensor:
        if torch.compiler.is_compiling():
            return make(*args, **kwargs)
        key = (args, tuple(kwargs.items()))
        if key in kept:
            return kept[key]
        with torch.inference_mode(False):  # it outlives the mode
            made = make(*args, **kwargs)
        if type(made) is Tensor:
            kept[key] = made
            if len(kept) > _MOST:
                del kept[next(iter(kept))]
        return made

    return of
