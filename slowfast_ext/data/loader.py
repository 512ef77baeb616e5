"""Batches for one rank: the same ones for any number of workers, after any resume.

Items carry the epoch, so that persistent workers hold no state. Workers run one torch thread each and
leave signals to the training process.
"""

import copy
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.queues import Queue
from typing import Any

import torch
from torch import Tensor
from torch._utils import ExceptionWrapper
from torch.utils.data import DataLoader
from yacs.config import CfgNode

from slowfast_ext.config import options_of
from slowfast_ext.data.batch import BadSample, Batch, EvalBatch, stack_clips
from slowfast_ext.data.dataset import TestItem, TestViews, TrainClips, TrainItem
from slowfast_ext.data.decode.source import VideoSource
from slowfast_ext.data.memory import keep_freed_memory
from slowfast_ext.data.reading import Source
from slowfast_ext.data.records import VideoSet
from slowfast_ext.data.samplers import Draw, eval_shard, steps_per_epoch, train_batches
from slowfast_ext.data.sampling import View
from slowfast_ext.errors import ConfigError, DataError, WriteError
from slowfast_ext.options import Options, option, section
from slowfast_ext.processes import serve_parent, shielded_children
from slowfast_ext.tasks import Task
from slowfast_ext.tasks.label_maps import CroppedMaps

__all__ = ["BadSample", "Batch", "EvalBatch", "EvalLoader", "LoaderOptions", "TrainLoader"]


@section("DATA_LOADER", "Loading processes")
@dataclass(frozen=True)
class LoaderOptions(Options):
    """The processes that load clips."""

    num_workers: int = option(
        8, "loader processes per training process; 0: in the process itself", low=0
    )
    pin_memory: bool = option(True, "page-locked batches (CUDA only)")
    prefetch_factor: int = option(2, "batches that each worker holds ready", unit="batches", low=1)


class TrainLoader:
    """Training batches of one rank.

    Args:
        clips: the augmented clips of a draw.
        task: makes the labels of a batch.
        batch_size: videos of a step over all ranks.
        balanced: draw all classes equally often; for one label a video.
        repeated_draws: draws of a video in an epoch, which then has fewer videos.
    """

    def __init__(
        self,
        clips: TrainClips,
        task: Task,
        batch_size: int,
        rank: int = 0,
        world: int = 1,
        options: LoaderOptions = LoaderOptions(),
        balanced: bool = False,
        repeated_draws: int = 1,
    ) -> None:
        self.videos, self.seed, self.repeated_draws = clips.videos, clips.seed, repeated_draws
        self.batch_size, self.rank, self.world = batch_size, rank, world
        self.classes = _single_labels(clips.videos, task) if balanced else None
        self._batches: list[list[Draw]] = []
        self._loader = data_loader(clips, self._batches, TrainCollate(task), options, True)

    @classmethod
    def from_cfg(
        cls,
        cfg: CfgNode,
        videos: VideoSet,
        task: Task,
        rank: int = 0,
        world: int = 1,
        source: Source | None = None,
    ) -> "TrainLoader":
        """The batches of a configuration. `source` reads the videos; by default the configured decoders."""
        return cls(
            TrainClips.from_cfg(cfg, videos, source or VideoSource.from_cfg(cfg)),
            task,
            cfg.TRAIN.BATCH_SIZE * cfg.NUM_SHARDS,
            rank,
            world,
            options_of(cfg, LoaderOptions),
            cfg.TRAIN.BALANCED_SAMPLING,
            cfg.AUG.REPEATED_DRAWS,
        )

    @property
    def steps_per_epoch(self) -> int:
        """Global batches in an epoch."""
        return steps_per_epoch(len(self.videos), self.batch_size)

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        """Batches of an epoch from `first_step` on, as an unbroken run would see them."""
        self._batches[:] = train_batches(
            len(self.videos),
            self.batch_size,
            self.seed,
            epoch,
            self.rank,
            self.world,
            first_step,
            self.classes,
            self.repeated_draws,
        )
        return iter(self._loader)


