"""Optimizer steps that survive a non-finite gradient without waiting for the device, and averaged weights."""

import copy
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer

from slowfast_ext.engine.distributed import World
from slowfast_ext.engine.sharding import local
from slowfast_ext.errors import DataError


class SafeStepper:
    """Clips, skips bad steps on the device, counts them, and names their videos when there are too many.

    A step is bad when the global gradient norm is not finite; it leaves parameters, optimizer state and
    the model's buffers (BatchNorm statistics) as they were. All ranks see the same norm and decide alike.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        max_norm: float,
        max_bad: int,
        scaler: GradScaler,
        world: World | None = None,
    ) -> None:
        """`max_norm` 0 does not clip; `max_bad` steps in a row raise at the next `check`.

        After a step every process of the `world` has the buffers of the first.
        """
        self._parameters = [p for p in model.parameters() if p.requires_grad]
        self._buffers, self._world = _changing_buffers(model), world
        self._saved = _flat(self._buffers)
        self._optimizer, self._scaler = optimizer, scaler
        self._max_norm, self._max_bad = max_norm, max_bad
        device = self._parameters[0].device
        self._bad = torch.zeros((), device=device)
        self._in_a_row = torch.zeros((), device=device)
        self._worst = torch.zeros((), device=device)
        self._total = torch.zeros((), device=device)
        self._recent: deque[tuple[int, list[int]]] = deque(maxlen=4 * max_bad)

    def backward(self, loss: Tensor) -> None:
        """Gradients of the loss, scaled for fp16."""
        self._scaler.scale(loss).backward()

    def clip(self) -> Tensor:
        """Clip the gradients to the largest norm; returns the norm before (on the device)."""
        self._scaler.unscale_(self._optimizer)
        gradients = [p.grad for p in self._parameters if p.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        if isinstance(norm, DTensor):
            norm = norm.full_tensor()
        if self._max_norm:
            nn.utils.clip_grads_with_norm_(self._parameters, self._max_norm, norm)
        self._bad = (~torch.isfinite(norm)).float()
        return norm

    def step(self, number: int, videos: Sequence[int]) -> None:
        """The optimizer's step, or none where `clip` met a norm that is not finite.

        `number` and the indices of the `videos` in the batch are remembered for the message of `check`.
        """
        self._apply(self._bad)
        self._settle_buffers(self._bad)
        self._in_a_row = (self._in_a_row + 1) * self._bad
        self._worst = torch.maximum(self._worst, self._in_a_row)
        self._total += self._bad
        self._recent.append((number, list(videos)))

    def zero_grad(self) -> None:
        """Drop the gradients."""
        self._optimizer.zero_grad(set_to_none=True)

    def _apply(self, bad: Tensor) -> None:
        if self._scaler.is_enabled():
            self._scaler.step(self._optimizer)
            self._scaler.update()
        elif self._optimizer.defaults.get("fused"):
            # Fused kernels read these two attributes, as GradScaler sets them, and skip the step on the device.
            vars(self._optimizer).update(grad_scale=None, found_inf=bad)
            self._optimizer.step()
            del vars(self._optimizer)["grad_scale"], vars(self._optimizer)["found_inf"]
        elif not bad.item():
            self._optimizer.step()

    def _settle_buffers(self, bad: Tensor) -> None:
        """Three kernels, however many buffers there are: a launch each would take longer than the copy."""
        if not self._buffers:
            return
        now = _flat(self._buffers)
        if self._world is not None and self._world.size > 1:
            dist.broadcast(now, src=0)
        self._saved = torch.where(bad.bool(), self._saved, now)
        parts = self._saved.split([buffer.numel() for buffer in self._buffers])
        kept = [part.view_as(buffer) for part, buffer in zip(parts, self._buffers, strict=True)]
        torch._foreach_copy_(self._buffers, kept)

    @property
    def check_period(self) -> int:
        """`check` must be called at least every so many steps for its message to name the batches."""
        return self._max_bad

    def check(self, name_of: Callable[[int], str]) -> int:
        """Bad steps so far (waits for the device). Raises DataError after too many in a row, naming their videos."""
        total, worst = map(int, torch.stack([self._total, self._worst]).tolist())
        if worst >= self._max_bad:
            steps = list(self._recent)[-2 * self._max_bad :]
            named = "\n".join(
                f"  step {n}: {', '.join(dict.fromkeys(map(name_of, videos)))}"
                for n, videos in steps
            )
            raise DataError(
                f"{self._max_bad} steps in a row had a non-finite loss or gradient (TRAIN.MAX_BAD_STEPS); "
                f"lower SOLVER.BASE_LR, set SOLVER.CLIP_GRAD_L2NORM or TRAIN.PRECISION bf16, or look at:\n{named}"
            )
        return total

    def state_dict(self) -> dict[str, Any]:
        """What an exact resume needs."""
        counts = torch.stack([self._in_a_row, self._worst, self._total])
        return {"counts": counts.cpu(), "scaler": self._scaler.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`."""
        self._in_a_row, self._worst, self._total = state["counts"].to(self._total.device).unbind()
        self._total = self._total.clone()
        if state["scaler"]:  # empty where the precision was another than fp16
            self._scaler.load_state_dict(state["scaler"])
        self._saved = _flat(self._buffers)


def _changing_buffers(model: nn.Module) -> list[Tensor]:
    """What training may change beside the parameters: floating-point buffers that checkpoints hold."""
    kept = model.state_dict().keys()
    return [b for name, b in model.named_buffers() if b.is_floating_point() and name in kept]


def _flat(tensors: Sequence[Tensor]) -> Tensor:
    """A copy of all values in a row."""
    return torch.cat([tensor.detach().flatten() for tensor in tensors] or [torch.empty(0)])


class WeightAverage:
    """average <- decay * average + (1 - decay) * weight after each step; buffers are copied."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).requires_grad_(False).eval()
        self._decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take in the weights of `model`."""
        own = [local(parameter) for parameter in self.model.parameters()]
        new = [local(parameter) for parameter in model.parameters()]
        torch._foreach_lerp_(own, new, 1.0 - self._decay)
        buffers = list(self.model.buffers())
        if buffers:
            torch._foreach_copy_(buffers, list(model.buffers()))
