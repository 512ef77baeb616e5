"""Batches on the device: the next one is copied while this one is computed with."""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import torch
from torch import Tensor

from slowfast_ext.data.batch import AnyBatch


class Copies(Protocol):
    """Where copies run, and how computing waits for one."""

    def __call__(self, tensor: Tensor) -> Tensor:
        """A copy on the device, under way."""
        ...

    def done(self) -> Callable[[Iterable[Tensor]], None]:
        """What makes computing wait for the copies so far, and keeps their memory until it is through with them."""
        ...


class CopyStream:
    """Copies on a CUDA stream of their own: from page-locked memory they run beside the computing."""

    def __init__(self, device: torch.device) -> None:
        self._device, self._stream = device, torch.cuda.Stream(device)

    def __call__(self, tensor: Tensor) -> Tensor:
        """A copy on the device, under way."""
        with torch.cuda.stream(self._stream):
            return tensor.to(self._device, non_blocking=True)

    def done(self) -> Callable[[Iterable[Tensor]], None]:
        """What makes computing wait for the copies so far."""
        event = self._stream.record_event()

        def wait(tensors: Iterable[Tensor]) -> None:
            computing = torch.cuda.current_stream(self._device)
            computing.wait_event(event)  # the device waits, not this process
            for tensor in tensors:
                tensor.record_stream(computing)

        return wait


def on_device(batches: Iterable[AnyBatch], device: torch.device) -> Iterator[AnyBatch]:
    """The same batches with clips and labels on the device; on a GPU the next one is copied ahead.

    The memory of one more batch of bytes is taken for that.
    """
    if device.type == "cuda":
        return copied_ahead(batches, CopyStream(device))
    return (batch.moved(lambda tensor: tensor.to(device)) for batch in batches)


def copied_ahead(batches: Iterable[AnyBatch], copies: Copies) -> Iterator[AnyBatch]:
    """The same batches in the same order; the copy of a batch is begun before the one before it is handed out."""
    before: tuple[AnyBatch, Callable[[Iterable[Tensor]], None]] | None = None
    for batch in batches:
        ahead = batch.moved(copies), copies.done()
        if before is not None:
            yield _ready(*before)
        before = ahead
    if before is not None:
        yield _ready(*before)


def _ready(batch: AnyBatch, wait: Callable[[Iterable[Tensor]], None]) -> AnyBatch:
    wait(batch.on_device)
    return batch
