"""The ways to load a video that `python -m benchmarks data` compares; each is made for a file and called with a number.

Sensible: decord, one decode for a clip and its three crops or its augmentation (timm on PIL frames), bytes to the end.
Plain: decode for every view, normalised floats at the decoded size, float resize, float32 batches.
Ours: what the loaders run. All end with the batch that goes to the device.
"""

import random
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate
from yacs.config import CfgNode

from slowfast_ext.config import load_config
from slowfast_ext.data import sampling
from slowfast_ext.data.batch import stack_clips
from slowfast_ext.data.dataset import TestViews, TrainClips
from slowfast_ext.data.decode.source import VideoSource
from slowfast_ext.data.records import VideoRecord, VideoSet
from slowfast_ext.data.samplers import Draw
from slowfast_ext.data.seeds import sample_rng
from slowfast_ext.data.transforms.box import Box, crop
from slowfast_ext.data.transforms.resize_crop import RandomResizedCrop, cover_size, crop_box

POLICY = "rand-m7-n4-mstd0.5-inc1"
BATCH, SIZE, MEAN, STD = 4, 224, 0.45, 0.225
SAMPLING = sampling.SamplingOptions(num_frames=16, sampling_rate=4, frame_spacing="linspace")
VIEWS = sampling.ViewOptions(num_ensemble_views=10, num_spatial_crops=3)

Way = Callable[[int], Tensor]
"""One video (a batch of them in training) loaded; its argument is the number of the repeat."""


def bench_cfg(path: str, copies: int, timeout: float = 0.0) -> CfgNode:
    """The recipe of UniFormer on Kinetics: 16 x 4, RandAugment, random-resized crop, erasing.

    Without a timeout the measured process decodes itself, where its CPU time is counted.
    """
    keys = {
        "OUTPUT_DIR": Path(path).parent,
        "DATA.DECODE_TIMEOUT": timeout,
        "DATA.NUM_FRAMES": SAMPLING.num_frames,
        "DATA.SAMPLING_RATE": SAMPLING.sampling_rate,
        "DATA.FRAME_SPACING": SAMPLING.frame_spacing,
        "DATA.TRAIN_JITTER_SCALES_RELATIVE": [0.08, 1.0],
        "DATA.TRAIN_JITTER_ASPECT_RELATIVE": [0.75, 1.3333],
        "AUG.AA_TYPE": POLICY,
        "AUG.NUM_SAMPLE": copies,
        "AUG.RE_PROB": 0.25,
        "TEST.NUM_ENSEMBLE_VIEWS": VIEWS.num_ensemble_views,
        "TEST.NUM_SPATIAL_CROPS": VIEWS.num_spatial_crops,
    }
    return load_config((), [str(part) for pair in keys.items() for part in pair])


def one_video(path: str) -> VideoSet:
    """A set of one record."""
    return VideoSet("bench", "train", [VideoRecord(path, (0,), "bench:1")])


def ours_decode(path: str, copies: int) -> Callable[[int], Tensor]:
    """The decoder that the index picks."""
    source, (record,) = VideoSource.from_cfg(bench_cfg(path, copies)), one_video(path)
    return lambda repeat: source.frames(record, _training_frames(repeat).tolist())


class GuardedDecode:
    """The same in the process that training runs decoders in, whose CPU time counts too."""

    def __init__(self, path: str, copies: int) -> None:
        self.source = VideoSource.from_cfg(bench_cfg(path, copies, timeout=60.0))
        (self.record,) = one_video(path)

    def __call__(self, repeat: int) -> Tensor:
        """The frames of a training clip."""
        return self.source.frames(self.record, _training_frames(repeat).tolist())

    def cpu_seconds(self) -> float:
        """CPU time of both processes."""
        return time.process_time() + self.source.watchdog.call(time.process_time)


def decord_decode(path: str, copies: int) -> Callable[[int], np.ndarray]:
    """decord."""
    return lambda repeat: _decode(path, lambda length: _training_frames(repeat))


def _training_frames(repeat: int) -> np.ndarray:
    return sampling.train_indices(300, 30.0, SAMPLING, sample_rng(0, repeat, 0))


def ours_views(path: str, copies: int, chosen: sampling.ViewOptions = VIEWS) -> Way:
    """The evaluation loader's item and batch."""
    cfg = bench_cfg(path, copies)
    views = TestViews.from_cfg(
        cfg, one_video(path), sampling.views(chosen), VideoSource.from_cfg(cfg)
    )

    def batch(repeat: int) -> Tensor:
        clips_VTCHW = views[0].views_VTCHW
        assert clips_VTCHW is not None
        return stack_clips([clips_VTCHW])

    return batch


def ours_training(path: str, copies: int) -> Way:
    """The training loader's items and batch."""
    cfg = bench_cfg(path, copies)
    clips = TrainClips.from_cfg(cfg, one_video(path), VideoSource.from_cfg(cfg))

    def batch(repeat: int) -> Tensor:
        items = [clips[Draw(repeat, 0, n)] for n in range(BATCH)]
        return stack_clips([clip for item in items for clip in item.clips_TCHW])

    return batch


