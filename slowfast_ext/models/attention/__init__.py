"""Attention: patterns say which tokens meet, kernels how scores become weights."""

from slowfast_ext.models.attention.base import (
    ATTENTION,
    KERNELS,
    Attention,
    Grid,
    Kernel,
    LayerSpec,
    build_attention,
    variant_of_block,
)
from slowfast_ext.registry import import_submodules

import_submodules(__name__)

__all__ = [
    "ATTENTION",
    "KERNELS",
    "Attention",
    "Grid",
    "Kernel",
    "LayerSpec",
    "build_attention",
    "variant_of_block",
]
