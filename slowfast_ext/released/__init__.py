"""Weights that others have published: a registry of names, and files fetched once into a cache."""

from slowfast_ext.released.registry import Released, cache_folder, released

__all__ = ["Released", "cache_folder", "released"]
