"""Record -> frames -> clips: the data sets that loader workers run. Each item decodes its video once.

Shapes: T frames, C colours, H W pixels, V views.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from yacs.config import CfgNode

from slowfast_ext.data import sampling
from slowfast_ext.data.batch import BadSample
from slowfast_ext.data.decode.source import LengthChangedError
from slowfast_ext.data.random import Stream, sample_rng
from slowfast_ext.data.records import VideoRecord, VideoSet
from slowfast_ext.data.samplers import Draw
from slowfast_ext.data.sampling import View
from slowfast_ext.data.transforms.pipeline import resize, train_transform
from slowfast_ext.data.transforms.resize_crop import test_crops
from slowfast_ext.errors import DataError

MAX_REPLACEMENTS = 10

Item = TypeVar("Item")
Clips = TypeVar("Clips")


class ClipInfo(Protocol):
    """Facts of a (trimmed) video."""

    length: int
    fps: float


class Source(Protocol):
    """Reads the videos of records, whatever they are stored as. `counts` only grows."""

    counts: Counter[str]

    def info(self, record: VideoRecord) -> ClipInfo:
        """Frames and frame rate. Raises DataError for a video that cannot be read."""
        ...

    def frames(self, record: VideoRecord, indices: Sequence[int], short_side: int = 0) -> Tensor:
        """uint8 [T, H, W, C], scaled down to `short_side` at will. Raises DataError."""
        ...


@dataclass(frozen=True)
class TrainItem:
    """The augmented copies of one video, and the videos that could not be read instead of it."""

    clips_TCHW: list[Tensor]
    index: int
    record: VideoRecord
    bad: list[BadSample]
    counts: Counter[str]


@dataclass(frozen=True)
class TestItem:
    """All views of one video; `views_VTCHW` is None where it could not be read."""

    views_VTCHW: Tensor | None
    index: int
    record: VideoRecord
    bad: list[BadSample]
    counts: Counter[str]


def recounted(read: Callable[[Item], Clips], item: Item) -> Clips:
    """What `read` gives; once more from the start when reading shows that a file has fewer frames than it claims."""
    try:
        return read(item)
    except LengthChangedError:
        return read(item)


class _News:
    """What was counted since the last item, by the source or here: items carry it out of the loader's processes."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._own: Counter[str] = Counter()
        self._told: Counter[str] = Counter()

    def note_length(self, info: ClipInfo, cfg: CfgNode) -> None:
        """Count a video that is shorter than a clip."""
        if info.length < sampling.clip_span(info.fps, cfg):
            self._own["videos shorter than a clip, last frame repeated"] += 1

    def take(self) -> Counter[str]:
        """Counts that are new since the last call."""
        now = Counter(self._source.counts) + self._own
        news, self._told = now - self._told, now
        return news


class TrainClips(Dataset[TrainItem]):
    """Draw -> AUG.NUM_SAMPLE augmented clips from one decode.

    A video that cannot be read is reported and replaced by another one, drawn from the item's own
    generator; MAX_REPLACEMENTS in a row raise DataError.
    """

    def __init__(self, cfg: CfgNode, videos: VideoSet, source: Source) -> None:
        self.cfg = cfg
        self.videos = videos
        self.source, self._news = source, _News(source)
        self.transform = train_transform(cfg)
        self.short_side = max([cfg.DATA.TRAIN_CROP_SIZE, *cfg.DATA.TRAIN_JITTER_SCALES])

    def __getitem__(self, draw: Draw) -> TrainItem:
        """The clips of a draw: a pure function of RNG_SEED and the draw."""
        bad: list[BadSample] = []
        seed, index = self.cfg.RNG_SEED, draw.index
        replace = sample_rng(seed, draw.epoch, draw.index, draw.occurrence, Stream.REPLACE)
        while True:
            try:
                clips = recounted(self._clips, draw._replace(index=index))
                return TrainItem(clips, index, self.videos.records[index], bad, self._news.take())
            except DataError as error:
                bad.append(_bad(index, self.videos.records[index], error))
            if len(bad) > MAX_REPLACEMENTS:
                raise DataError(_give_up(bad))
            index = int(replace.integers(len(self.videos)))

    def _clips(self, draw: Draw) -> list[Tensor]:
        seed, record = self.cfg.RNG_SEED, self.videos.records[draw.index]
        info = self.source.info(record)
        self._news.note_length(info, self.cfg)
        rng = sample_rng(seed, draw.epoch, draw.index, draw.occurrence, Stream.FRAMES)
        indices = sampling.train_indices(info.length, info.fps, self.cfg, rng)
        clip_TCHW = _read(self.source, record, indices, self.short_side)
        copies = self.cfg.AUG.NUM_SAMPLE
        repeats = range(draw.occurrence * copies, (draw.occurrence + 1) * copies)
        return [
            self.transform(clip_TCHW, sample_rng(seed, draw.epoch, draw.index, repeat))
            for repeat in repeats
        ]


