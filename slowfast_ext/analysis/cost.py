"""What a model costs: parameters, multiply-adds by module, memory saved for the backward pass.

All is counted from shapes on torch's meta device: nothing is computed, any size fits in any machine.
One multiply-add counts as one, as in the papers' "GFLOPs"; elementwise work is not counted.
Shapes: B batch, C colours, T frames, H W pixels, h heads, N queries, M keys, D head dim.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop
from yacs.config import CfgNode

from slowfast_ext.engine.optim import freeze, training_mode
from slowfast_ext.models import build_model
from slowfast_ext.models.compile import blocks_of
from slowfast_ext.options import pair

aten = torch.ops.aten
Out = TypeVar("Out")


@dataclass(frozen=True)
class Cost:
    """`macs` of one view, `by_module` of every module that does any work, `saved_bytes` per clip in training."""

    params: int
    macs: int
    by_module: dict[str, int]
    saved_bytes: int


def model_cost(cfg: CfgNode) -> Cost:
    """Cost of one view of the model that `cfg` describes, at test crop size; what TRAIN.FREEZE names saves nothing."""
    return cost_of(meta_model(cfg), meta_clip(cfg))


def meta_model(cfg: CfgNode) -> nn.Module:
    """The model of `cfg` on the meta device, in training mode, with what TRAIN.FREEZE names frozen."""
    with torch.device("meta"):
        model = build_model(cfg)
    freeze(model, cfg.TRAIN.FREEZE)
    training_mode(model)
    return model


def meta_clip(cfg: CfgNode, batch: int = 1) -> Tensor:
    """A clip of the configured size that has a shape and no content."""
    size = pair(cfg.DATA.TEST_CROP_SIZE)
    return torch.empty(batch, 3, cfg.DATA.NUM_FRAMES, *size, device="meta")


def cost_of(model: nn.Module, clip_BCTHW: Tensor) -> Cost:
    """Cost of a model on the meta device for one clip. Leaves the model in training mode."""
    counts = count_macs(model.eval(), clip_BCTHW)
    params = sum(parameter.numel() for parameter in model.parameters())
    training_mode(model)
    with FusedAttention():
        saved = saved_for_backward(model, clip_BCTHW)
    return Cost(params, counts.pop(""), counts, saved)


def count_macs(model: nn.Module, *inputs: Any) -> dict[str, int]:
    """Multiply-adds of a forward pass by module name; '' is the whole."""
    counter = FlopCounterMode(display=False, custom_mapping={_CPU_ATTENTION: _cpu_attention_flops})
    with torch.no_grad(), counter:
        model(*inputs)
    whole = type(model).__name__
    counts = {}
    for name, operators in counter.get_flop_counts().items():
        own = "" if name in ("Global", whole) else name.removeprefix(f"{whole}.")
        counts[own] = sum(operators.values()) // 2
    return counts


_CPU_ATTENTION = aten._scaled_dot_product_flash_attention_for_cpu


def _cpu_attention_flops(
    q_shape: Sequence[int], k_shape: Sequence[int], v_shape: Sequence[int], *_: Any, **__: Any
) -> int:
    """torch counts its fused CPU attention as nothing."""
    return sdpa_flop(q_shape, k_shape, v_shape)


class FusedAttention(TorchFunctionMode):
    """torch's attention as one kernel, as on a GPU, where the meta device would spell out its scores."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Any function but that one as it is."""
        if func is functional.scaled_dot_product_attention and args[0].is_meta:
            return _fused(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _fused(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    scale: float | None = None,
) -> Tensor:
    y: Tensor = _CPU_ATTENTION(q, k, v, dropout_p, False, attn_mask=attn_mask, scale=scale)[0]
    return y


def saved_for_backward(model: nn.Module, *inputs: Tensor) -> int:
    """Bytes that a forward pass in training saves for the backward pass, parameters aside."""
    return saved_by(model, lambda: model(*inputs))[0]


def saved_by(model: nn.Module, forward: Callable[[], Out]) -> tuple[int, Out]:
    """The same of any `forward` of a model, and what it returns."""
    own = {_storage(tensor) for tensor in (*model.parameters(), *model.buffers())}
    saved: dict[int, int] = {}
    alive: list[Tensor] = []  # a storage that is freed could come back under the same number

    def save(tensor: Tensor) -> Tensor:
        alive.append(tensor)
        saved[_storage(tensor)] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
        out = forward()
    return sum(size for storage, size in saved.items() if storage not in own), out


def recomputed_at_once(model: nn.Module, *inputs: Tensor) -> int:
    """Bytes of the largest block that MODEL.CHECKPOINT_BLOCKS recomputes, which the backward pass holds beside what was saved.

    Such a block runs twice in a step, that is how they are known. On the meta device: nothing is computed. Attention is
    fused in what is counted, but not in the step: torch recomputes in threads of its own, where no mode is active.
    """
    runs: dict[nn.Module, list[tuple[Any, ...]]] = {block: [] for block in blocks_of(model)}
    hooks = [
        block.register_forward_pre_hook(lambda own, args: runs[own].append(args)) for block in runs
    ]
    model(*inputs).sum().backward()
    for hook in hooks:
        hook.remove()
    model.zero_grad()
    with FusedAttention():
        sizes = [
            saved_for_backward(block, given[0][0].detach().requires_grad_(), *given[0][1:])
            for block, given in runs.items()
            if len(given) > 1
        ]
    return max(sizes, default=0)


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def views_of(cfg: CfgNode) -> int:
    """Views per video in testing."""
    return cfg.TEST.NUM_ENSEMBLE_VIEWS * cfg.TEST.NUM_SPATIAL_CROPS


def summary(cfg: CfgNode) -> dict[str, Any]:
    """The numbers that are compared with the papers: params_m, gflops_view, gflops_total, by_module."""
    cost = model_cost(cfg)
    return {
        "params_m": cost.params / 1e6,
        "gflops_view": cost.macs / 1e9,
        "gflops_total": cost.macs * views_of(cfg) / 1e9,
        "views": views_of(cfg),
        "saved_mib_per_clip": cost.saved_bytes / 2**20,
        "by_module": {name: macs / 1e9 for name, macs in cost.by_module.items() if macs},
    }