class EvalLoader:
    """All views of this rank's videos, each video once over all ranks; `batch_size` videos at a time."""

    def __init__(
        self,
        views: TestViews,
        task: Task,
        batch_size: int,
        rank: int = 0,
        world: int = 1,
        options: LoaderOptions = LoaderOptions(),
    ) -> None:
        self.videos = views.videos
        self.shard = eval_shard(len(self.videos), rank, world)
        starts = range(0, len(self.shard), batch_size)
        batches = [list(self.shard[start : start + batch_size]) for start in starts]
        self._loader = data_loader(views, batches, EvalCollate(task, views.shape), options, False)

    @classmethod
    def from_cfg(
        cls,
        cfg: CfgNode,
        videos: VideoSet,
        views: Sequence[View],
        task: Task,
        rank: int = 0,
        world: int = 1,
        source: Source | None = None,
    ) -> "EvalLoader":
        """A batch has at most this process's share of TEST.BATCH_SIZE videos, and no more than fill TEST.VIEW_BATCH."""
        share = max(1, cfg.TEST.BATCH_SIZE * cfg.NUM_SHARDS // world)
        return cls(
            TestViews.from_cfg(cfg, videos, views, source or VideoSource.from_cfg(cfg)),
            task,
            videos_at_a_time(len(views), cfg.TEST.VIEW_BATCH, share),
            rank,
            world,
            options_of(cfg, LoaderOptions),
        )

    def __len__(self) -> int:
        """Batches of this rank."""
        return len(self._loader)

    def __iter__(self) -> Iterator[EvalBatch]:
        return iter(self._loader)


def videos_at_a_time(views: int, view_batch: int, most: int) -> int:
    """Videos of a batch: at most `most`, and no more than fill a forward pass of `view_batch` views."""
    return min(most, max(1, view_batch // views))


class TrainCollate:
    """Training items -> Batch. A class, so that workers of any start method can be given it."""

    def __init__(self, task: Task) -> None:
        # A task may hold weights on a device later on, which no worker should be sent.
        self.task = copy.copy(task)

    def __call__(self, items: Sequence[TrainItem]) -> Batch:
        copies = [(item, n) for item in items for n in range(len(item.clips_TCHW))]
        return Batch(
            clip_BTCHW=stack_clips([item.clips_TCHW[n] for item, n in copies]),
            labels=self.task.labels([item.record.labels for item, _ in copies]),
            index_B=torch.tensor([item.index for item, _ in copies]),
            repeat_B=torch.tensor([n for _, n in copies]),
            bad=[sample for item in items for sample in item.bad],
            counts=sum((item.counts for item in items), Counter()),
            maps=_stacked_maps([own for item in items for own in item.maps]),
        )


class EvalCollate:
    """Evaluation items -> EvalBatch, leaving out the videos that could not be read."""

    def __init__(self, task: Task, shape_VTCHW: tuple[int, ...]) -> None:
        self.task = copy.copy(task)
        self.shape_VTCHW = shape_VTCHW

    def __call__(self, items: Sequence[TestItem]) -> EvalBatch:
        good = [(item, item.views_VTCHW) for item in items if item.views_VTCHW is not None]
        return EvalBatch(
            clip_BVTCHW=self._stack([views for _, views in good]),
            labels=self.task.labels([item.record.labels for item, _ in good]),
            index_B=torch.tensor([item.index for item, _ in good], dtype=torch.int64),
            bad=[sample for item in items for sample in item.bad],
            counts=sum((item.counts for item in items), Counter()),
        )

    def _stack(self, views: list[Tensor]) -> Tensor:
        return stack_clips(views) if views else torch.empty(0, *self.shape_VTCHW, dtype=torch.uint8)


def _stacked_maps(maps: Sequence[CroppedMaps]) -> tuple[Tensor, ...]:
    """The label maps of a batch. Raises DataError where they are of several sizes."""
    sizes = sorted({tuple(own.scores.shape) for own in maps})
    if len(sizes) > 1:
        raise DataError(
            f"label maps of several sizes (classes, height, width) in one folder: {sizes}; make them all again in one size"
        )
    return tuple(map(torch.stack, zip(*maps, strict=True)))


def _single_labels(videos: VideoSet, task: Task) -> list[int]:
    if task.labels_per_video is None:
        raise ConfigError(
            f"TRAIN.BALANCED_SAMPLING: a video of {videos.name} has several labels;"
            " classes can only be balanced where it has one"
        )
    return [record.labels[0] for record in videos]


def data_loader(
    dataset: Any, batches: Iterable[Any], collate: Any, options: LoaderOptions, persistent: bool
) -> DataLoader[Any]:
    """Items of `dataset` in the given batches, loaded by processes; a generator of batches is read as they are needed."""
    workers = options.num_workers
    return _ShieldedLoader(
        dataset,
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=collate,
        pin_memory=options.pin_memory and torch.cuda.is_available(),
        worker_init_fn=start_worker,
        prefetch_factor=options.prefetch_factor if workers else None,
        persistent_workers=persistent and workers > 0,
        # The DataLoader draws a seed for each epoch: not from the generator of the training.
        generator=torch.Generator(),
    )


class _ShieldedLoader(DataLoader[Any]):
    """Its processes are born with signals blocked, for the training process decides what a signal means."""

    def _get_iterator(self) -> Any:
        with shielded_children():
            return super()._get_iterator()


def start_worker(_: int) -> None:
    """One thread, memory that stays small, no signals (see processes.py), and a word where a batch cannot be handed over."""
    torch.set_num_threads(1)
    keep_freed_memory()
    serve_parent()
    Queue._on_queue_feeder_error = _send_error_instead  # type: ignore[attr-defined]


def _send_error_instead(queue: "Queue[Any]", error: Exception, batch: tuple[int, Any]) -> None:
    """A thread of the queue puts the batch into shared memory; where that fails, Python prints the error and goes on,
    and the training process would wait for the batch for ever."""
    queue.put((batch[0], _Undelivered(error)))


class _Undelivered(ExceptionWrapper):
    """In the place of a batch; raised as WriteError where the batch is asked for."""

    def __init__(self, error: Exception) -> None:
        self.reason = str(error)

    def reraise(self) -> None:
        raise WriteError(
            f"a loader process cannot hand over its batch: {self.reason}; make room in shared memory (df -h /dev/shm),"
            " raise the limits of files (ulimit -f -n), or load in the training process: DATA_LOADER.NUM_WORKERS 0"
        )