class TestViews(Dataset[TestItem]):
    """Video number -> all its views, cut from one decode. A video that cannot be read is reported."""

    __test__ = False

    def __init__(
        self, cfg: CfgNode, videos: VideoSet, views: Sequence[View], source: Source
    ) -> None:
        self.cfg = cfg
        self.videos = videos
        self.views = tuple(views)
        # Much larger frames may come smaller; the last scaling is ours, whatever the decoder.
        self.short = int(cfg.DATA.TEST_CROP_SIZE / cfg.DATA.TEST_CROP_RATIO + 1e-6)
        self.short_side = 2 * self.short if cfg.DATA.ANTIALIAS else 0
        self.resize = resize(cfg)
        self.num_clips = 1 + max(view.clip for view in views)
        self.source, self._news = source, _News(source)

    def __len__(self) -> int:
        return len(self.videos)

    def __getitem__(self, index: int) -> TestItem:
        """The views of video `index`."""
        record = self.videos.records[index]
        try:
            views, bad = recounted(self._views, record), []
        except DataError as error:
            views, bad = None, [_bad(index, record, error)]
        return TestItem(views, index, record, bad, self._news.take())

    def _views(self, record: VideoRecord) -> Tensor:
        """Every needed frame is decoded and scaled once; a view is a slice of them: [V, T, C, S, S]."""
        data, info = self.cfg.DATA, self.source.info(record)
        self._news.note_length(info, self.cfg)
        wanted = [
            sampling.test_indices(info.length, info.fps, self.cfg, view.clip, self.num_clips)
            for view in self.views
        ]
        needed = np.unique(np.stack(wanted))
        frames = _read(self.source, record, needed, self.short_side)
        places = sorted({view.crop for view in self.views})
        crops = test_crops(frames, data.TEST_CROP_SIZE, places, self.resize, self.short)
        crop_at = dict(zip(places, crops, strict=True))
        T, S = data.NUM_FRAMES, data.TEST_CROP_SIZE
        out = torch.empty((len(self.views), T, S, S, frames.shape[1]), dtype=torch.uint8)
        for row, view, indices in zip(out, self.views, wanted, strict=True):
            at = torch.from_numpy(np.searchsorted(needed, indices))
            row.copy_(crop_at[view.crop].permute(0, 2, 3, 1)[at])
        return out.permute(0, 1, 4, 2, 3)


def _read(source: Source, record: VideoRecord, indices: np.ndarray, short_side: int) -> Tensor:
    frames_THWC = source.frames(record, indices.tolist(), short_side)
    return frames_THWC.permute(0, 3, 1, 2)


def _bad(index: int, record: VideoRecord, error: DataError) -> BadSample:
    return BadSample(index, record.path, record.place, str(error))


def _give_up(bad: Sequence[BadSample]) -> str:
    reasons = "\n".join(f"  {sample.place}: {sample.path}: {sample.reason}" for sample in bad)
    return f"{len(bad)} videos in a row could not be read; check the data with tools/data.py check\n{reasons}"
