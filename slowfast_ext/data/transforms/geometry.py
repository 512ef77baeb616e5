"""Where the pixels of a training clip lie in its frames: what is drawn, without the pixels."""

from typing import NamedTuple

import numpy as np

from slowfast_ext.data.transforms.affine import Matrix
from slowfast_ext.data.transforms.augmented_crop import AugmentedCrop
from slowfast_ext.data.transforms.box import Box, HeightWidth
from slowfast_ext.data.transforms.flip import HorizontalFlip
from slowfast_ext.data.transforms.operations import OPERATIONS, Geometric
from slowfast_ext.data.transforms.pipeline import ClipTransform, Compose
from slowfast_ext.data.transforms.resize_crop import RandomCrop


class Geometry(NamedTuple):
    """Frames of a `size` are moved by affine maps (`affine`) in order, then cropped to `box`, then perhaps mirrored."""

    size: HeightWidth
    moves: tuple[Matrix, ...]
    box: Box
    mirrored: bool


def drawn_geometry(
    transform: ClipTransform, size: HeightWidth, rng: np.random.Generator
) -> Geometry:
    """What `transform` would do to the places of pixels in frames of `size` with this generator.

    It draws the same numbers in the same order as the transform itself; what comes after the flip changes colours alone.
    """
    moves: list[Matrix] = []
    box, mirrored = Box.whole(size), False
    for step in transform.transforms if isinstance(transform, Compose) else (transform,):
        if isinstance(step, AugmentedCrop):
            steps, box = step.draw(*size, rng)
            for drawn in steps:
                operation = OPERATIONS[drawn.name]
                if isinstance(operation, Geometric):
                    moves.append(operation.matrix(drawn, size))
        elif isinstance(step, RandomCrop):
            box = step.box(*size, rng)
        elif isinstance(step, HorizontalFlip):
            mirrored = step.draw(rng)
        else:
            break
    return Geometry(size, tuple(moves), box, mirrored)
