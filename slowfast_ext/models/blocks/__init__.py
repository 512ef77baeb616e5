"""Blocks: what carries the residual stream. A block is named like an attention layer in ATTENTION.CYCLE."""

from slowfast_ext.models.blocks.base import BLOCKS, Block, BlockSpec, attention_names, build_block
from slowfast_ext.registry import import_submodules

import_submodules(__name__)

__all__ = ["BLOCKS", "Block", "BlockSpec", "attention_names", "build_block"]
