"""RandAugment (Cubuk et al., 2020) with timm's policy strings and semantics, one draw for all frames.

`rand-m7-n4-mstd0.5-inc1`: n operations are drawn with replacement, each applied with probability p at
a magnitude drawn from N(m, mstd), cut off to [0, mmax]. Magnitudes are parts of 10.
Shapes: clip_TCHW uint8 RGB.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from slowfast_ext.data.transforms import photometric
from slowfast_ext.data.transforms.affine import Matrix, affine
from slowfast_ext.errors import ConfigError

FULL_LEVEL = 10.0
UNIFORM_MSTD = 100.0


@dataclass(frozen=True)
class Policy:
    """A parsed policy string; `mstd` infinite: magnitude uniform in [0, m]."""

    m: float = FULL_LEVEL
    n: int = 2
    p: float = 0.5
    mstd: float = 0.0
    mmax: float = FULL_LEVEL
    inc: bool = False


def parse_policy(text: str) -> Policy:
    """The policy that a string like `rand-m7-n4-mstd0.5-inc1` names. Raises ConfigError."""
    kind, *parts = text.split("-")
    values: dict[str, float] = {}
    for part in parts:
        match = re.fullmatch(r"(m|n|p|mstd|mmax|inc)(\d+(?:\.\d+)?|inf)", part)
        if match is None:
            kind = ""
            break
        values[match[1]] = float(match[2])
    if kind != "rand":
        raise ConfigError(
            f"AUG.AA_TYPE: {text!r} is no policy; expected rand, then any of -m7 (magnitude),"
            " -n4 (operations), -p0.5 (probability), -mstd0.5 (noise of the magnitude),"
            " -mmax10 (largest magnitude), -inc1 (operations that grow with the magnitude)"
        )
    if values.get("mstd", 0) > UNIFORM_MSTD:
        values["mstd"] = math.inf
    return Policy(**{**values, "n": int(values.get("n", 2)), "inc": bool(values.get("inc", 0))})


Signed = Callable[[float], float]
Operation = Callable[[Tensor, float, Signed, str], Tensor]
"""(clip, level, random sign, interpolation) -> clip; level is magnitude / 10."""


def _geometric(matrix: Callable[[float, int, int], Matrix], reach: float) -> Operation:
    def operation(clip: Tensor, level: float, signed: Signed, interpolation: str) -> Tensor:
        height, width = clip.shape[-2:]
        return affine(clip, matrix(signed(level * reach), height, width), interpolation)

    return operation


def rotation(degrees: float, height: int, width: int) -> Matrix:
    """Counter-clockwise about the centre of the frame."""
    angle = -math.radians(degrees)
    cos, sin = math.cos(angle), math.sin(angle)
    x, y = width / 2, height / 2
    return (cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y)


def _enhance(blend: Callable[[Tensor, float], Tensor], increasing: bool) -> Operation:
    """Factor 0.1 to 1.9, or, increasing, as far from 1 as the level says."""

    def operation(clip: Tensor, level: float, signed: Signed, _: str) -> Tensor:
        factor = max(0.1, 1 + signed(level * 0.9)) if increasing else level * 1.8 + 0.1
        return blend(clip, factor)

    return operation


def _plain(change: Callable[[Tensor], Tensor]) -> Operation:
    return lambda clip, level, signed, interpolation: change(clip)


def _levelled(change: Callable[[Tensor, int], Tensor], amount: Callable[[float], int]) -> Operation:
    return lambda clip, level, signed, interpolation: change(clip, amount(level))


def operations(inc: bool) -> dict[str, Operation]:
    """timm's 15 operations under their plain names; `inc`: stronger with the magnitude."""
    return {
        "AutoContrast": _plain(photometric.autocontrast),
        "Equalize": _plain(photometric.equalize),
        "Invert": _plain(photometric.invert),
        "Rotate": _geometric(rotation, 30),
        "Posterize": _levelled(
            photometric.posterize, lambda v: 4 - int(v * 4) if inc else int(v * 4)
        ),
        "Solarize": _levelled(
            photometric.solarize,
            lambda v: 256 - int(v * 256) if inc else min(256, int(v * 256)),
        ),
        "SolarizeAdd": _levelled(photometric.solarize_add, lambda v: min(128, int(v * 110))),
        "Color": _enhance(photometric.color, inc),
        "Contrast": _enhance(photometric.contrast, inc),
        "Brightness": _enhance(photometric.brightness, inc),
        "Sharpness": _enhance(photometric.sharpness, inc),
        "ShearX": _geometric(lambda v, h, w: (1, v, 0, 0, 1, 0), 0.3),
        "ShearY": _geometric(lambda v, h, w: (1, 0, 0, v, 1, 0), 0.3),
        "TranslateX": _geometric(lambda v, h, w: (1, 0, v * w, 0, 1, 0), 0.45),
        "TranslateY": _geometric(lambda v, h, w: (1, 0, 0, 0, 1, v * h), 0.45),
    }


@dataclass(frozen=True)
class Step:
    """One drawn operation: its name, level (magnitude / 10) and sign."""

    name: str
    level: float
    sign: float


class RandAugment:
    """Draws the steps of a clip and applies them to all its frames."""

    def __init__(self, policy: Policy, interpolation: str = "bicubic") -> None:
        self.policy = policy
        self.interpolation = interpolation
        self.operations = operations(policy.inc)

    def draw(self, rng: np.random.Generator) -> list[Step]:
        """The operations that are applied, in order; on average n * p of them."""
        policy = self.policy
        names = rng.choice(list(self.operations), policy.n)
        steps = []
        for name in names:
            applied, sign = rng.random() < policy.p, 1.0 if rng.random() < 0.5 else -1.0
            if math.isinf(policy.mstd):
                magnitude = rng.uniform(0, policy.m)
            else:
                magnitude = rng.normal(policy.m, policy.mstd)
            level = min(max(magnitude, 0.0), policy.mmax) / FULL_LEVEL
            if applied:
                steps.append(Step(str(name), level, sign))
        return steps

    def apply(self, clip_TCHW: Tensor, step: Step) -> Tensor:
        """The clip after one step."""
        operation = self.operations[step.name]
        return operation(clip_TCHW, step.level, lambda v: v * step.sign, self.interpolation)

    def __call__(self, clip_TCHW: Tensor, rng: np.random.Generator) -> Tensor:
        """The clip after the drawn steps."""
        for step in self.draw(rng):
            clip_TCHW = self.apply(clip_TCHW, step)
        return clip_TCHW
