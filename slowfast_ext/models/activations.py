"""Activations of an MLP by name."""

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn
from torch.nn.functional import silu


class QuickGELU(nn.Module):
    """x * sigmoid(1.702 x), CLIP's approximation of the GELU; as a SiLU it saves one tensor for the backward pass, not two."""

    def forward(self, x: Tensor) -> Tensor:
        """[..] -> [..]."""
        return silu(1.702 * x) / 1.702


ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "gelu": nn.GELU,
    "gelu_tanh": partial(nn.GELU, approximate="tanh"),
    "quick_gelu": QuickGELU,
}
