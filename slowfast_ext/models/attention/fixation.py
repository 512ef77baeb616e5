"""Feature fixation: every channel of a query and key is weighed before linear attention (Eq. 4 and 5).

Which inner form meets the published counts: docs/feature_fixation.md.
Shapes: B batch, N tokens, h heads, D head dim.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from slowfast_ext.models.attention.grid import Grid
from slowfast_ext.options import Options, option, section


@section("ATTENTION.FIXATION", "Feature fixation, for any pattern and kernel")
@dataclass(frozen=True)
class FixationOptions(Options):
    """How the weights of channels are made."""

    mode: str = option(
        "none",
        "weights of q and k each from itself (separate) or from one another (cooperative)",
        choices=("none", "separate", "cooperative"),
    )
    targets: str = option("qkv", "what cooperative weights are made from", choices=("qk", "qkv"))
    shared: bool = option(True, "the same cooperative weights for q and k")
    combine: str = option(
        "concat", "how the targets are joined", choices=("concat", "add", "multiply")
    )
    layers: int = option(2, "linear layers of the weighing, with ReLU between", choices=(1, 2))


class SeparateFixation(nn.Module):
    """q * sigmoid(phi_q(q)), k * sigmoid(phi_k(k)) (Eq. 4). Cost: 2*layers*h*N*D^2, D head width."""

    def __init__(self, head_dim: int, options: FixationOptions) -> None:
        super().__init__()
        self.phi_q = _phi(head_dim, head_dim, head_dim, options.layers)
        self.phi_k = _phi(head_dim, head_dim, head_dim, options.layers)

    def forward(
        self, q_BhND: Tensor, k_BhND: Tensor, v_BhND: Tensor, grid: Grid
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Weighed queries and keys, values as they are."""
        gamma_q, gamma_k = self.phi_q(q_BhND).sigmoid(), self.phi_k(k_BhND).sigmoid()
        return gamma_q * q_BhND, gamma_k * k_BhND, v_BhND


class CooperativeFixation(nn.Module):
    """q * gamma, k * gamma with gamma = sigmoid(phi(q, k, v)) (Eq. 5), phi of the same token and head.

    phi has the same weights for all heads. Not shared: an output of its own for q and k.
    Cost: h*N*D*(3*D + D) for two layers on concatenated q, k, v, shared; h*N*3*D^2 for one layer.
    """

    def __init__(self, head_dim: int, options: FixationOptions) -> None:
        super().__init__()
        self.with_values = options.targets == "qkv"
        self.combine = options.combine
        self.outputs = 1 if options.shared else 2
        parts = (3 if self.with_values else 2) if self.combine == "concat" else 1
        self.phi = _phi(parts * head_dim, head_dim, self.outputs * head_dim, options.layers)

    def forward(
        self, q_BhND: Tensor, k_BhND: Tensor, v_BhND: Tensor, grid: Grid
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Weighed queries and keys, values as they are."""
        parts = (q_BhND, k_BhND, v_BhND) if self.with_values else (q_BhND, k_BhND)
        gammas = self.phi(_combined(parts, self.combine)).sigmoid().chunk(self.outputs, dim=-1)
        return gammas[0] * q_BhND, gammas[-1] * k_BhND, v_BhND


MODES = {"separate": SeparateFixation, "cooperative": CooperativeFixation}


def build_fixation(head_dim: int, options: FixationOptions) -> nn.Module | None:
    """What the mode asks for: (q, k, v, grid) -> weighed (q, k) and v, [B, h, N, D] each; None for `none`."""
    return None if options.mode == "none" else MODES[options.mode](head_dim, options)


def _phi(width_in: int, hidden: int, width_out: int, layers: int) -> nn.Module:
    if layers == 1:
        return nn.Linear(width_in, width_out)
    return nn.Sequential(nn.Linear(width_in, hidden), nn.ReLU(), nn.Linear(hidden, width_out))


def _combined(parts: tuple[Tensor, ...], how: str) -> Tensor:
    if how == "concat":
        return torch.cat(parts, dim=-1)
    stacked = torch.stack(parts)
    return stacked.sum(0) if how == "add" else stacked.prod(0)
