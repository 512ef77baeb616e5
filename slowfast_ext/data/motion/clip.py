"""One clip: scene and surroundings sampled, then pixels.

Shapes: T frames, H W pixels, K objects, P window side; last axis RGB. Pixel centres lie at (i + 0.5) / H.
"""

import numpy as np

from slowfast_ext.data.motion.motions import run_phases
from slowfast_ext.data.motion.scene import Poses, Scene, draw_scene
from slowfast_ext.data.motion.settings import MotionSettings
from slowfast_ext.data.motion.sprites import Sprite
from slowfast_ext.data.motion.surroundings import Surroundings, draw_surroundings

Array = np.ndarray
SPLITS = ("train", "val")


def render_clip(index: int, split: str, label: int, settings: MotionSettings) -> Array:
    """Frames uint8 [T, H, W, 3] of clip `index` of "train" or "val" showing class `label`.

    The lots depend on seed, split and index alone: two labels at one index are the same scene in motion
    in two ways.
    """
    rng = np.random.default_rng([settings.seed, SPLITS.index(split), index])
    scene = draw_scene(rng, split, settings.facts)
    around = draw_surroundings(rng, settings.facts, settings.size, settings.num_frames)
    phases_TP = run_phases(scene.start, label, scene.speed, settings.num_frames)
    frames = draw_frames(scene, around, phases_TP, settings.size)
    if settings.facts.noise:
        frames += rng.normal(0, settings.facts.noise / 255, frames.shape).astype(np.float32)
    return (np.clip(frames, 0, 1) * 255 + 0.5).astype(np.uint8)


def draw_frames(scene: Scene, around: Surroundings, phases_TP: Array, size: int) -> Array:
    """Frames [T, H, W, 3] float32 in [0, 1] before noise: background, objects (the single one last, in front), light."""
    T = len(phases_TP)
    poses = scene.poses(phases_TP, np.arange(T) / T)
    background = around.background(size)
    frames = np.repeat(background, T // len(background), axis=0)
    for k in reversed(range(len(scene.sprites))):
        _draw_object(frames, scene.sprites[k], k, poses, around.camera)
    around.illuminate(frames)
    return frames


def _draw_object(frames: Array, sprite: Sprite, k: int, poses: Poses, camera_T2: Array) -> None:
    """Blend one object into all frames, in a window of P x P pixels around it on the torus."""
    T, size = frames.shape[:2]
    x_T = (poses.x[:, k] - camera_T2[:, 0]) * size
    y_T = (poses.y[:, k] - camera_T2[:, 1]) * size
    radius_T = poses.radius[:, k] * size
    reach = int(np.ceil(radius_T.max())) + 1
    columns_TP, dx_TP = _window(x_T, reach, size)
    rows_TP, dy_TP = _window(y_T, reach, size)
    x, y = _turned(dx_TP[:, None, :], dy_TP[:, :, None], poses.angle[:, k], radius_T)
    colour, cover = sprite.paint(x, y, (1 / radius_T).astype(np.float32)[:, None, None])
    where = (np.arange(T)[:, None, None], rows_TP[:, :, None], columns_TP[:, None, :])
    under = frames[where]
    frames[where] = under + cover[..., None] * (colour - under)


def _window(centre_T: Array, reach: int, size: int) -> tuple[Array, Array]:
    """Pixel indices on the torus, at most the whole of it, and their distance to the centre [px]."""
    side = min(2 * reach + 1, size)
    pixels_TP = np.floor(centre_T)[:, None].astype(np.int64) + np.arange(side) - side // 2
    offset_TP = pixels_TP + 0.5 - centre_T[:, None]
    return pixels_TP % size, offset_TP.astype(np.float32)


def _turned(dx: Array, dy: Array, angle_T: Array, radius_T: Array) -> tuple[Array, Array]:
    """Offsets in pixels -> sprite coordinates: turned back by the angle, over the radius."""
    cos = (np.cos(angle_T) / radius_T).astype(np.float32)[:, None, None]
    sin = (np.sin(angle_T) / radius_T).astype(np.float32)[:, None, None]
    return dx * cos + dy * sin, dy * cos - dx * sin
