"""Wall-clock of a model on the device there is. Shapes: B batch, C colours, T frames, H W pixels."""

import time
from collections.abc import Callable

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
