"""Wall-clock of a model on the device there is. Shapes: B batch, C colours, T frames, H W pixels."""

import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from slowfast_ext.engine.precision import wait


def seconds_per_clip(model: nn.Module, clip_BCTHW: Tensor, repeats: int = 3) -> float:
    """Median time of an eager fp32 forward pass in evaluation, after one to warm up."""
    model.eval()
    with torch.inference_mode():
        return median_seconds(lambda: model(clip_BCTHW), clip_BCTHW.device, repeats)


def median_seconds(work: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Median over `repeats` calls after one to warm up; waits for the device around each."""
    times = [seconds(work, device) for _ in range(repeats + 1)]
    return sorted(times[1:])[repeats // 2]


def least_seconds(
    work: Callable[[], object], device: torch.device, repeats: int, enough: float = 5.0
) -> float:
    """Least time of up to `repeats` calls after one to warm up; no further call after `enough` seconds."""
    times: list[float] = []
    for _ in range(repeats + 1):
        times.append(seconds(work, device))
        if len(times) > 1 and sum(times) > enough:
            break
    return min(times[1:])


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Time of one call, what the device does included."""
    wait(device)
    started = time.perf_counter()
    work()
    wait(device)
    return time.perf_counter() - started


def interleaved_seconds(
    works: Sequence[Callable[[], object]],
    device: torch.device,
    repeats: int = 9,
    enough: float = 20.0,
) -> list[float]:
    """Median time of each work over rounds in which all are called in turn, after one round to warm up.

    No further round after `enough` seconds: what slows the machine for a while slows all of them.
    """
    rounds: list[list[float]] = []
    started = time.perf_counter()
    while len(rounds) <= repeats and (len(rounds) < 2 or time.perf_counter() - started < enough):
        rounds.append([seconds(work, device) for work in works])
    return [sorted(times)[(len(rounds) - 1) // 2] for times in zip(*rounds[1:], strict=True)]
