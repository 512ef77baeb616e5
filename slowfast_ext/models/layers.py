"""Parts that several backbones share: the MLP, layer scale, stochastic depth, activation checkpoints, initial weights.

Shapes: B batch, N tokens, C channels.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from slowfast_ext.models.attention import Grid


class DropPath(nn.Module):
    """Stochastic depth: in training a sample's residual branch is dropped with probability `rate`, else scaled up.

    A compiler sees the rate as a tensor, so that blocks which differ in nothing else share a program.
    """

    survival: Tensor

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate, self.is_active = rate, rate > 0
        self.register_buffer("survival", torch.tensor(1.0 - rate), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, ..] -> [B, ..]."""
        if not (self.training and self.is_active):
            return x
        shape = [x.shape[0]] + [1] * (x.ndim - 1)
        if torch.compiler.is_compiling():
            survives = torch.rand(shape, device=x.device) < self.survival
            return x * (survives / self.survival.clamp(min=1e-6)).to(x.dtype)
        survival = 1.0 - self.rate
        noise = torch.empty(shape, dtype=x.dtype, device=x.device).bernoulli_(survival)
        return x * (noise.div_(survival) if survival > 0 else noise)


def drop_path_rates(last: float, depth: int) -> list[float]:
    """Rates of `depth` blocks, rising linearly from 0 to `last`."""
    return torch.linspace(0, last, depth, device="cpu").tolist()


NORMS: dict[str, Callable[..., nn.Module]] = {"layer": nn.LayerNorm, "rms": nn.RMSNorm}
"""Norms by name, constructed with a width and `eps`."""


class Mlp(nn.Module):
    """Linear, activation (exact GELU where nothing else is given), Linear: [.., C] -> [.., C]."""

    def __init__(self, dim: int, hidden: int, act: Callable[[], nn.Module] = nn.GELU) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.act = act()
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        """[.., C] -> [.., C]."""
        return self.fc2(self.act(self.fc1(x)))


class LayerScale(nn.Module):
    """A learned factor per channel on a residual branch."""

    def __init__(self, dim: int, init: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((dim,), init))

    def forward(self, x: Tensor) -> Tensor:
        """[.., C] -> [.., C]."""
        return x * self.gamma


def layer_scale(dim: int, init: float) -> nn.Module:
    """LayerScale that starts at `init`; 0: none."""
    return LayerScale(dim, init) if init else nn.Identity()


def run_blocks(
    blocks: Iterable[nn.Module], x: Tensor, *grid: Grid, recomputed: range = range(0)
) -> Tensor:
    """Pass `x` through the blocks; the activations of those numbered in `recomputed` are not saved in training."""
    for index, block in enumerate(blocks):
        if index in recomputed and block.training and torch.is_grad_enabled():
            x = recomputed_call(block, x, *grid)
        else:
            x = block(x, *grid)
    return x


def recomputed_call(block: nn.Module, x: Tensor, *grid: Grid) -> Tensor:
    """block(x, *grid), computed once more in the backward pass instead of saved; buffers change once.

    A compiler makes one program of both passes, in which buffers change once anyway.
    """
    if torch.compiler.is_compiling():
        return checkpoint(block, x, *grid, use_reentrant=False)

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _buffers_untouched(block)

    return checkpoint(block, x, *grid, use_reentrant=False, context_fn=contexts)


@contextmanager
def _buffers_untouched(module: nn.Module) -> Iterator[None]:
    """What a forward pass writes into buffers (BatchNorm's statistics) goes into copies of them."""
    own = {child: dict(child._buffers) for child in module.modules() if child._buffers}
    for child, buffers in own.items():
        lasting = buffers.keys() - child._non_persistent_buffers_set  # the others are tables
        copies = {
            name: x.clone() for name, x in buffers.items() if name in lasting and x is not None
        }
        child._buffers.update(copies)
    try:
        yield
    finally:
        for child, buffers in own.items():
            child._buffers.update(buffers)


def init_transformer(std: float) -> Callable[[nn.Module], None]:
    """For `model.apply`: truncated normal of `std` for linear weights, zero biases.

    A layer that starts otherwise has a method `init_weights`, which has the last word on its parameters, as
    `apply` comes to parents last.
    """

    def init(module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif callable(own := getattr(module, "init_weights", None)):
            own()

    return init
