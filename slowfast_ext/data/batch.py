"""What a loader hands to the engine.

Shapes: B clips (videos in evaluation), V views, T frames, C colours, H W pixels.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class BadSample:
    """A video that could not be read: its number in the set, file, position in the list and the reason."""

    index: int
    path: str
    location: str
    reason: str


@dataclass(frozen=True)
class Batch:
    """Training clips; copies of a video (AUG.NUM_SAMPLE) are neighbours.

    `clip_BTCHW` is uint8 RGB; `labels` what the task makes of the list's.
    `index_B` numbers the videos that were read: one in `bad` has been replaced by another. `counts` tells
    what did not go the plain way in reading them (a decoder that failed and was replaced, say). `maps` are the label
    maps of token labelling (CroppedMaps), else nothing.
    """

    clip_BTCHW: Tensor
    labels: Tensor
    index_B: Tensor
    repeat_B: Tensor
    bad: list[BadSample]
    counts: Counter[str]
    maps: tuple[Tensor, ...] = ()

    def pin_memory(self) -> "Batch":
        """The same batch in page-locked memory (called by the DataLoader)."""
        return _pinned(self)

    @property
    def on_device(self) -> tuple[Tensor, ...]:
        """What the model and the loss need; the rest is for the host."""
        return self.clip_BTCHW, self.labels, *self.maps

    def moved(self, move: Callable[[Tensor], Tensor]) -> "Batch":
        """The same batch with `move` applied to what belongs on a device."""
        clips, labels, *maps = map(move, self.on_device)
        return replace(self, clip_BTCHW=clips, labels=labels, maps=tuple(maps))


@dataclass(frozen=True)
class EvalBatch:
    """All views of some videos. A video in `bad` has no row in the tensors; B may be 0."""

    clip_BVTCHW: Tensor
    labels: Tensor
    index_B: Tensor
    bad: list[BadSample]
    counts: Counter[str]

    def pin_memory(self) -> "EvalBatch":
        """The same batch in page-locked memory (called by the DataLoader)."""
        return _pinned(self)

    @property
    def on_device(self) -> tuple[Tensor, ...]:
        """What the model needs; the rest is for the host."""
        return (self.clip_BVTCHW,)

    def moved(self, move: Callable[[Tensor], Tensor]) -> "EvalBatch":
        """The same batch with `move` applied to what belongs on a device."""
        return replace(self, clip_BVTCHW=move(self.clip_BVTCHW))


AnyBatch = TypeVar("AnyBatch", Batch, EvalBatch)


def _pinned(batch: AnyBatch) -> AnyBatch:
    pinned: dict[str, Any] = {}
    for name, value in ((field.name, getattr(batch, field.name)) for field in fields(batch)):
        if isinstance(value, Tensor):
            pinned[name] = value.pin_memory()
        elif isinstance(value, tuple):
            pinned[name] = tuple(tensor.pin_memory() for tensor in value)
    return replace(batch, **pinned)


def stack_clips(clips: Sequence[Tensor]) -> Tensor:
    """[..., T, C, H, W] clips -> one tensor in channels_last memory like theirs, one copy at most."""
    last = [clip.movedim(-3, -1) for clip in clips]
    stacked = last[0][None] if len(last) == 1 else torch.stack(last)
    return stacked.movedim(-1, -3)
