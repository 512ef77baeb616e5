"""Loading against the plain way of the field: CPU time per video, ratios within one run.

Plain: decode for every view, PIL augmentation frame by frame (timm), normalised floats at the decoded size,
float resize, float32 batches. Ours: what the loaders run. Both end with the batch that goes to the device.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate
from yacs.config import CfgNode

from benchmarks.sample_clip import render_clip
from slowfast_ext.config import load_config
from slowfast_ext.data import sampling
from slowfast_ext.data.batch import stack_clips
from slowfast_ext.data.dataset import TestViews, TrainClips
from slowfast_ext.data.decode.source import VideoSource
from slowfast_ext.data.loader import start_worker
from slowfast_ext.data.records import VideoRecord, VideoSet
from slowfast_ext.data.samplers import Draw
from slowfast_ext.data.seeds import sample_rng
from slowfast_ext.data.transforms.box import crop
from slowfast_ext.data.transforms.resize_crop import RandomResizedCrop, cover_size, crop_box

POLICY = "rand-m7-n4-mstd0.5-inc1"
BATCH, SIZE, MEAN, STD = 4, 224, 0.45, 0.225
SAMPLING = sampling.SamplingOptions(num_frames=16, sampling_rate=4, frame_spacing="linspace")
VIEWS = sampling.ViewOptions(num_ensemble_views=10, num_spatial_crops=3)

Way = Callable[[int], Tensor]
"""One video (a batch of them in training) loaded; its argument is the number of the repeat."""


@dataclass(frozen=True)
class Case:
    """A row of the table: a kind of loading and the two ways to do it. `work` is ours, then plain."""

    name: str
    target: float
    copies: int = 1
    ways: tuple[str, str] = ("ours_training", "plain_training")


CASES = (
    Case("decoding of a training clip alone", 0.0, ways=("ours_decode", "plain_decode")),
    Case(
        "the same in the killable process (plain: without it)",
        0.0,
        ways=("GuardedDecode", "ours_decode"),
    ),
    Case("10 x 3 test views", 4.0, ways=("ours_views", "plain_views")),
    Case(f"training, {POLICY}", 2.0),
    Case(f"training, {POLICY}, 2 copies a decode", 2.0, copies=2),
)


def main(argv: Sequence[str]) -> int:
    """Print the table; exit code 1 where a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks data", description=__doc__)
    parser.add_argument("--repeats", type=int, default=9, help="measurements of each way")
    parser.add_argument("--gop", type=int, nargs="+", default=[12, 250], help="frames between keys")
    args = parser.parse_args(argv)
    missed = False
    print("CPU ms a video, one thread: medians | case | GOP | plain | ours | ratio | target |")
    with tempfile.TemporaryDirectory() as folder:
        for gop in args.gop:
            path = str(Path(folder) / f"gop{gop}.mp4")
            render_clip(path, gop)
            for case in CASES:
                ours, plain = (_median(way, path, case.copies, args.repeats) for way in case.ways)
                ratio = plain / ours
                missed |= ratio < case.target
                print(
                    f"| {case.name} | {gop} | {plain:.0f} | {ours:.0f} | {ratio:.1f} x | {case.target:g} x |"
                )
    return int(missed)


def _median(way: str, path: str, copies: int, repeats: int) -> float:
    """CPU milliseconds of one video, in a fresh process as a loader has it."""
    with ProcessPoolExecutor(1, get_context("spawn"), start_worker, (0,)) as pool:
        return pool.submit(measure, way, path, copies, repeats).result()


def measure(way: str, path: str, copies: int, repeats: int) -> float:
    """Median CPU milliseconds of a video, stacking of its batch included."""
    work: Any = WAYS[way](path, copies)
    clock, times = getattr(work, "cpu_seconds", time.process_time), []
    for repeat in range(repeats + 1):
        started = clock()
        work(repeat)
        times.append(clock() - started)
    return 1000 * float(np.median(times[1:])) / (BATCH if "training" in way else 1)


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


def plain_decode(path: str, copies: int) -> Callable[[int], np.ndarray]:
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


def plain_training(path: str, copies: int) -> Way:
    """One decode, then timm and PIL on each frame of each copy, then floats."""
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
        pixels, rng = _normalise(augmented), sample_rng(seed, 0, 0)
        height, width = pixels.shape[-2:]
        box = resized_crop.box(height, width, rng)
        clip = interpolate(
            crop(pixels, box), size=(SIZE, SIZE), mode="bilinear", align_corners=False
        )
        clip = clip.flip(-1) if rng.random() < 0.5 else clip
        if rng.random() < 0.25:
            clip[..., 50:140, 50:140] = torch.randn(len(clip), 3, 90, 90)
        return clip

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
        plain_decode,
        ours_views,
        ours_training,
        plain_views,
        plain_training,
    )
}
