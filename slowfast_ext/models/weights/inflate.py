"""2-D kernels to 3-D ones (Carreira & Zisserman, "Quo Vadis", section 2.4).

Shapes: O output channels, I input channels, T time, kh kw kernel.
"""

import torch
from torch import Tensor


def can_inflate(kernel: Tensor, shape: tuple[int, ...]) -> bool:
    """Whether `kernel` (O, I, kh, kw) or (O, I, 1, kh, kw) only lacks the temporal extent of `shape`."""
    if len(shape) != 5 or kernel.ndim not in (4, 5):
        return False
    flat = tuple(kernel.shape) if kernel.ndim == 4 else (*kernel.shape[:2], *kernel.shape[3:])
    return flat == (*shape[:2], *shape[3:]) and (kernel.ndim == 4 or kernel.shape[2] == 1)


def inflate(kernel: Tensor, frames: int, mode: str) -> Tensor:
    """[O, I, T, kh, kw]: `mean` spreads the kernel evenly over time, `centre` leaves it in one slice.

    With zero padding in time a static clip gives the 2-D response only in the interior for `mean`,
    everywhere for `centre`.
    """
    kernel_OI1kk = kernel.unsqueeze(2) if kernel.ndim == 4 else kernel
    if mode == "mean":
        return kernel_OI1kk.expand(-1, -1, frames, -1, -1) / frames
    inflated = torch.zeros_like(kernel_OI1kk).repeat(1, 1, frames, 1, 1)
    inflated[:, :, frames // 2] = kernel_OI1kk[:, :, 0]
    return inflated
