"""Exact attention by torch's fused kernels; which form of them is decided here.

Shapes: B batch, N queries, M keys, h heads, D head dim.
"""

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention


def fused_attention(
    q_BhND: Tensor,
    k_BhMD: Tensor,
    v_BhMD: Tensor,
    mask: Tensor | None = None,
    dropout: float = 0.0,
    scale: float | None = None,
) -> Tensor:
    """softmax(q k^T * scale + mask) v, [B, h, N, D], of the values' dtype; `scale` is 1 / sqrt(D) unless given.

    A CPU that has no arithmetic of the dtype emulates it, in the backward pass four times slower than in fp32.
    """
    dtype = v_BhMD.dtype
    if q_BhND.device.type == "cpu" and torch.is_grad_enabled() and not cpu_computes(dtype):
        q_BhND, k_BhMD, v_BhMD = q_BhND.float(), k_BhMD.float(), v_BhMD.float()
    y_BhND = scaled_dot_product_attention(q_BhND, k_BhMD, v_BhMD, mask, dropout, scale=scale)
    return y_BhND.to(dtype)


def cpu_computes(dtype: torch.dtype) -> bool:
    """Whether this CPU multiplies numbers of a dtype: fp32 and fp64 always, bf16 and fp16 by instructions of their own."""
    return dtype not in _EMULATED


def _emulated() -> frozenset[torch.dtype]:
    if not torch.backends.mkldnn.is_available():
        return frozenset({torch.bfloat16, torch.float16})
    checks = {
        torch.bfloat16: torch.ops.mkldnn._is_mkldnn_bf16_supported,
        torch.float16: torch.ops.mkldnn._is_mkldnn_fp16_supported,
    }
    return frozenset(dtype for dtype, is_native in checks.items() if not is_native())


_EMULATED = _emulated()
"""Known before any program is traced."""
