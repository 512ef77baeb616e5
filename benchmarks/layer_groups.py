"""Layers that are measured side by side, and what the fast ones of them must reach."""

from dataclasses import dataclass
from typing import Any

from benchmarks.layers import LayerCost, Variant
from slowfast_ext.models.attention import AttentionOptions
from slowfast_ext.models.attention.trajectory import TrajectoryOptions


@dataclass(frozen=True)
class Target:
    """`fast` takes at most 1/`times` of the time and the saved memory of `slow`."""

    fast: str
    slow: str
    times: float

    def is_met(self, cost: dict[str, LayerCost]) -> bool:
        """Whether these costs, by name of the variant, meet it."""
        fast, slow = cost[self.fast], cost[self.slow]
        return (
            self.times * fast.training_s <= slow.training_s
            and self.times * fast.saved_mib <= slow.saved_mib
        )


@dataclass(frozen=True)
class Group:
    """Variants with the sizes that they are measured at. Each is compared with the last `reference` one before it."""

    variants: tuple[Variant, ...]
    references: tuple[str, ...]
    targets: tuple[Target, ...]
    dim: int
    heads: int
    frames: int
    sides: tuple[int, ...]
    prefix: int = 0


def _trajectory(name: str, values: str = "original", **attention: Any) -> Variant:
    parts = (TrajectoryOptions(values=values),)
    return Variant(name, "trajectory", AttentionOptions(parts=parts, **attention))


REFERENCE = AttentionOptions(reference=True)
_UNFOLDED, _EMIM = "emim, windows unfolded", "emim"
_MATERIALISED, _STRUCT = "StructSA, weights in full", "StructSA"
_PUBLISHED, _FAST = "reference, as published", "fast"

GROUPS = {
    # The published code projects keys and values of all trajectory tokens, whether it uses the values or not:
    # what it spends is what the reference form with projected values spends.
    "trajectory": Group(
        variants=(
            _trajectory(_PUBLISHED, "projected", reference=True),
            _trajectory("reference, no unused values", reference=True),
            _trajectory(_FAST),
            _trajectory("fast, projected values", "projected"),
            _trajectory("orthoformer", kernel="orthoformer"),
            _trajectory("nystrom", kernel="nystrom"),
            _trajectory("performer", kernel="performer"),
            Variant("joint", "joint"),
            Variant("divided", "divided"),
        ),
        references=(_PUBLISHED,),
        targets=(Target(_FAST, _PUBLISHED, 2.0),),
        dim=768,
        heads=12,
        frames=8,
        sides=(7, 10, 14, 20),
        prefix=1,
    ),
    # A layer of the third stage of UniFormer-S, on 32 frames of 224 pixels.
    "local": Group(
        variants=(
            Variant(_UNFOLDED, "emim", REFERENCE),
            Variant(_EMIM, "emim"),
            Variant(_MATERIALISED, "struct", REFERENCE),
            Variant(_STRUCT, "struct"),
            Variant("joint", "joint"),
        ),
        references=(_UNFOLDED, _MATERIALISED),
        targets=(Target(_EMIM, _UNFOLDED, 1.0), Target(_STRUCT, _MATERIALISED, 1.0)),
        dim=320,
        heads=5,
        frames=16,
        sides=(7, 10, 14),
    ),
}
