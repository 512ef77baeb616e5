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

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate
from yacs.config import CfgNode

from benchmarks.sample_clip import render_clip
from slowfast_ext.config import get_cfg
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
BATCH = 4


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
    work = WAYS[way](bench_cfg(path, copies), path)
    clock, times = getattr(work, "cpu_seconds", time.process_time), []
    for repeat in range(repeats + 1):
        started = clock()
        work(repeat)
        times.append(clock() - started)
    return 1000 * float(np.median(times[1:])) / (BATCH if "training" in way else 1)


def bench_cfg(path: str, copies: int) -> CfgNode:
    """The recipe of UniFormer on Kinetics: 16 x 4, RandAugment, random-resized crop, erasing."""
    cfg = get_cfg()
    cfg.OUTPUT_DIR = str(Path(path).parent)
    # Decoding in the measured process, where its CPU time is counted.
    cfg.DATA.DECODE_TIMEOUT = 0.0
    cfg.DATA.NUM_FRAMES, cfg.DATA.SAMPLING_RATE, cfg.DATA.FRAME_SPACING = 16, 4, "linspace"
    cfg.DATA.TRAIN_JITTER_SCALES_RELATIVE = [0.08, 1.0]
    cfg.DATA.TRAIN_JITTER_ASPECT_RELATIVE = [0.75, 1.3333]
    cfg.AUG.AA_TYPE, cfg.AUG.NUM_SAMPLE, cfg.AUG.RE_PROB = POLICY, copies, 0.25
    cfg.TEST.NUM_ENSEMBLE_VIEWS, cfg.TEST.NUM_SPATIAL_CROPS = 10, 3
    return cfg


def one_video(path: str) -> VideoSet:
    """A set of one record."""
    return VideoSet("bench", "train", [VideoRecord(path, (0,), "bench:1")])


def ours_decode(cfg: CfgNode, path: str) -> Callable[[int], Tensor]:
    """The decoder that the index picks."""
    source, (record,) = VideoSource.from_cfg(cfg), one_video(path)
    return lambda repeat: source.frames(record, _training_frames(cfg, repeat))


class GuardedDecode:
    """The same in the process that training runs decoders in, whose CPU time counts too."""

    def __init__(self, cfg: CfgNode, path: str) -> None:
        cfg.DATA.DECODE_TIMEOUT = 60.0
        self.cfg, self.source = cfg, VideoSource.from_cfg(cfg)
        (self.record,) = one_video(path)

    def __call__(self, repeat: int) -> Tensor:
        """The frames of a training clip."""
        return self.source.frames(self.record, _training_frames(self.cfg, repeat))

    def cpu_seconds(self) -> float:
        """CPU time of both processes."""
        return time.process_time() + self.source.watchdog.call(time.process_time)


def plain_decode(cfg: CfgNode, path: str) -> Callable[[int], np.ndarray]:
    """decord."""
    return lambda repeat: _decode(path, lambda length: _training_frames(cfg, repeat))


def _training_frames(cfg: CfgNode, repeat: int) -> np.ndarray:
    return sampling.train_indices(300, 30.0, cfg, sample_rng(0, repeat, 0))


def ours_views(cfg: CfgNode, path: str) -> Callable[[int], Tensor]:
    """The evaluation loader's item and batch."""
    views = TestViews.from_cfg(cfg, one_video(path), sampling.views(cfg), VideoSource.from_cfg(cfg))
    return lambda repeat: stack_clips([views[0].views_VTCHW])


def ours_training(cfg: CfgNode, path: str) -> Callable[[int], Tensor]:
    """The training loader's items and batch."""
    clips = TrainClips.from_cfg(cfg, one_video(path), VideoSource.from_cfg(cfg))

    def batch(repeat: int) -> Tensor:
        items = [clips[Draw(repeat, 0, n)] for n in range(BATCH)]
        return stack_clips([clip for item in items for clip in item.clips_TCHW])

    return batch


def plain_views(cfg: CfgNode, path: str) -> Callable[[int], Tensor]:
    """Each view opens and decodes the video."""

    def view(clip: int, place: int) -> Tensor:
        clips = cfg.TEST.NUM_ENSEMBLE_VIEWS
        frames_THWC = _decode(path, lambda n: sampling.test_indices(n, 30.0, cfg, clip, clips))
        pixels = _normalise(frames_THWC, cfg)
        size = cover_size(*pixels.shape[-2:], cfg.DATA.TEST_CROP_SIZE)
        resized = interpolate(pixels, size=size, mode="bilinear", align_corners=False)
        return crop(resized, crop_box(*size, cfg.DATA.TEST_CROP_SIZE, place))

    return lambda repeat: torch.stack([view(v.clip, v.crop) for v in sampling.views(cfg)])


def plain_training(cfg: CfgNode, path: str) -> Callable[[int], Tensor]:
    """One decode, then timm and PIL on each frame of each copy, then floats."""
    from PIL import Image
    from timm.data.auto_augment import rand_augment_transform

    augment = rand_augment_transform(
        POLICY, {"img_mean": (128,) * 3, "interpolation": Image.BICUBIC}
    )
    resized_crop = RandomResizedCrop(224, (0.08, 1.0), (0.75, 1.3333))

    def same_draw(frame: np.ndarray, seed: int) -> np.ndarray:
        random.seed(seed)
        np.random.seed(seed)
        return np.asarray(augment(Image.fromarray(frame)))

    def copy(frames_THWC: np.ndarray, seed: int) -> Tensor:
        augmented = np.stack([same_draw(frame, seed) for frame in frames_THWC])
        pixels, rng = _normalise(augmented, cfg), sample_rng(seed, 0, 0)
        box = resized_crop.box(*pixels.shape[-2:], rng)
        clip = interpolate(crop(pixels, box), size=(224, 224), mode="bilinear", align_corners=False)
        clip = clip.flip(-1) if rng.random() < 0.5 else clip
        if rng.random() < 0.25:
            clip[..., 50:140, 50:140] = torch.randn(len(clip), 3, 90, 90)
        return clip

    def batch(repeat: int) -> Tensor:
        clips = []
        for n in range(BATCH):
            rng = sample_rng(0, repeat, n)
            frames = _decode(path, partial(sampling.train_indices, fps=30.0, cfg=cfg, rng=rng))
            clips += [copy(frames, repeat * 100 + n * 10 + c) for c in range(cfg.AUG.NUM_SAMPLE)]
        return torch.stack(clips)

    return batch


def _decode(path: str, choose: Callable[[int], np.ndarray]) -> np.ndarray:
    import decord

    video = decord.VideoReader(path, num_threads=1)
    return video.get_batch(choose(len(video)).tolist()).asnumpy()


def _normalise(frames_THWC: np.ndarray, cfg: CfgNode) -> Tensor:
    pixels = torch.from_numpy(frames_THWC).float() / 255
    pixels = (pixels - torch.tensor(cfg.DATA.MEAN)) / torch.tensor(cfg.DATA.STD)
    return pixels.permute(0, 3, 1, 2)


WAYS = {
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
