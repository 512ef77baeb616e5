"""Running numbers of an epoch, summed on the device and read only when they are logged."""

import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from slowfast_ext.engine.distributed import World, sum_over_ranks

T = TypeVar("T")
Sums = dict[str, float]

_COUNTS = ("clips", "steps", "videos", "bad")


class Accumulator:
    """Named sums: those the model computes stay on the device, so that adding does not wait for it."""

    def __init__(self, device: torch.device, running: Sequence[str]) -> None:
        """`running` names what is summed over clips on the device beside the loss."""
        self._names = ("loss", *running, *_COUNTS)
        self._sums = torch.zeros(1 + len(running), dtype=torch.float64, device=device)
        self._counts = [0.0] * len(_COUNTS)

    def add(self, sums: Tensor, counts: Sequence[int]) -> None:
        """The loss and running sums on the device, and counts of clips, passes, videos and bad samples."""
        self._sums += sums
        self._counts = [total + count for total, count in zip(self._counts, counts, strict=True)]

    def read(self, world: World) -> Sums:
        """The sums over all processes (waits for the device)."""
        total = torch.cat([self._sums, torch.tensor(self._counts).to(self._sums)])
        return dict(zip(self._names, sum_over_ranks(world, total).tolist(), strict=True))

    def restore(self, saved: Sums) -> None:
        """Take over sums that `read` gave; those of a task with other numbers start at 0."""
        split = len(self._sums)
        values = [saved.get(name, 0.0) for name in self._names]
        self._sums.copy_(torch.tensor(values[:split], dtype=torch.float64))
        self._counts = values[split:]


class EpochMeter:
    """Numbers since the last log line (the window) and since the start of the epoch."""

    def __init__(self, world: World, running: Sequence[str]) -> None:
        self._world, self._running = world, tuple(running)
        self._window, self._epoch = (Accumulator(world.device, running) for _ in range(2))
        self._started = time.perf_counter()
        self._waited = 0.0

    def add(
        self, loss: Tensor, running: Sequence[Tensor], clips: int, videos: int, bad: int
    ) -> None:
        """One forward pass: its loss, the sums of the running numbers over its clips, and what was read for it."""
        sums = torch.stack([loss.detach().double(), *running])
        for accumulator in (self._window, self._epoch):
            accumulator.add(sums, (clips, 1, videos, bad))

    def timed(self, batches: Iterator[T]) -> Iterator[T]:
        """The same batches; how long each was waited for is added up."""
        while True:
            asked = time.perf_counter()
            batch = next(batches, None)
            self._waited += time.perf_counter() - asked
            if batch is None:
                return
            yield batch

    def read_window(self) -> dict[str, float]:
        """Means since the last call, clips/s of all processes, and the share of time spent waiting."""
        sums = self._window.read(self._world)
        now = time.perf_counter()
        elapsed, self._started = now - self._started, now
        stats = self.means(sums)
        stats["clips_per_second"] = sums["clips"] / elapsed
        stats["data_wait"] = self._waited / elapsed
        stats["dt"] = elapsed * self._world.size / max(sums["steps"], 1)
        self._waited = 0.0
        self._window = Accumulator(self._world.device, self._running)
        return stats

    def read_epoch(self) -> Sums:
        """Sums since the start of the epoch, over all processes."""
        return self._epoch.read(self._world)

    def means(self, sums: Sums) -> dict[str, float]:
        """Mean loss of the passes, and running numbers per clip."""
        clips = max(sums["clips"], 1)
        means = {name: sums[name] / clips for name in self._running}
        return {"loss": sums["loss"] / max(sums["steps"], 1), **means}

    def state(self) -> dict[str, Sums]:
        """Both sums over all processes, for a checkpoint."""
        return {"window": self._window.read(self._world), "epoch": self.read_epoch()}

    def restore(self, state: dict[str, Sums]) -> None:
        """Go on from `state`; the main process carries the sums of all."""
        if self._world.is_main:
            self._window.restore(state["window"])
            self._epoch.restore(state["epoch"])
