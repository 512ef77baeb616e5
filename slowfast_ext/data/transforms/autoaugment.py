"""AutoAugment (Cubuk et al., 2019) with timm's policies and semantics, one draw for all frames.

`original` is the paper's policy for ImageNet, `v0` the one of TPU EfficientNet; an `r` behind them takes the
Posterize of Google's research code, which grows with the magnitude. `3a` is DeiT III's. `-mstd0.5`
adds noise to the magnitudes. A pair of operations is drawn, and each is applied with its own probability.
"""

import re
from dataclasses import dataclass

import numpy as np

from slowfast_ext.data.transforms.operations import Step
from slowfast_ext.data.transforms.randaugment import FULL_LEVEL, draw_level
from slowfast_ext.errors import ConfigError

_V0 = """
Equalize 0.8 1, ShearY 0.8 4
Color 0.4 9, Equalize 0.6 3
Color 0.4 1, Rotate 0.6 8
Solarize 0.8 3, Equalize 0.4 7
Solarize 0.4 2, Solarize 0.6 2
Color 0.2 0, Equalize 0.8 8
Equalize 0.4 8, SolarizeAdd 0.8 3
ShearX 0.2 9, Rotate 0.6 8
Color 0.6 1, Equalize 1.0 2
Invert 0.4 9, Rotate 0.6 0
Equalize 1.0 9, ShearY 0.6 3
Color 0.4 7, Equalize 0.6 0
Posterize 0.4 6, AutoContrast 0.4 7
Solarize 0.6 8, Color 0.6 9
Solarize 0.2 4, Rotate 0.8 9
Rotate 1.0 7, TranslateYRel 0.8 9
ShearX 0.0 0, Solarize 0.8 4
ShearY 0.8 0, Color 0.6 4
Color 1.0 0, Rotate 0.6 2
Equalize 0.8 4, Equalize 0.0 8
Equalize 1.0 4, AutoContrast 0.6 2
ShearY 0.4 7, SolarizeAdd 0.6 7
Posterize 0.8 2, Solarize 0.6 10
Solarize 0.6 8, Equalize 0.6 1
Color 0.8 6, Rotate 0.4 5
"""

_ORIGINAL = """
PosterizeOriginal 0.4 8, Rotate 0.6 9
Solarize 0.6 5, AutoContrast 0.6 5
Equalize 0.8 8, Equalize 0.6 3
PosterizeOriginal 0.6 7, PosterizeOriginal 0.6 6
Equalize 0.4 7, Solarize 0.2 4
Equalize 0.4 4, Rotate 0.8 8
Solarize 0.6 3, Equalize 0.6 7
PosterizeOriginal 0.8 5, Equalize 1.0 2
Rotate 0.2 3, Solarize 0.6 8
Equalize 0.6 8, PosterizeOriginal 0.4 6
Rotate 0.8 8, Color 0.4 0
Rotate 0.4 9, Equalize 0.6 2
Equalize 0.0 7, Equalize 0.8 8
Invert 0.6 4, Equalize 1.0 8
Color 0.6 4, Contrast 1.0 8
Rotate 0.8 8, Color 1.0 2
Color 0.8 8, Solarize 0.8 7
Sharpness 0.4 7, Invert 0.6 8
ShearX 0.6 5, Equalize 1.0 9
Color 0.4 0, Equalize 0.6 3
Equalize 0.4 7, Solarize 0.2 4
Solarize 0.6 5, AutoContrast 0.6 5
Invert 0.6 4, Equalize 1.0 8
Color 0.6 4, Contrast 1.0 8
Equalize 0.8 8, Equalize 0.6 3
"""

POLICIES = {
    "v0": _V0,
    "v0r": _V0.replace("Posterize", "PosterizeIncreasing"),
    "original": _ORIGINAL,
    "originalr": _ORIGINAL.replace("PosterizeOriginal", "PosterizeIncreasing"),
    "3a": "Solarize 1.0 5\nDesaturate 1.0 10\nGaussianBlurRand 1.0 10",
}
"""A line is a sequence of (operation, probability, magnitude); one line is drawn."""

RANDOM_BLUR = "GaussianBlurRand"


@dataclass(frozen=True)
class AutoAugment:
    """A policy, which draws the steps of a clip; `mstd` is the standard deviation of magnitudes."""

    policy: str
    mstd: float = 0.0

    def draw(self, rng: np.random.Generator) -> list[Step]:
        """The operations that are applied, in order."""
        lines = POLICIES[self.policy].strip().splitlines()
        steps = []
        for entry in lines[int(rng.integers(len(lines)))].split(","):
            name, probability, magnitude = entry.split()
            applied, sign = rng.random() < float(probability), 1.0 if rng.random() < 0.5 else -1.0
            level = draw_level(float(magnitude), self.mstd, FULL_LEVEL, rng)
            if name == RANDOM_BLUR:
                # A radius uniform in [0.1, 2 level], as the level of the plain blur.
                name, level = "GaussianBlur", (rng.uniform(0.1, 2 * level) - 0.1) / 1.9
            if applied:
                steps.append(Step(name, level, sign))
        return steps


def parse_autoaugment(text: str) -> AutoAugment:
    """The policy that a string like `v0` or `original-mstd0.5` names. Raises ConfigError."""
    name, _, noise = text.partition("-")
    match = re.fullmatch(r"mstd(\d+(?:\.\d+)?)", noise)
    if name not in POLICIES or (noise and not match):
        raise ConfigError(
            f"AUG.AA_TYPE: {text!r} is not a known policy; expected one of {', '.join(POLICIES)}, perhaps"
            " with -mstd0.5 (noise of the magnitudes), or RandAugment: rand-m7-n4-mstd0.5-inc1"
        )
    return AutoAugment(name, float(match[1]) if match else 0.0)
