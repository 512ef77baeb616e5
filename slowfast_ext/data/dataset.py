"""Record -> frames -> clips: the data sets that loader workers run. Each item decodes its video once.

Shapes: T frames, C colours, H W pixels, V views.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from yacs.config import CfgNode

from slowfast_ext.config import options_of
from slowfast_ext.data.batch import BadSample
from slowfast_ext.data.label_maps import LabelMaps
from slowfast_ext.data.news import News
from slowfast_ext.data.reading import Source, bad_sample, many_bad, read_frames, recounted
from slowfast_ext.data.records import VideoRecord, VideoSet
from slowfast_ext.data.samplers import Draw
from slowfast_ext.data.sampling import (
    SamplingOptions,
    View,
    centre_view,
    test_indices,
    train_indices,
)
from slowfast_ext.data.seeds import Stream, sample_rng
from slowfast_ext.data.transforms.geometry import drawn_geometry
from slowfast_ext.data.transforms.pipeline import ClipTransform, train_transform_from
from slowfast_ext.data.transforms.resize_crop import (
    CropOptions,
    Resize,
    cover_size,
    crop_box,
    test_crops,
)
from slowfast_ext.errors import DataError
from slowfast_ext.options import pair
from slowfast_ext.tasks.label_maps import CroppedMaps

MAX_REPLACEMENTS = 10


@dataclass(frozen=True)
class TrainItem:
    """The augmented copies of one video, and the videos that could not be read instead of it.

    `maps` are the label maps of the copies, each cropped as its copy is; empty where none are read.
    """

    clips_TCHW: list[Tensor]
    index: int
    record: VideoRecord
    bad: list[BadSample]
    counts: Counter[str]
    maps: list[CroppedMaps]


@dataclass(frozen=True)
class TestItem:
    """All views of one video; `views_VTCHW` is None where it could not be read."""

    views_VTCHW: Tensor | None
    index: int
    record: VideoRecord
    bad: list[BadSample]
    counts: Counter[str]


class TrainClips(Dataset[TrainItem]):
    """Draw -> `copies` augmented clips from one decode: a pure function of seed and draw.

    Args:
        source: reads the videos.
        sampling: which frames.
        transform: decoded clip -> training clip.
        short_side: larger frames may be decoded scaled down to it; 0: never.
        copies: augmented clips of each video (AUG.NUM_SAMPLE).
        label_maps: of the images, for token labelling.
    """

    def __init__(
        self,
        videos: VideoSet,
        source: Source,
        sampling: SamplingOptions,
        transform: ClipTransform,
        short_side: int = 0,
        copies: int = 1,
        seed: int = 0,
        label_maps: LabelMaps | None = None,
    ) -> None:
        self.videos, self.source, self._news = videos, source, News(source)
        self.sampling, self.transform, self.label_maps = sampling, transform, label_maps
        self.short_side, self.copies, self.seed = short_side, copies, seed

    @classmethod
    def from_cfg(cls, cfg: CfgNode, videos: VideoSet, source: Source) -> "TrainClips":
        """The training clips that DATA and AUG of a configuration name."""
        crop = options_of(cfg, CropOptions)
        return cls(
            videos,
            source,
            options_of(cfg, SamplingOptions),
            train_transform_from(cfg),
            largest_short_side(crop),
            cfg.AUG.NUM_SAMPLE,
            cfg.RNG_SEED,
            LabelMaps.from_cfg(cfg),
        )

    def __len__(self) -> int:
        return len(self.videos)

    def __getitem__(self, draw: Draw) -> TrainItem:
        """The clips of a draw.

        A video that cannot be read is reported and replaced by another one, drawn from the item's own
        generator; MAX_REPLACEMENTS in a row raise DataError.
        """
        bad: list[BadSample] = []
        index = draw.index
        replace = sample_rng(self.seed, draw.epoch, draw.index, draw.occurrence, Stream.REPLACE)
        while True:
            try:
                clips, maps = recounted(self._read, draw._replace(index=index))
                record = self.videos.records[index]
                return TrainItem(clips, index, record, bad, self._news.take(), maps)
            except DataError as error:
                bad.append(bad_sample(index, self.videos.records[index], error))
            if len(bad) > MAX_REPLACEMENTS:
                raise DataError(many_bad(bad))
            index = int(replace.integers(len(self.videos)))

    def clips(self, draw: Draw) -> list[Tensor]:
        """The clips [T, C, H, W] of a draw. Raises DataError for a video that cannot be read."""
        return recounted(self._read, draw)[0]

    def _read(self, draw: Draw) -> tuple[list[Tensor], list[CroppedMaps]]:
        record = self.videos.records[draw.index]
        info = self.source.info(record)
        self._news.note_length(info, self.sampling)
        rng = sample_rng(self.seed, draw.epoch, draw.index, draw.occurrence, Stream.FRAMES)
        indices = train_indices(info.length, info.fps, self.sampling, rng)
        clip_TCHW = read_frames(self.source, record, indices, self.short_side)
        repeats = range(draw.occurrence * self.copies, (draw.occurrence + 1) * self.copies)
        clips = [self.transform(clip_TCHW, self._rng(draw, repeat)) for repeat in repeats]
        if self.label_maps is None:
            return clips, []
        size = clip_TCHW.shape[-2], clip_TCHW.shape[-1]
        drawn = [
            drawn_geometry(self.transform, size, self._rng(draw, repeat)) for repeat in repeats
        ]
        return clips, [self.label_maps.cropped(record, geometry) for geometry in drawn]

    def _rng(self, draw: Draw, repeat: int) -> np.random.Generator:
        return sample_rng(self.seed, draw.epoch, draw.index, repeat)


def largest_short_side(crop: CropOptions) -> int:
    """Short side of frames, whatever their form, that have the pixels of every scale of training."""
    short, long = sorted(pair(crop.train_crop_size))
    return max([long, *(-(-long * scale // short) for scale in crop.train_jitter_scales)])


class TestViews(Dataset[TestItem]):
    """Video number -> all its views, cut from one decode.

    Args:
        source: reads the videos.
        sampling: which frames.
        crop: size of the views and how frames are scaled (its test keys).
        views: clip in time and crop of each view.
    """

    __test__ = False

    def __init__(
        self,
        videos: VideoSet,
        source: Source,
        sampling: SamplingOptions,
        crop: CropOptions,
        views: Sequence[View] = (),
    ) -> None:
        self.videos, self.source, self._news = videos, source, News(source)
        self.sampling, self.views = sampling, tuple(views or centre_view())
        self.num_clips = 1 + max(view.clip for view in self.views)
        self.size = pair(crop.test_crop_size)
        self.resize = Resize(crop.interpolation, crop.antialias)
        height, width = (int(side / crop.test_crop_ratio + 1e-6) for side in self.size)
        self.cover = height, width
        # Much larger frames may come smaller; the last scaling is ours, whatever the decoder.
        self.short_side = 2 * max(self.cover) if crop.antialias else 0

    @classmethod
    def from_cfg(
        cls, cfg: CfgNode, videos: VideoSet, views: Sequence[View], source: Source
    ) -> "TestViews":
        """Views as DATA of a configuration says."""
        return cls(
            videos, source, options_of(cfg, SamplingOptions), options_of(cfg, CropOptions), views
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of an item's views."""
        return (len(self.views), self.sampling.num_frames, 3, *self.size)

    def __len__(self) -> int:
        return len(self.videos)

    def __getitem__(self, index: int) -> TestItem:
        """The views of video `index`; one that cannot be read is reported."""
        record = self.videos.records[index]
        try:
            return TestItem(self.clips(index), index, record, [], self._news.take())
        except DataError as error:
            return TestItem(
                None, index, record, [bad_sample(index, record, error)], self._news.take()
            )

    def clips(self, index: int) -> Tensor:
        """The views [V, T, C, H, W] of video `index`. Raises DataError where it cannot be read."""
        return self.of_record(self.videos.records[index])

    def of_record(self, record: VideoRecord, windows: Sequence[range] = ()) -> Tensor:
        """The views [V, T, C, H, W] of a video, or of each of some windows (frames) of it, one after the other.

        Raises DataError where it cannot be read, and for a window behind its end.
        """
        return recounted(lambda record: self._clips(record, windows), record)

    def _clips(self, record: VideoRecord, windows: Sequence[range]) -> Tensor:
        """Every needed frame is decoded and scaled once; a view is a slice of them."""
        info = self.source.info(record)
        self._news.note_length(info, self.sampling)
        pieces = [_inside(window, info.length) for window in windows or [range(info.length)]]
        wanted = [
            piece.start
            + test_indices(len(piece), info.fps, self.sampling, view.clip, self.num_clips)
            for piece in pieces
            for view in self.views
        ]
        needed = np.unique(np.stack(wanted))
        frames = read_frames(self.source, record, needed, self.short_side)
        positions = sorted({view.crop for view in self.views})
        crops = test_crops(frames, self.size, positions, self.resize, self.cover)
        crop_at = dict(zip(positions, crops, strict=True))
        if not windows:
            self._news.note_views(self._distinct(wanted, frames), len(self.views))
        _, T, C, H, W = self.shape
        out_VTHWC = torch.empty((len(wanted), T, H, W, C), dtype=torch.uint8)
        views = self.views * len(pieces)
        for row, view, indices in zip(out_VTHWC, views, wanted, strict=True):
            crop_THWC = crop_at[view.crop].permute(0, 2, 3, 1)
            # Frame by frame, as choosing all at once would make a copy of its own.
            for frame_HWC, at in zip(row, np.searchsorted(needed, indices), strict=True):
                frame_HWC.copy_(crop_THWC[at])
        return out_VTHWC.permute(0, 1, 4, 2, 3)

    def _distinct(self, indices: Sequence[np.ndarray], frames_TCHW: Tensor) -> int:
        """Views of different frames or different pixels of them: few where a video is short or has the crop's form."""
        height, width = cover_size(frames_TCHW.shape[-2], frames_TCHW.shape[-1], self.cover)
        pairs = zip(self.views, indices, strict=True)
        return len(
            {(own.tobytes(), crop_box(height, width, self.size, view.crop)) for view, own in pairs}
        )


def _inside(window: range, length: int) -> range:
    piece = window[: max(0, length - window.start)]
    if not piece:
        raise DataError(f"has {length} frames, none from {window.start} on")
    return piece
