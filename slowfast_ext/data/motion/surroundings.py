"""What is around the objects: a periodic background, the camera, light and noise; none knows the class.

Shapes: T frames, H W pixels (H = W), last axis RGB.
"""

from dataclasses import dataclass

import numpy as np

from slowfast_ext.data.motion.settings import Level

Array = np.ndarray


@dataclass(frozen=True)
class Surroundings:
    """Sampled for a clip.

    `spectrum` of the background, half-plane of rfft2; `camera` path [T, 2] (x, y) in frame widths; `light`
    [T], what is added to a gain of 1; `slope` [2] of the light across the frame.
    """

    spectrum: Array
    camera: Array
    light: Array
    slope: Array

    def background(self, size: int) -> Array:
        """[T, H, W, 3] in [0, 1] as the camera sees it; [1, H, W, 3] where it stands still.

        The periodic texture is moved by a phase ramp on its spectrum: exact at any fraction of a pixel.
        """
        still = not self.camera.any()
        path_T2 = self.camera[:1] if still else self.camera
        fy_H, fx_W = np.fft.fftfreq(size, 1 / size), np.fft.rfftfreq(size, 1 / size)
        turns_THW = path_T2[:, 1, None, None] * fy_H[:, None] + path_T2[:, 0, None, None] * fx_W
        ramp_THW = np.exp(2j * np.pi * turns_THW).astype(np.complex64)
        moved = np.fft.irfft2(self.spectrum * ramp_THW[..., None], (size, size), axes=(1, 2))
        return moved.astype(np.float32)

    def illuminate(self, frames_THWC: Array) -> None:
        """Brighten and darken in place, over time and across the frame."""
        if not self.light.any():
            return
        across = np.linspace(-1, 1, frames_THWC.shape[1], dtype=np.float32)
        slope_HW = self.slope[1] * across[:, None] + self.slope[0] * across
        frames_THWC *= (1 + self.light[:, None, None] * (1 + slope_HW))[..., None]


def draw_surroundings(
    rng: np.random.Generator, level: Level, size: int, num_frames: int
) -> Surroundings:
    """Random surroundings; a camera or light that the level holds still has zeros."""
    clock_T = np.arange(num_frames) / num_frames
    bearing, shake = rng.uniform(0, 2 * np.pi, 2)
    drift_T2 = np.outer(clock_T, [np.cos(bearing), np.sin(bearing)])
    drift_T2 += 0.04 * np.sin(2 * np.pi * (2 * clock_T[:, None] + shake + np.array([0, 0.25])))
    swing_T = np.sin(2 * np.pi * (rng.uniform(0.4, 1.2) * clock_T + rng.random()))
    return Surroundings(
        spectrum=_texture(rng, level.contrast, size),
        camera=level.camera * rng.uniform(0.3, 1.0) * drift_T2,
        light=(level.light * swing_T).astype(np.float32),
        slope=rng.uniform(-0.5, 0.5, 2).astype(np.float32),
    )


def _texture(rng: np.random.Generator, contrast: float, size: int) -> Array:
    """Spectrum of clouds of a few waves around a dark colour; standard deviation `contrast` / 2."""
    waves = 6
    cloud = rng.normal(size=(size, size, 3)).astype(np.float32)
    spectrum = np.fft.rfft2(cloud, axes=(0, 1))
    fy_H, fx_W = np.fft.fftfreq(size, 1 / size), np.fft.rfftfreq(size, 1 / size)
    spectrum *= np.exp(-((np.hypot(fy_H[:, None], fx_W) / waves) ** 2))[..., None]
    spectrum[0, 0] = 0
    deviation = np.fft.irfft2(spectrum, (size, size), axes=(0, 1)).std()
    base = rng.uniform(0.1, 0.35) + rng.uniform(-0.08, 0.08, 3)
    spectrum *= contrast / 2 / deviation
    spectrum[0, 0] = base * size**2
    return spectrum.astype(np.complex64)
