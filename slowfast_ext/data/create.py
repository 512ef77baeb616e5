"""`create_dataset`: clips and labels of a data set for a plain DataLoader.

Shapes: V views, C colours, T frames, H W pixels.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor
from torch.utils.data import Dataset
from yacs.config import CfgNode

from slowfast_ext.config import options_of
from slowfast_ext.data.annotations import DATASETS, SPLITS, Lists, checked, read_videos, usable
from slowfast_ext.data.dataset import TestViews, TrainClips, largest_short_side
from slowfast_ext.data.decode.source import DecodeOptions, VideoSource
from slowfast_ext.data.records import VideoSet
from slowfast_ext.data.samplers import Draw
from slowfast_ext.data.sampling import SamplingOptions, ViewOptions, centre_view, views
from slowfast_ext.data.transforms.device import PixelOptions, to_model_input
from slowfast_ext.data.transforms.pipeline import AugOptions, train_transform
from slowfast_ext.data.transforms.resize_crop import CropOptions
from slowfast_ext.errors import ConfigError
from slowfast_ext.options import Options, Size, pair
from slowfast_ext.registry import unknown_name
from slowfast_ext.tasks import TASKS, Task, build_task
from slowfast_ext.tasks.build import usual_task

Label = int | tuple[int, ...] | Tensor
Names = tuple[str, ...]
Chosen = TypeVar("Chosen", bound=Options)


class ClipDataset(Dataset[tuple[Tensor, Label]]):
    """`dataset[i]` -> (clip, label) of video i.

    The clip is normalised float32 [C, T, H, W], or [V, C, T, H, W] where a video has several views or augmented
    copies. The label is an int, a tuple where there are several heads (verb and noun), or what else the
    task makes of it (a multi-hot tensor). A video that cannot be read raises DataError with its name.

    Attributes:
        videos: the records, with class names and notes on what is missing.
        task: what a label is; `task.num_classes`.
        pixels: how clips are normalised.
    """

    def __init__(
        self, clips: TrainClips | TestViews, task: Task, pixels: PixelOptions = PixelOptions()
    ) -> None:
        self.clips, self.task, self.pixels = clips, task, pixels
        self.videos: VideoSet = clips.videos
        # Shared with loader processes that are kept from epoch to epoch.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    @property
    def class_names(self) -> Names | tuple[Names, ...]:
        """Names in the order of the labels; a tuple for each head where there are several. Empty if unknown."""
        names = self.videos.class_names
        return names[0] if len(names) == 1 else names

    @property
    def num_classes(self) -> int | tuple[int, ...]:
        """Classes, for each head where there are several."""
        counts = self.task.num_classes
        return counts[0] if len(counts) == 1 else counts

    def set_epoch(self, epoch: int) -> None:
        """Training clips are drawn anew for each epoch: a pure function of seed, epoch and video."""
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return len(self.videos)

    def __getitem__(self, index: int) -> tuple[Tensor, Label]:
        index = range(len(self))[index]
        if isinstance(self.clips, TrainClips):
            clip_VTCHW = torch.stack(self.clips.clips(Draw(int(self._epoch), index)))
        else:
            clip_VTCHW = self.clips.clips(index)
        clip_VCTHW = to_model_input(clip_VTCHW, self.pixels)
        return clip_VCTHW[0] if len(clip_VCTHW) == 1 else clip_VCTHW, self._label(index)

    def _label(self, index: int) -> Label:
        label = self.task.labels([self.videos.records[index].labels])[0]
        if label.is_floating_point():
            return label
        return int(label) if label.numel() == 1 else tuple(label.tolist())


def create_dataset(
    name: str = "",
    root: str | Path = "",
    split: str = "val",
    *,
    num_frames: int = 16,
    sampling_rate: int = 4,
    sampling: str = "dense",
    crop_size: Size = 224,
    num_clips: int = 1,
    num_crops: int = 1,
    class_names: str | Path | Sequence[str] = (),
    num_classes: int | Sequence[int] | None = None,
    media_folder: str | Path = "",
    allow_missing: float = 0.0,
    task: str = "auto",
    multi_label: bool = False,
    augment: str = "",
    seed: int = 0,
    options: Sequence[Options] = (),
    cfg: CfgNode | None = None,
) -> ClipDataset:
    """A split of a data set: `create_dataset("class_folders", "/data/actions", "train", crop_size=112)`.

    The training split gives a random, augmented clip of each video, other splits fixed views.

    Args:
        name: in DATASETS: motionshapes (rendered on first use), class_folders, kinetics, ssv2, epic, ...
        root: folder of the lists (of the class folders, of what is rendered).
        split: "train", "val" or "test".
        num_frames: frames of a clip.
        sampling_rate: distance of its frames in the video, where `sampling` is "dense".
        sampling: "dense", or "segment": a frame from each of `num_frames` equal parts.
        crop_size: of the clip in pixels, one side or (height, width).
        num_clips: views in time of each video that is not for training.
        num_crops: views in space of each such clip: 1 (centre), 2 or 3.
        class_names: names, or a file with one a line, where the set has none of its own.
        num_classes: of each head; inferred from the class names, or else from the labels of this split.
        media_folder: that paths in the lists start from, where it is not `root`.
        allow_missing: largest share of listed videos that may be absent.
        task: name in TASKS; auto: by the number of heads and `multi_label`.
        multi_label: a video has several labels.
        augment: RandAugment or AutoAugment of the training clips, "rand-m7-n4-mstd0.5-inc1".
        seed: of the training clips.
        options: further settings, by class: `MotionOptions(level="hard")`, `DecodeOptions(...)`, `PixelOptions(mean=...)`;
            a class that is given replaces the arguments that it covers.
        cfg: a configuration, whose settings are used instead of all arguments but the first three.

    Raises:
        ConfigError: for a name or a value that is not allowed.
        DataError: for lists and labels that cannot be used, with file and line.
    """
    if split not in SPLITS:
        raise ConfigError(f"split '{split}' is unknown: {unknown_name(split, SPLITS)}")
    if cfg is not None:
        return _from_cfg(_with_names(cfg, name, str(root)), split)
    chosen = _Chosen(name, options)
    heads = len(num_classes) if isinstance(num_classes, Sequence) else 1
    lists = Lists(
        folder=str(root),
        media_folder=str(media_folder),
        class_file=str(class_names) if isinstance(class_names, (str, Path)) else "",
        labels_per_video=None if multi_label else heads,
    )
    own = [chosen.get(kind()) for kind in DATASETS.options(name)]
    videos: VideoSet = DATASETS.get(name)(lists, split, *own)
    if class_names and not isinstance(class_names, (str, Path)):
        videos = replace(videos, class_names=(tuple(map(str, class_names)),))
    the_task = _task(task, videos, num_classes, multi_label)
    decode = chosen.get(DecodeOptions())
    videos = checked(videos, the_task)
    videos = usable(videos, the_task, allow_missing, decode.image_template, decode.image_fps)
    source = VideoSource(decode, (lists.folder,), lists.media_root)
    frames = chosen.get(
        SamplingOptions(num_frames=num_frames, sampling=sampling, sampling_rate=sampling_rate)
    )
    crop, pixels = chosen.get(_crop(crop_size)), chosen.get(PixelOptions())
    if split != "train":
        looks = views(chosen.get(ViewOptions(num_clips, num_crops)))
        return ClipDataset(TestViews(videos, source, frames, crop, looks), the_task, pixels)
    aug = chosen.get(AugOptions(aa_type=augment))
    transform = train_transform(crop, aug, pixels)
    short_side = largest_short_side(crop)
    clips = TrainClips(videos, source, frames, transform, short_side, aug.num_sample, seed)
    return ClipDataset(clips, the_task, pixels)


class _Chosen:
    """Options that were given, by class. Raises ConfigError for a class that nothing reads."""

    COMMON = (AugOptions, CropOptions, DecodeOptions, PixelOptions, SamplingOptions, ViewOptions)

    def __init__(self, name: str, given: Sequence[Options]) -> None:
        kinds = (*self.COMMON, *DATASETS.options(name))
        for own in given:
            if not isinstance(own, kinds):
                names = " | ".join(kind.__name__ for kind in kinds)
                raise ConfigError(f"{name} does not read {type(own).__name__}; allowed: {names}")
        self._given = {type(own): own for own in given}

    def get(self, default: Chosen) -> Chosen:
        """What was given of this class, else the default."""
        return self._given.get(type(default), default)  # type: ignore[return-value]


def _crop(size: Size) -> CropOptions:
    """Scales relative to the crop as 256 to 320 pixels are to 224."""
    scales = tuple(round(min(pair(size)) * scale / 224) for scale in (256, 320))
    return CropOptions(train_crop_size=size, test_crop_size=size, train_jitter_scales=scales)


def _task(
    name: str, videos: VideoSet, num_classes: int | Sequence[int] | None, multi_label: bool
) -> Task:
    counts = (num_classes,) if isinstance(num_classes, int) else tuple(num_classes or ())
    counts = counts or _counts(videos, multi_label)
    if name == "auto":
        name = usual_task(len(counts), multi_label)
    task: Task = TASKS.get(name)(counts)
    return task


def _counts(videos: VideoSet, multi_label: bool) -> tuple[int, ...]:
    """Classes of each head: as many as have a name, else as the labels reach."""
    if videos.class_names:
        return tuple(map(len, videos.class_names))
    if multi_label:
        return (1 + max((max(record.labels, default=0) for record in videos), default=0),)
    return tuple(1 + max(head) for head in zip(*(record.labels for record in videos), strict=False))


def _with_names(cfg: CfgNode, name: str, root: str) -> CfgNode:
    cfg = cfg.clone()
    cfg.defrost()
    if name:
        cfg.TRAIN.DATASET = cfg.TEST.DATASET = name
    if root:
        cfg.DATA.PATH_TO_DATA_DIR = root
    return cfg


def _from_cfg(cfg: CfgNode, split: str) -> ClipDataset:
    videos, source = read_videos(cfg, split), VideoSource.from_cfg(cfg)
    task, pixels = build_task(cfg), options_of(cfg, PixelOptions)
    if split == "train":
        return ClipDataset(TrainClips.from_cfg(cfg, videos, source), task, pixels)
    looks = views(options_of(cfg, ViewOptions)) if split == "test" else centre_view()
    return ClipDataset(TestViews.from_cfg(cfg, videos, looks, source), task, pixels)
