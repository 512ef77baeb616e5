"""Sprites: a shape given by its radius over the polar angle, and a texture of two colours.

Training and validation draw from disjoint families of both. Textures break every rotational symmetry of a
shape that a turn could alias with. Coordinates x, y in [-1, 1] are those of the sprite, y down.
"""

import colorsys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Array = np.ndarray
Radius = Callable[[Array, float], Array]
Texture = Callable[[Array, Array, float], Array]
TAU = 2 * np.pi


def _polygon(sides: int) -> Radius:
    sector = TAU / sides
    return lambda a, u: np.cos(sector / 2) / np.cos(a % sector - sector / 2)


def _blob(first: int, second: int) -> Radius:
    return lambda a, u: (1 + 0.25 * np.cos(first * a) + 0.15 * np.cos(second * a + TAU * u)) / 1.4


def _star(points: int, depth: float) -> Radius:
    return lambda a, u: 1 - (depth + 0.2 * u) * np.abs((a * points / TAU) % 1 * 2 - 1)


def _cut_disc(a: Array, u: float) -> Array:
    cut = 0.2 + 0.3 * u
    return np.minimum(1, cut / np.maximum(np.cos(a), cut))


SHAPES: dict[str, tuple[Radius, ...]] = {
    "train": (_polygon(3), _polygon(4), _polygon(5), _blob(2, 3), _blob(3, 1), _blob(1, 2)),
    "val": (_star(4, 0.35), _star(3, 0.4), _star(2, 0.3), _star(1, 0.4), _cut_disc),
}
"""Radius of a shape at a polar angle, at most 1, for a number u in [0, 1]."""

TEXTURES: dict[str, tuple[Texture, ...]] = {
    "train": (
        lambda x, y, u: x + 0.4 * (u - 0.5),
        lambda x, y, u: 0.3 + 0.2 * u - np.hypot(x - 0.4, y),
        lambda x, y, u: np.hypot(x + 0.3, y) - 0.5 - 0.2 * u,
        lambda x, y, u: 0.7 * x - np.abs(y) + 0.3 * u,
        lambda x, y, u: x + (0.5 + u) * y * y - 0.2,
        lambda x, y, u: np.maximum(0.2 - np.abs(y - 0.2 * u), 0.1 - x) - 0.1,
    ),
    "val": (
        lambda x, y, u: np.minimum(x, y) + 0.3 * u,
        lambda x, y, u: 0.2 + 0.15 * u - np.abs(x - 0.35),
        lambda x, y, u: (0.4 + 0.4 * u) * np.abs(y) - x,
        lambda x, y, u: x + 0.25 * np.sin((5 + 3 * u) * y),
    ),
}
"""Signed depth in the second colour's region, > 0 inside, for a number u in [0, 1]."""


@dataclass(frozen=True)
class Sprite:
    """A shape with a texture, varied by one number u in [0, 1]; colours are RGB in [0, 1]."""

    shape: Radius
    texture: Texture
    u: float
    colours: tuple[Array, Array]

    def paint(self, x: Array, y: Array, pixel: Array) -> tuple[Array, Array]:
        """Colour [..., 3] and coverage [...] at sprite coordinates; edges one `pixel` wide."""
        depth = self.shape(np.arctan2(y, x), self.u) - np.hypot(x, y)
        second = np.clip(self.texture(x, y, self.u) / pixel + 0.5, 0, 1)[..., None]
        first_colour, second_colour = self.colours
        colour = first_colour + second * (second_colour - first_colour)
        return colour, np.clip(depth / pixel + 0.5, 0, 1)


def random_sprite(rng: np.random.Generator, split: str) -> Sprite:
    """A sprite of the split's families: a bright colour and one of the opposite hue, either first."""
    shapes, textures = SHAPES[split], TEXTURES[split]
    hue = rng.random()
    bright = _rgb(hue, rng.uniform(0.5, 1.0), 1.0)
    other = _rgb(hue + rng.uniform(0.35, 0.65), rng.uniform(0.3, 1.0), rng.uniform(0.6, 1.0))
    colours = (bright, other) if rng.random() < 0.5 else (other, bright)
    shape, texture = shapes[rng.integers(len(shapes))], textures[rng.integers(len(textures))]
    return Sprite(shape, texture, rng.random(), colours)


def _rgb(hue: float, saturation: float, value: float) -> Array:
    return np.array(colorsys.hsv_to_rgb(hue % 1.0, saturation, value), dtype=np.float32)
