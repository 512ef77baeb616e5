"""Compiling a model block by block: one program for all blocks that are alike, where the whole model would be one large one."""

from collections.abc import Iterator
from typing import Any

from torch import nn

_PROGRAMS = 64
"""Most programs of one kind of block: widths, attention variants, with and without stochastic depth, training and evaluation."""


def compile_blocks(model: nn.Module, **options: Any) -> int:
    """torch.compile every block of a model, in place; `options` are torch.compile's. Returns how many there are.

    What stands between blocks (embedding, pooling, head) is called as it is.
    """
    blocks = list(blocks_of(model))
    for block in blocks:
        block.compile(recompile_limit=_PROGRAMS, **options)
    return len(blocks)


def blocks_of(module: nn.Module) -> Iterator[nn.Module]:
    """The members of the outermost module lists: the blocks of transformers, the blocks of stages."""
    for child in module.children():
        if isinstance(module, nn.ModuleList) and not isinstance(child, nn.ModuleList):
            yield child
        else:
            yield from blocks_of(child)
