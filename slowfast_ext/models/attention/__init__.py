"""Attention layers: which tokens meet (ATTENTION), and how scores become weights (KERNELS)."""

from slowfast_ext.models.attention.base import (
    ATTENTION,
    KERNELS,
    Attention,
    AttentionOptions,
    AttentionSpec,
    Grid,
    Kernel,
    build_attention,
)
from slowfast_ext.registry import import_submodules

import_submodules(__name__)

__all__ = [
    "ATTENTION",
    "KERNELS",
    "Attention",
    "AttentionOptions",
    "AttentionSpec",
    "Grid",
    "Kernel",
    "build_attention",
]