def sensible_views(path: str, copies: int, chosen: sampling.ViewOptions = VIEWS) -> Way:
    """One reader; each clip is decoded once, scaled as bytes and cropped three times."""
    import decord

    def batch(repeat: int) -> Tensor:
        video, clips = decord.VideoReader(path, num_threads=1), []
        for clip in range(chosen.num_ensemble_views):
            indices = sampling.test_indices(
                len(video), 30.0, SAMPLING, clip, chosen.num_ensemble_views
            )
            frames_TCHW = torch.from_numpy(video.get_batch(indices.tolist()).asnumpy()).permute(
                0, 3, 1, 2
            )
            size = cover_size(frames_TCHW.shape[-2], frames_TCHW.shape[-1], SIZE)
            resized = interpolate(frames_TCHW, size=size, mode="bilinear", antialias=True)
            positions = range(chosen.num_spatial_crops)
            clips += [crop(resized, crop_box(*size, SIZE, position)) for position in positions]
        return torch.stack([clip.permute(0, 2, 3, 1) for clip in clips])

    return batch


def plain_views(path: str, copies: int, chosen: sampling.ViewOptions = VIEWS) -> Way:
    """Each view opens and decodes the video."""

    def view(clip: int, position: int) -> Tensor:
        clips = chosen.num_ensemble_views
        frames_THWC = _decode(path, lambda n: sampling.test_indices(n, 30.0, SAMPLING, clip, clips))
        pixels = _normalise(frames_THWC)
        height, width = pixels.shape[-2:]
        size = cover_size(height, width, SIZE)
        resized = interpolate(pixels, size=size, mode="bilinear", align_corners=False)
        return crop(resized, crop_box(*size, SIZE, position))

    return lambda repeat: torch.stack([view(v.clip, v.crop) for v in sampling.views(chosen)])


def sensible_training(path: str, copies: int) -> Way:
    """One decode, then timm and PIL on each frame of each copy, crop and resize as bytes."""

    def finish(augmented_THWC: np.ndarray, box: Box, rng: np.random.Generator) -> Tensor:
        part = crop(torch.from_numpy(augmented_THWC).permute(0, 3, 1, 2), box)
        clip = interpolate(part, size=(SIZE, SIZE), mode="bilinear", antialias=True)
        clip = clip.flip(-1) if rng.random() < 0.5 else clip
        if rng.random() < 0.25:
            noise = torch.randint(0, 256, (len(clip), 3, 90, 90), dtype=torch.uint8)
            clip[..., 50:140, 50:140] = noise
        return clip.permute(0, 2, 3, 1)

    return _with_timm(path, copies, finish)


def plain_training(path: str, copies: int) -> Way:
    """One decode, then timm and PIL on each frame of each copy, then floats."""

    def finish(augmented_THWC: np.ndarray, box: Box, rng: np.random.Generator) -> Tensor:
        part = crop(_normalise(augmented_THWC), box)
        clip = interpolate(part, size=(SIZE, SIZE), mode="bilinear", align_corners=False)
        clip = clip.flip(-1) if rng.random() < 0.5 else clip
        if rng.random() < 0.25:
            clip[..., 50:140, 50:140] = torch.randn(len(clip), 3, 90, 90)
        return clip

    return _with_timm(path, copies, finish)


def _with_timm(
    path: str, copies: int, finish: Callable[[np.ndarray, Box, np.random.Generator], Tensor]
) -> Way:
    from PIL import Image
    from timm.data.auto_augment import rand_augment_transform

    augment = rand_augment_transform(
        POLICY, {"img_mean": (128,) * 3, "interpolation": Image.Resampling.BICUBIC}
    )
    resized_crop = RandomResizedCrop(SIZE, (0.08, 1.0), (0.75, 1.3333))

    def same_draw(frame: np.ndarray, seed: int) -> np.ndarray:
        random.seed(seed)
        np.random.seed(seed)
        return np.asarray(augment(Image.fromarray(frame)))

    def copy(frames_THWC: np.ndarray, seed: int) -> Tensor:
        augmented = np.stack([same_draw(frame, seed) for frame in frames_THWC])
        rng = sample_rng(seed, 0, 0)
        box = resized_crop.box(augmented.shape[1], augmented.shape[2], rng)
        return finish(augmented, box, rng)

    def batch(repeat: int) -> Tensor:
        clips = []
        for n in range(BATCH):
            rng = sample_rng(0, repeat, n)
            frames = _decode(
                path, partial(sampling.train_indices, fps=30.0, options=SAMPLING, rng=rng)
            )
            clips += [copy(frames, repeat * 100 + n * 10 + c) for c in range(copies)]
        return torch.stack(clips)

    return batch


def _decode(path: str, choose: Callable[[int], np.ndarray]) -> np.ndarray:
    import decord

    video = decord.VideoReader(path, num_threads=1)
    return video.get_batch(choose(len(video)).tolist()).asnumpy()


def _normalise(frames_THWC: np.ndarray) -> Tensor:
    pixels = torch.from_numpy(frames_THWC).float() / 255
    return ((pixels - MEAN) / STD).permute(0, 3, 1, 2)


WAYS: dict[str, Callable[..., Any]] = {
    f.__name__: f
    for f in (
        GuardedDecode,
        ours_decode,
        decord_decode,
        ours_views,
        ours_training,
        sensible_views,
        sensible_training,
        plain_views,
        plain_training,
    )
}
