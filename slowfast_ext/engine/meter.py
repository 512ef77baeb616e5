"""Running figures of an epoch, summed on the device and read only when they are logged.

Shapes: B clips, K classes of a head.
"""

import time
from collections.abc import Sequence

import torch
from torch import Tensor

from slowfast_ext.engine.distributed import World, sum_over_ranks

_ON_DEVICE = ("loss", "top1", "top5")
_ON_HOST = ("clips", "steps", "videos", "bad")


class Sums:
    """Named sums: those the model computes stay on the device, so that adding does not wait for it."""

    def __init__(self, device: torch.device) -> None:
        self.figures = torch.zeros(len(_ON_DEVICE), dtype=torch.float64, device=device)
        self.counts = [0.0] * len(_ON_HOST)

    def add(self, figures: Tensor, *counts: int) -> None:
        """Figures [loss, top1, top5] on the device, and host counts (clips, steps, videos, bad)."""
        self.figures += figures
        self.counts = [total + count for total, count in zip(self.counts, counts, strict=True)]

    def read(self, world: World) -> dict[str, float]:
        """The sums over all processes (waits for the device)."""
        total = torch.cat([self.figures, torch.tensor(self.counts).to(self.figures)])
        names = (*_ON_DEVICE, *_ON_HOST)
        return dict(zip(names, sum_over_ranks(world, total).tolist(), strict=True))

    def restore(self, saved: dict[str, float]) -> None:
        """Take over sums that `read` gave."""
        self.figures.copy_(torch.tensor([saved[name] for name in _ON_DEVICE], dtype=torch.float64))
        self.counts = [saved[name] for name in _ON_HOST]


class EpochMeter:
    """Figures since the last log line (`window`) and since the start of the epoch (`epoch`)."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.window, self.epoch = Sums(world.device), Sums(world.device)
        self._started = self._logged = time.perf_counter()
        self._waited = 0.0

    def add(
        self,
        loss: Tensor,
        logits: Sequence[Tensor],
        targets: Sequence[Tensor],
        videos: int,
        bad: int,
    ) -> None:
        """One forward pass: its loss, logits and soft targets [B, K], and the videos read for it."""
        figures = torch.stack([loss.detach().double(), *_right(logits, targets)])
        for sums in (self.window, self.epoch):
            sums.add(figures, len(logits[0]), 1, videos, bad)

    def waited(self, seconds: float) -> None:
        """Time spent waiting for the loader."""
        self._waited += seconds

    def read_window(self) -> dict[str, float]:
        """Means since the last call, clips/s of all processes, and the share of time spent waiting."""
        sums = self.window.read(self._world)
        now = time.perf_counter()
        elapsed, self._logged = now - self._logged, now
        stats = means(sums)
        stats["clips_per_second"] = sums["clips"] / elapsed
        stats["data_wait"] = self._waited / elapsed
        stats["dt"] = elapsed / max(sums["steps"], 1)
        self._waited = 0.0
        self.window = Sums(self._world.device)
        return stats

    def read_epoch(self) -> dict[str, float]:
        """Sums since the start of the epoch, over all processes."""
        return self.epoch.read(self._world)

    def state(self) -> dict[str, dict[str, float]]:
        """Both sums over all processes, for a checkpoint."""
        return {"window": self.window.read(self._world), "epoch": self.epoch.read(self._world)}

    def restore(self, state: dict[str, dict[str, float]]) -> None:
        """Go on from `state`; the main process carries the sums of all."""
        if self._world.is_main:
            self.window.restore(state["window"])
            self.epoch.restore(state["epoch"])


def means(sums: dict[str, float]) -> dict[str, float]:
    """Mean loss and accuracies (percent) of sums."""
    clips = max(sums["clips"], 1)
    return {
        "loss": sums["loss"] / max(sums["steps"], 1),
        "top1_acc": 100 * sums["top1"] / clips,
        "top5_acc": 100 * sums["top5"] / clips,
    }


def _right(logits: Sequence[Tensor], targets: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Clips whose heaviest target class is the best, and among the five best, in every head."""
    right1 = right5 = True
    for logits_BK, target_BK in zip(logits, targets, strict=True):
        label_B1 = target_BK.argmax(-1, keepdim=True)
        best_BK = logits_BK.detach().topk(min(5, logits_BK.shape[-1])).indices
        hit_BK = best_BK == label_B1
        right1 = right1 & hit_BK[:, :1].any(1)
        right5 = right5 & hit_BK.any(1)
    return right1.sum().double(), right5.sum().double()
