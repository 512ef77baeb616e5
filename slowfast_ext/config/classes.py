"""The classes of a model: one head, or several (verb and noun, say)."""

from yacs.config import CfgNode


def class_counts(cfg: CfgNode) -> tuple[int, ...]:
    """Classes of each head, from MODEL.NUM_CLASSES."""
    counts = cfg.MODEL.NUM_CLASSES
    return (counts,) if isinstance(counts, int) else tuple(counts)
