"""One timed trial of a model in a process of its own.

Shapes: B batch, C colours, T frames, H W pixels, K classes.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from yacs.config import CfgNode

from benchmarks.own_process import Failure, in_own_process
from slowfast_ext.analysis.cost import meta_clip
from slowfast_ext.analysis.timing import median_seconds
from slowfast_ext.engine.distributed import pick_device
from slowfast_ext.engine.precision import autocast, peak_bytes
from slowfast_ext.models import build_model
from slowfast_ext.tasks import Output, heads_of

TRAIN, FORWARD = "train", "forward"


@dataclass(frozen=True)
class Setting:
    """How a model is run: `work` is forward (evaluation) or train (forward, backward, gradients)."""

    work: str = FORWARD
    precision: str = "fp32"
    channels_last: bool = False
    compiled: bool = False
    batch: int = 1
    repeats: int = 3


@dataclass(frozen=True)
class Outcome:
    """`clips_per_second` and the peak memory above that of an idle process; or why there is none."""

    clips_per_second: float = 0.0
    peak_bytes: int = 0
    failure: str = ""


def run_trial(cfg: CfgNode, setting: Setting, timeout: float = 600.0) -> Outcome:
    """Run a trial in a fresh process. Out of memory, crashes and time-outs come back as a failure."""
    found = in_own_process(timeout, _measure_dumped, cfg.dump(), setting)
    return Outcome(failure=found.reason) if isinstance(found, Failure) else found


def _measure_dumped(dumped: str, setting: Setting) -> Outcome:
    return measure(CfgNode.load_cfg(dumped), setting)


def measure(cfg: CfgNode, setting: Setting) -> Outcome:
    """The trial itself, in this process."""
    device = pick_device(cfg.DEVICE)
    torch.manual_seed(0)
    idle = peak_bytes(device)
    model = build_model(cfg).to(device)
    clip_BCTHW = torch.randn(meta_clip(cfg, setting.batch).shape, device=device)
    if setting.channels_last:
        model = model.to(memory_format=torch.channels_last_3d)
        clip_BCTHW = clip_BCTHW.contiguous(memory_format=torch.channels_last_3d)
    called = torch.compile(model) if setting.compiled else model
    make_work = training_work if setting.work == TRAIN else _forward_work
    work = make_work(called, model, clip_BCTHW, setting.precision)
    seconds = median_seconds(work, device, setting.repeats)
    return Outcome(setting.batch / seconds, peak_bytes(device) - idle)


def _forward_work(
    called: Callable[[Tensor], Output], model: nn.Module, clip_BCTHW: Tensor, precision: str
) -> Callable[[], object]:
    model.eval()

    def work() -> object:
        with torch.inference_mode(), autocast(clip_BCTHW.device, precision):
            return called(clip_BCTHW)

    return work


def training_work(
    called: Callable[[Tensor], Output], model: nn.Module, clip_BCTHW: Tensor, precision: str
) -> Callable[[], object]:
    """A training step of `model`, by way of `called`: forward, backward, gradients dropped."""
    model.train()

    def work() -> None:
        with autocast(clip_BCTHW.device, precision):
            logits = heads_of(called(clip_BCTHW))
        losses = [logits_BK.float().logsumexp(-1).sum() for logits_BK in logits]
        torch.stack(losses).sum().backward()
        model.zero_grad(set_to_none=True)

    return work


def with_work(setting: Setting, work: str) -> Setting:
    """The same setting for other work."""
    return replace(setting, work=work)
