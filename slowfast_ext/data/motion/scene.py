"""A scene: everything that is drawn, as a function of the phases; nothing in it knows the class.

The frame is a torus of side 1: what leaves on one side comes back on the other. Shapes: T frames,
K objects (the single one, the pair, the distractors), P phases; y down, angles clockwise.
"""

from dataclasses import dataclass

import numpy as np

from slowfast_ext.data.motion.motions import Phase
from slowfast_ext.data.motion.settings import Level
from slowfast_ext.data.motion.sprites import Sprite, random_sprite

Array = np.ndarray

RADII = (0.09, 0.19)
SEPARATIONS = (0.12, 0.54)
MIDDLES = (0.3, 0.7)
SWAY = 0.06
"""Ranges of an object's radius, of the pair's distance and of its middle, and how far a distractor sways
[frame widths]. The middle keeps clear of the frame's edges: across an edge, two that come nearer would be
seen to part."""


@dataclass(frozen=True)
class Poses:
    """Where objects are, each [T, K]: centre (x, y), radius [frame widths] and angle [radians]."""

    x: Array
    y: Array
    radius: Array
    angle: Array


@dataclass(frozen=True)
class Scene:
    """What was sampled for a clip.

    `start` [P] the phases of the first frame; `fixed` [K, 4] further phases (x, y, size, angle) of every
    object, the pair's x, y being those of its middle, at index 1; `sway` [K - 3, 3] rate
    [swings per file], phase and bearing of each distractor.
    """

    sprites: tuple[Sprite, ...]
    start: Array
    speed: float
    fixed: Array
    sway: Array

    def poses(self, phases_TP: Array, clock_T: Array) -> Poses:
        """Poses of all objects at phases; distractors sway with the clock (0 to 1 over the file)."""
        T = len(phases_TP)
        x, y, size, angle = (
            np.repeat(column[None], T, axis=0) for column in self.fixed.astype(np.float32).T
        )
        x[:, 0], y[:, 0], size[:, 0] = phases_TP[:, [Phase.X, Phase.Y, Phase.SIZE]].T
        angle += phases_TP[:, [Phase.ANGLE]]
        _place_pair(x, y, phases_TP)
        self._sway(x, y, clock_T)
        return Poses(x, y, _between(RADII, size, log=True), 2 * np.pi * angle)

    def _sway(self, x_TK: Array, y_TK: Array, clock_T: Array) -> None:
        for k, (rate, phase, bearing) in enumerate(self.sway, start=3):
            swing_T = SWAY * np.sin(2 * np.pi * (rate * clock_T + phase))
            x_TK[:, k] += swing_T * np.cos(bearing)
            y_TK[:, k] += swing_T * np.sin(bearing)


def _place_pair(x_TK: Array, y_TK: Array, phases_TP: Array) -> None:
    """Objects 1 and 2 on both sides of their middle."""
    x_TK[:, 1], y_TK[:, 1] = _between(MIDDLES, x_TK[:, 1]), _between(MIDDLES, y_TK[:, 1])
    half_T = _between(SEPARATIONS, phases_TP[:, Phase.SEPARATION]) / 2
    bearing_T = 2 * np.pi * phases_TP[:, Phase.BEARING]
    for k, side in ((2, 1), (1, -1)):
        x_TK[:, k] = x_TK[:, 1] + side * half_T * np.cos(bearing_T)
        y_TK[:, k] = y_TK[:, 1] + side * half_T * np.sin(bearing_T)


def _between(bounds: tuple[float, float], phase: Array, log: bool = False) -> Array:
    low, high = bounds
    return low * (high / low) ** phase if log else low + (high - low) * phase


def draw_scene(rng: np.random.Generator, split: str, level: Level) -> Scene:
    """A random scene, with sprites of the split's families."""
    count = 3 + level.distractors
    return Scene(
        sprites=tuple(random_sprite(rng, split) for _ in range(count)),
        start=rng.random(len(Phase)),
        speed=rng.uniform(*level.speed),
        fixed=rng.random((count, 4)),
        sway=rng.uniform((0.5, 0, 0), (1.5, 1, 2 * np.pi), (level.distractors, 3)),
    )
