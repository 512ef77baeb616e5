"""RandAugment (Cubuk et al., 2020) with timm's policy strings and semantics, one draw for all frames.

`rand-m7-n4-mstd0.5-inc1`: n operations are drawn with replacement, each applied with probability p at
a magnitude drawn from N(m, mstd), cut off to [0, mmax]. Magnitudes are parts of 10.
"""

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from slowfast_ext.data.transforms.operations import Step
from slowfast_ext.errors import ConfigError

FULL_LEVEL = 10.0
UNIFORM_MSTD = 100.0

NAMES = (
    "AutoContrast",
    "Equalize",
    "Invert",
    "Rotate",
    "Posterize",
    "Solarize",
    "SolarizeAdd",
    "Color",
    "Contrast",
    "Brightness",
    "Sharpness",
    "ShearX",
    "ShearY",
    "TranslateXRel",
    "TranslateYRel",
)
INCREASING = ("Posterize", "Solarize", "Color", "Contrast", "Brightness", "Sharpness")
"""Those with a variant that grows with the magnitude."""


@dataclass(frozen=True)
class RandAugment:
    """A policy, which draws the steps of a clip; `mstd` infinite: magnitude uniform in [0, m]."""

    m: float = FULL_LEVEL
    n: int = 2
    p: float = 0.5
    mstd: float = 0.0
    mmax: float = FULL_LEVEL
    inc: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The operations that it draws from."""
        return tuple(f"{n}Increasing" if self.inc and n in INCREASING else n for n in NAMES)

    def draw(self, rng: np.random.Generator) -> list[Step]:
        """The operations that are applied, in order; on average n * p of them."""
        steps = []
        for name in rng.choice(self.names, self.n):
            applied, sign = rng.random() < self.p, 1.0 if rng.random() < 0.5 else -1.0
            level = draw_level(self.m, self.mstd, self.mmax, rng)
            if applied:
                steps.append(Step(str(name), level, sign))
        return steps


def draw_level(m: float, mstd: float, mmax: float, rng: np.random.Generator) -> float:
    """A magnitude around m, cut off to [0, mmax], as a level."""
    magnitude = rng.uniform(0, m) if math.isinf(mstd) else rng.normal(m, mstd)
    return float(min(max(magnitude, 0.0), mmax) / FULL_LEVEL)


def parse_randaugment(text: str) -> RandAugment:
    """The policy that a string like `rand-m7-n4-mstd0.5-inc1` names. Raises ConfigError."""
    kind, *parts = text.split("-")
    values: dict[str, Any] = {}
    for part in parts:
        match = re.fullmatch(r"(m|n|p|mstd|mmax|inc)(\d+(?:\.\d+)?|inf)", part)
        if match is None:
            kind = ""
            break
        values[match[1]] = float(match[2])
    if kind != "rand":
        raise ConfigError(
            f"AUG.AA_TYPE: {text!r} is not a known policy; expected rand, then any of -m7 (magnitude),"
            " -n4 (operations), -p0.5 (probability), -mstd0.5 (noise of the magnitude),"
            " -mmax10 (largest magnitude), -inc1 (operations that grow with the magnitude)"
        )
    if values.get("mstd", 0) > UNIFORM_MSTD:
        values["mstd"] = math.inf
    return RandAugment(
        **{**values, "n": int(values.get("n", 2)), "inc": bool(values.get("inc", 0))}
    )
