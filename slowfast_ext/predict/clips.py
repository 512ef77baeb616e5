"""Videos -> batches of their views, whole or window by window, read by processes.

Shapes: P videos or windows, V views, T frames, C colours, H W pixels.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from torch import Tensor
from torch.utils.data import Dataset

from slowfast_ext.data.batch import stack_clips
from slowfast_ext.data.dataset import TestViews
from slowfast_ext.data.decode.source import ClipInfo
from slowfast_ext.data.loader import LoaderOptions, data_loader
from slowfast_ext.data.records import VideoRecord
from slowfast_ext.errors import DataError
from slowfast_ext.predict.inputs import Inputs, reason_of
from slowfast_ext.predict.windows import Plan, Window


@dataclass(frozen=True)
class Unit:
    """What is read at once: video number `video`, or some windows of it; `seconds` of a video that has windows."""

    video: int
    record: VideoRecord
    windows: tuple[Window, ...] = ()
    seconds: float = 0.0
    error: str = ""

    @property
    def rows(self) -> int:
        """Predictions that it leads to."""
        return max(1, len(self.windows))


@dataclass(frozen=True)
class UnitClips:
    """The views of a unit [P, V, T, C, H, W] and its video's length and rate; None where it could not be read."""

    unit: Unit
    clip_PVTCHW: Tensor | None
    info: ClipInfo | None = None


@dataclass(frozen=True)
class ClipBatch:
    """Units and the views [P, V, T, C, H, W] of those that could be read, in their order."""

    items: list[UnitClips]
    clip_PVTCHW: Tensor | None


class UnitReader(Dataset[UnitClips]):
    """Unit -> its views: the data set that loader processes run."""

    def __init__(self, views: TestViews) -> None:
        self.views = views

    def __getitem__(self, unit: Unit) -> UnitClips:
        if unit.error:
            return UnitClips(unit, None)
        windows = [window.frames for window in unit.windows]
        try:
            clip_VTCHW = self.views.of_record(unit.record, windows)
            info = self.views.source.info(unit.record)
        except DataError as error:
            return UnitClips(replace(unit, error=reason_of(error, unit.record)), None)
        return UnitClips(unit, clip_VTCHW.unflatten(0, (unit.rows, -1)), info)


def clip_batches(
    views: TestViews, batches: Iterable[Sequence[Unit]], workers: int = 0
) -> Iterator[ClipBatch]:
    """The views of each batch of units, in order; `batches` may be a generator, read as it is needed."""
    options = LoaderOptions(num_workers=workers)
    yield from data_loader(UnitReader(views), batches, collate, options, persistent=False)


def collate(items: Sequence[UnitClips]) -> ClipBatch:
    """One tensor of all views; its memory is laid out as that of evaluation."""
    rows = [row for item in items if item.clip_PVTCHW is not None for row in item.clip_PVTCHW]
    bare = [replace(item, clip_PVTCHW=None) for item in items]
    return ClipBatch(bare, stack_clips(rows) if rows else None)


def whole_videos(records: Iterable[VideoRecord], at_a_time: int) -> Iterator[list[Unit]]:
    """Batches of whole videos, cut as evaluation cuts them."""
    units = (Unit(video, record) for video, record in enumerate(records))
    while batch := list(islice(units, at_a_time)):
        yield batch


def sliding(
    records: Iterable[VideoRecord],
    inputs: Inputs,
    plan: Plan,
    at_a_time: int,
    wanted: Callable[[VideoRecord, Window], bool] = lambda record, window: True,
) -> Iterator[list[Unit]]:
    """Batches of windows that are `wanted`, those of a video next to each other, so that it is decoded once."""
    for video, record in enumerate(records):
        try:
            index = inputs.index(record)
            windows = [window for window in plan(index) if wanted(record, window)]
        except DataError as error:
            yield [Unit(video, record, error=reason_of(error, record))]
            continue
        for start in range(0, len(windows), at_a_time):
            some = tuple(windows[start : start + at_a_time])
            yield [Unit(video, record, some, index.duration)]
