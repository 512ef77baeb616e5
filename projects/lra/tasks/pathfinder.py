"""Pathfinder-32: do two discs sit on one dashed curve? (Linsley et al., 2018; Long Range Arena's settings.)

Two curves grow in turn, dash after dash, from tips a fixed distance apart: a new dash turns by an angle with
density cos^2(CONTINUITY * angle) and keeps clear of all others. Short curves distract. Geometry in pixels, (x, y).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from projects.lra.options import LraOptions, PathfinderOptions
from projects.lra.tasks.base import TASKS, Examples, Splits, Task
from projects.lra.tasks.generated import generated_splits, make_all
from slowfast_ext.data.seeds import sample_rng

SIDE, PADDING_PX, SEED_DISTANCE = 32, 1, 7
DASH, MARGIN, THICKNESS, RADIUS = 2.0, 1.0, 0.5, 1.5
CONTINUITY, CONTRAST = 1.0, 1.5
DISTRACTOR_DASHES, TRIALS = 20, 5
DIRECTIONS = np.arange(64) * (2 * np.pi / 64)
ALONG = np.array([0.0, 0.5, 1.0]) * DASH

Array = np.ndarray


@TASKS.register("pathfinder", PathfinderOptions)
class Pathfinder(Task):
    """Two classes: discs on two curves, on one. A black pixel is id 0, which is padding (as in LRA's code)."""

    vocabulary, classes, length = 512, 2, SIDE * SIDE

    def __init__(self, options: LraOptions, own: PathfinderOptions) -> None:
        super().__init__(options)
        self.contour = own.contour

    def read(self) -> Splits:
        """Generated on first use; labels alternate."""
        seed, workers = self.options.seed, self.options.workers
        make = partial(images, seed=seed, contour=self.contour, workers=workers)
        return generated_splits(self.options, f"pathfinder{SIDE}-{self.contour}", make)


@dataclass(frozen=True)
class Curve:
    """Dashes from `tails` to `heads`, [dashes, 2] each."""

    tails: Array
    heads: Array

    @property
    def tips(self) -> tuple[Array, Array]:
        """Where it begins and ends."""
        return self.tails[0], self.heads[-1]


@dataclass(frozen=True)
class Scene:
    """Two curves, short distractors, and where the discs are."""

    curves: tuple[Curve, Curve]
    distractors: tuple[Curve, ...]
    discs: tuple[Array, Array]


def images(count: int, seed: int, contour: int, workers: int = 1) -> Examples:
    """`count` images as sequences of grey levels, row after row."""
    made = make_all(partial(draw, seed=seed, contour=contour), count, workers)
    return Examples.join(made, [index % 2 for index in range(count)])


def draw(index: int, seed: int, contour: int) -> Array:
    """Image `index` of a set, [SIDE * SIDE] grey levels; odd ones have both discs on one curve."""
    return render(make_scene(sample_rng(seed, contour, index), index % 2, contour)).ravel()


def make_scene(rng: np.random.Generator, label: int, contour: int) -> Scene:
    """A scene; for label 1 both discs are on the same curve."""
    curves = None
    while curves is None:
        curves = _two_curves(rng, contour)
    short = max(contour // 3, 1)
    taken = [*curves]
    for _ in range(DISTRACTOR_DASHES // short):
        found = (_grow(rng, [_random_start(rng)], short, taken) for _ in range(TRIALS))
        taken += next((pieces for pieces in found if pieces), [])
    first = int(rng.integers(2))
    discs = curves[first].tips[0], curves[first if label else 1 - first].tips[1]
    return Scene(curves, tuple(taken[2:]), discs)


def render(scene: Scene) -> Array:
    """Grey levels [SIDE, SIDE] uint8: dashes and discs with edges one pixel wide, on black."""
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    pixels = np.stack([x, y], axis=-1).reshape(-1, 1, 2)
    drawn = (*scene.curves, *scene.distractors)
    tails = np.concatenate([curve.tails for curve in drawn])
    spans = np.concatenate([curve.heads for curve in drawn]) - tails
    share = ((pixels - tails) * spans).sum(-1) / (spans**2).sum(-1)
    nearest = tails + np.clip(share, 0, 1)[..., None] * spans
    dashes = CONTRAST * _coverage(pixels - nearest, THICKNESS / 2)
    discs = _coverage(pixels - np.stack(scene.discs), RADIUS)
    light = np.maximum(dashes.max(1), discs.max(1)).clip(0, 1)
    return np.rint(255 * light).astype(np.uint8).reshape(SIDE, SIDE)


def _coverage(offset: Array, radius: float) -> Array:
    return np.clip(0.5 + radius - np.linalg.norm(offset, axis=-1), 0, 1)


def _two_curves(rng: np.random.Generator, dashes: int) -> tuple[Curve, Curve] | None:
    first = rng.uniform(2 * SEED_DISTANCE, SIDE - 2 * SEED_DISTANCE, 2)
    second = first + SEED_DISTANCE * _unit(rng.uniform(0, 2 * np.pi))
    starts = [(tip, rng.uniform(0, 2 * np.pi)) for tip in (first, second)]
    grown = _grow(rng, starts, dashes, [])
    return (grown[0], grown[1]) if grown else None


def _random_start(rng: np.random.Generator) -> tuple[Array, float]:
    return rng.uniform(PADDING_PX, SIDE - PADDING_PX, 2), rng.uniform(0, 2 * np.pi)


def _grow(
    rng: np.random.Generator,
    starts: Sequence[tuple[Array, float]],
    dashes: int,
    taken: Sequence[Curve],
) -> list[Curve] | None:
    """Curves that grow in turn from tips and directions and keep clear of one another; None at a dead end."""
    obstacles = [(-1, _points(curve.tails, curve.heads)) for curve in taken]
    tails: list[list[Array]] = [[] for _ in starts]
    heads: list[list[Array]] = [[] for _ in starts]
    bearing = [angle for _, angle in starts]
    for number in range(dashes):
        for which, (tip, angle) in enumerate(starts):
            own = [points for owner, points in obstacles if owner == which][-1:]
            others = [points for _, points in obstacles if not any(points is o for o in own)]
            pivot = tip if number == 0 else heads[which][-1] + MARGIN * _unit(bearing[which])
            angles = np.array([angle]) if number == 0 else DIRECTIONS
            gap = 0.0 if number == 0 else MARGIN
            turned = _turn(rng, pivot, bearing[which], angles, gap, others)
            if turned is None:
                return None
            bearing[which], tail, head = turned
            tails[which].append(tail)
            heads[which].append(head)
            obstacles.append((which, _points(tail[None], head[None])))
    return [Curve(np.stack(t), np.stack(h)) for t, h in zip(tails, heads, strict=True)]


def _turn(
    rng: np.random.Generator,
    pivot: Array,
    bearing: float,
    angles: Array,
    gap: float,
    obstacles: Sequence[Array],
) -> tuple[float, Array, Array] | None:
    """A free dash `gap` away from the pivot: its angle, tail and head; None where there is none."""
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    points = pivot + directions[:, None] * (gap + ALONG)[:, None]
    free = ((points > PADDING_PX) & (points < SIDE - PADDING_PX)).all((1, 2))
    if obstacles:
        apart = points[:, :, None] - np.concatenate(obstacles)
        free &= (apart**2).sum(-1).min((1, 2)) > (MARGIN + THICKNESS) ** 2
    turn = np.abs((angles - bearing + np.pi) % (2 * np.pi) - np.pi)
    density = free * np.cos(np.minimum(CONTINUITY * turn, np.pi / 2)) ** 2
    if density.sum() < 1e-4:
        return None
    chosen = rng.choice(len(angles), p=density / density.sum())
    return float(angles[chosen]), points[chosen, 0], points[chosen, -1]


def _points(tails: Array, heads: Array) -> Array:
    """Three points of each dash, [3 * dashes, 2]."""
    shares = (ALONG / DASH)[:, None, None]
    return (tails + shares * (heads - tails)).reshape(-1, 2)


def _unit(angle: float) -> Array:
    return np.array([np.cos(angle), np.sin(angle)])
