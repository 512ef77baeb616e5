"""Batches for one rank: the same ones for any number of workers, after any resume.

Items carry the epoch, so that persistent workers hold no state. Workers run one torch thread each and
leave signals to the training process.
"""

import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from yacs.config import CfgNode

from slowfast_ext.data.batch import BadSample, Batch, EvalBatch, label_tensor, stack_clips
from slowfast_ext.data.dataset import Source, TestItem, TestViews, TrainClips, TrainItem
from slowfast_ext.data.decode.source import VideoSource
from slowfast_ext.data.memory import keep_freed_memory
from slowfast_ext.data.records import VideoSet
from slowfast_ext.data.samplers import Draw, eval_shard, steps_per_epoch, train_batches
from slowfast_ext.data.sampling import View
from slowfast_ext.errors import ConfigError
from slowfast_ext.options import Options, option, pair, section
from slowfast_ext.tasks.base import class_counts


@section("DATA_LOADER", "Loading processes")
@dataclass(frozen=True)
class LoaderOptions(Options):
    """Loading processes: the section DATA_LOADER."""

    num_workers: int = option(
        8, "loader processes per training process; 0: in the process itself", low=0
    )
    pin_memory: bool = option(True, "page-locked batches (CUDA only)")
    prefetch_factor: int = option(2, "batches that each worker holds ready", unit="batches", low=1)


__all__ = ["BadSample", "Batch", "EvalBatch", "EvalLoader", "TrainLoader"]

SHUTDOWN_SECONDS = 300
"""Life of a worker after SIGTERM: longer than the last step and checkpoint of the training process."""


class TrainLoader:
    """Training batches of one rank. `source` reads the videos; by default the configured decoders."""

    def __init__(
        self,
        cfg: CfgNode,
        videos: VideoSet,
        rank: int = 0,
        world: int = 1,
        source: Source | None = None,
    ) -> None:
        self.cfg = cfg
        self.videos = videos
        self.rank, self.world = rank, world
        self.batch = cfg.TRAIN.BATCH_SIZE * cfg.NUM_SHARDS
        self.classes = _balanced_classes(cfg, videos)
        self._batches: list[list[Draw]] = []
        self._loader = _data_loader(
            cfg,
            TrainClips.from_cfg(cfg, videos, source or VideoSource(cfg)),
            self._batches,
            TrainCollate(cfg, videos.multi_label),
            persistent=True,
        )

    @property
    def steps_per_epoch(self) -> int:
        """Global batches in an epoch."""
        return steps_per_epoch(len(self.videos), self.batch)

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        """Batches of an epoch from `first_step` on, as an unbroken run would see them."""
        self._batches[:] = train_batches(
            len(self.videos),
            self.batch,
            self.cfg.RNG_SEED,
            epoch,
            self.rank,
            self.world,
            first_step,
            self.classes,
        )
        return iter(self._loader)


class EvalLoader:
    """All views of this rank's videos, each video once over all ranks.

    A batch has at most this process's share of TEST.BATCH_SIZE videos, and no more than
    fill TEST.VIEW_BATCH.
    """

    def __init__(
        self,
        cfg: CfgNode,
        videos: VideoSet,
        views: Sequence[View],
        rank: int = 0,
        world: int = 1,
        source: Source | None = None,
    ) -> None:
        self.videos = videos
        self.shard = eval_shard(len(videos), rank, world)
        share = max(1, cfg.TEST.BATCH_SIZE * cfg.NUM_SHARDS // world)
        size = min(share, max(1, cfg.TEST.VIEW_BATCH // len(views)))
        batches = [list(self.shard[i : i + size]) for i in range(0, len(self.shard), size)]
        self._loader = _data_loader(
            cfg,
            TestViews.from_cfg(cfg, videos, views, source or VideoSource(cfg)),
            batches,
            EvalCollate(cfg, videos.multi_label, len(views)),
            persistent=False,
        )

    def __len__(self) -> int:
        """Batches of this rank."""
        return len(self._loader)

    def __iter__(self) -> Iterator[EvalBatch]:
        return iter(self._loader)


class TrainCollate:
    """Training items -> Batch. A class, so that workers of any start method can be given it."""

    def __init__(self, cfg: CfgNode, multi_label: bool) -> None:
        self.num_classes = class_counts(cfg)
        self.multi_label = multi_label

    def __call__(self, items: Sequence[TrainItem]) -> Batch:
        copies = [(item, n) for item in items for n in range(len(item.clips_TCHW))]
        return Batch(
            clip_BTCHW=stack_clips([item.clips_TCHW[n] for item, n in copies]),
            labels=label_tensor(
                [item.record for item, _ in copies], self.num_classes, self.multi_label
            ),
            index_B=torch.tensor([item.index for item, _ in copies]),
            repeat_B=torch.tensor([n for _, n in copies]),
            bad=[sample for item in items for sample in item.bad],
            counts=sum((item.counts for item in items), Counter()),
        )


class EvalCollate:
    """Evaluation items -> EvalBatch, leaving out the videos that could not be read."""

    def __init__(self, cfg: CfgNode, multi_label: bool, num_views: int) -> None:
        self.num_classes = class_counts(cfg)
        self.multi_label = multi_label
        self.shape_VTCHW = (num_views, cfg.DATA.NUM_FRAMES, 3, *pair(cfg.DATA.TEST_CROP_SIZE))

    def __call__(self, items: Sequence[TestItem]) -> EvalBatch:
        good = [item for item in items if item.views_VTCHW is not None]
        return EvalBatch(
            clip_BVTCHW=self._stack([item.views_VTCHW for item in good]),
            labels=label_tensor([item.record for item in good], self.num_classes, self.multi_label),
            index_B=torch.tensor([item.index for item in good], dtype=torch.int64),
            bad=[sample for item in items for sample in item.bad],
            counts=sum((item.counts for item in items), Counter()),
        )

    def _stack(self, views: list[Tensor]) -> Tensor:
        return stack_clips(views) if views else torch.empty(0, *self.shape_VTCHW, dtype=torch.uint8)


def _balanced_classes(cfg: CfgNode, videos: VideoSet) -> list[int] | None:
    if not cfg.TRAIN.BALANCED_SAMPLING:
        return None
    if videos.multi_label:
        raise ConfigError(
            f"TRAIN.BALANCED_SAMPLING: a video of {videos.name} has several labels;"
            " classes can only be balanced where it has one"
        )
    return [record.labels[0] for record in videos]


def _data_loader(
    cfg: CfgNode, dataset: Any, batches: list[Any], collate: Any, persistent: bool
) -> DataLoader[Any]:
    workers = cfg.DATA_LOADER.NUM_WORKERS
    return DataLoader(
        dataset,
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=collate,
        pin_memory=cfg.DATA_LOADER.PIN_MEMORY and torch.cuda.is_available(),
        worker_init_fn=start_worker,
        prefetch_factor=cfg.DATA_LOADER.PREFETCH_FACTOR if workers else None,
        persistent_workers=persistent and workers > 0,
        # The DataLoader draws a seed for each epoch: not from the generator of the training.
        generator=torch.Generator(),
    )


def start_worker(_: int) -> None:
    """Schedulers signal whole process groups; the training process decides what a signal means."""
    torch.set_num_threads(1)
    keep_freed_memory()
    for ignored in (signal.SIGINT, signal.SIGUSR1):
        signal.signal(ignored, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: signal.alarm(SHUTDOWN_SECONDS))
