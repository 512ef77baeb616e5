"""Arithmetic and memory of a device: autocast, loss scaling, waiting for it, the most it has held."""

import logging
import resource
from functools import cache
from pathlib import Path

import torch
from torch.amp import GradScaler

from slowfast_ext.models.attention.fused import cpu_computes

logger = logging.getLogger(__name__)

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_STATUS = Path("/proc/self/status")
"""Linux's getrusage starts a new process at the size of its parent, which hides the process's own peak."""


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Context of the forward pass; fp32 leaves everything as it is, and so does a CPU that could only emulate."""
    half = precision != "fp32" and not (device.type == "cpu" and _is_emulated(precision))
    return torch.autocast(device.type, _DTYPES[precision], enabled=half)


@cache
def _is_emulated(precision: str) -> bool:
    """Whether this CPU has no arithmetic of a precision; says so once, and what is done instead."""
    emulated = not cpu_computes(_DTYPES[precision])
    if emulated:
        logger.warning(
            "this CPU has no %s arithmetic and would be some hundred times slower with it: computing in fp32",
            precision,
        )
    return emulated


def loss_scaler(device: torch.device, precision: str) -> GradScaler:
    """Dynamic loss scaling for fp16, nothing for the others."""
    return GradScaler(device.type, enabled=precision == "fp16")


def wait(device: torch.device) -> None:
    """Until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_bytes(device: torch.device) -> int:
    """Largest memory so far: allocated on a GPU, else resident of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if _STATUS.exists():
        (line,) = (line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
