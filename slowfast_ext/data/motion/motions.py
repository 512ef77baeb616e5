"""The 12 motions: one phase of the scene that runs, forwards or backwards.

Shapes: T frames, P phases.
"""

from enum import IntEnum

import numpy as np

Array = np.ndarray


class Phase(IntEnum):
    """Independent phases in [0, 1) that are uniform in every frame of every class.

    X, Y and SIZE belong to the single object, SEPARATION and BEARING to the pair, ANGLE to all. Place
    and angles close on themselves; size and separation restart at the other end of their range.
    """

    X = 0
    Y = 1
    SIZE = 2
    ANGLE = 3
    SEPARATION = 4
    BEARING = 5


MOTIONS: tuple[tuple[str, Phase, int], ...] = (
    ("move left", Phase.X, -1),
    ("move right", Phase.X, 1),
    ("move up", Phase.Y, -1),
    ("move down", Phase.Y, 1),
    ("come towards", Phase.SIZE, 1),
    ("go away", Phase.SIZE, -1),
    ("turn clockwise", Phase.ANGLE, 1),
    ("turn counter-clockwise", Phase.ANGLE, -1),
    ("two approach", Phase.SEPARATION, -1),
    ("two separate", Phase.SEPARATION, 1),
    ("two circle clockwise", Phase.BEARING, 1),
    ("two circle counter-clockwise", Phase.BEARING, -1),
)
"""Class name, the phase that runs, and which way."""

RATES = np.array([1.0, 1.0, 1.0, 0.6, 1.6, 0.8])
"""Loops of each phase while a scene's speed makes one: turns slow enough for eight frames to follow."""

CLASS_NAMES = tuple(name for name, _, _ in MOTIONS)


def run_phases(start_P: Array, label: int, speed: float, num_frames: int) -> Array:
    """Phases [T, P] of a class that begins at `start_P` and runs at `speed` [loops per file]."""
    _, phase, direction = MOTIONS[label]
    phases_TP = np.tile(start_P, (num_frames, 1))
    loops = direction * speed * RATES[phase]
    phases_TP[:, phase] += loops * np.arange(num_frames) / num_frames
    return phases_TP % 1.0
