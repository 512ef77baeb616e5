"""Depthwise 3-D convolution on channels-last tensors, with a backward pass that is fast on CPUs.

oneDNN runs the forward pass of a depthwise conv3d well, its backward pass 5 to 30 times slower than need be, and in
bf16 with wrong results where the kernel exceeds the grid (torch 2.13).
At stride one the input gradient is a forward pass with the flipped kernel; the weight gradient falls apart into
2-D ones, a temporal tap each, and those are fast up to three columns. Other strides are brought back to one.

A channel may have several kernels: the input is repeated in no memory that outlives the convolution, on a GPU in none.

Shapes: B batch, C channels, E kernels of a channel, T H W grid, k kernel size per axis, G clips taken together, N their frames.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import conv3d

Size3d = tuple[int, int, int]

_FAST_COLUMNS = 3
_FAST_ELEMENTS = 2**18  # of a batch of images that oneDNN takes at once


class DepthwiseConv3d(nn.Conv3d):
    """A kernel of odd sizes per channel, same padding, stride one."""

    def __init__(self, dim: int, kernel: tuple[int, int, int]) -> None:
        super().__init__(dim, dim, kernel, padding=_same(kernel), groups=dim)

    def forward(self, x_BTHWC: Tensor) -> Tensor:
        """[B, T, H, W, C] -> [B, T, H, W, C]."""
        return depthwise_conv3d(x_BTHWC, self.weight, self.bias)


def depthwise_conv3d(
    x_BTHWC: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Size3d = (1, 1, 1)
) -> Tensor:
    """conv3d with E kernels a channel, `weight` [E*C, 1, kt, kh, kw] of odd sizes, same padding; the reference
    implementation is conv3d on E copies of the input side by side.

    [B, T, H, W, C] -> [B, T', H', W', E*C], sizes rounded up after the stride; all channels of the first kernels first.
    """
    x_BCTHW = x_BTHWC.permute(0, 4, 1, 2, 3)
    if x_BCTHW.device.type == "cpu":
        x_BCTHW, weight = _autocast(x_BCTHW), _autocast(weight)
        bias = None if bias is None else _autocast(bias)
        y_BCTHW = _DepthwiseConv3d.apply(x_BCTHW, weight, bias, stride)
    else:
        y_BCTHW = _grouped(x_BCTHW, weight, bias, stride)
    return y_BCTHW.permute(0, 2, 3, 4, 1)


def _grouped(x_BCTHW: Tensor, weight: Tensor, bias: Tensor | None, stride: Size3d) -> Tensor:
    """One grouped convolution, in which the kernels of a channel stand side by side."""
    groups, kernels = x_BCTHW.shape[1], weight.shape[0] // x_BCTHW.shape[1]
    if kernels == 1:
        return _same_conv(x_BCTHW, weight, bias, stride)

    def by_channel(x: Tensor) -> Tensor:
        return x.unflatten(0, (kernels, groups)).transpose(0, 1).flatten(0, 1)

    own_bias = None if bias is None else by_channel(bias)
    padding = _same(weight.shape[2:])
    y_BCTHW = conv3d(x_BCTHW, by_channel(weight), own_bias, stride, padding, groups=groups)
    return y_BCTHW.unflatten(1, (groups, kernels)).transpose(1, 2).flatten(1, 2)


def _autocast(x: Tensor) -> Tensor:
    """What autocast does for a convolution, which it cannot do for the inside of our function."""
    return x.to(torch.get_autocast_dtype("cpu")) if torch.is_autocast_enabled("cpu") else x


def _same(kernel: Sequence[int]) -> Size3d:
    kt, kh, kw = (size // 2 for size in kernel)
    return kt, kh, kw


def _same_conv(x_BCTHW: Tensor, weight: Tensor, bias_C: Tensor | None, stride: Size3d) -> Tensor:
    padding = _same(weight.shape[2:])
    return conv3d(x_BCTHW, weight, bias_C, stride, padding, groups=weight.shape[0])


def _repeated(x_BCTHW: Tensor, weight: Tensor) -> Tensor:
    """As many copies of the input as there are kernels of a channel, side by side in channels-last memory."""
    kernels = weight.shape[0] // x_BCTHW.shape[1]
    if kernels == 1:
        return x_BCTHW
    x_BTHW1C = x_BCTHW.permute(0, 2, 3, 4, 1).unsqueeze(-2)
    x_BTHWC = x_BTHW1C.expand(*x_BTHW1C.shape[:4], kernels, -1).flatten(-2)
    return x_BTHWC.permute(0, 4, 1, 2, 3)


class _DepthwiseConv3d(torch.autograd.Function):
    """The convolution on a CPU; saved for the backward pass is the input itself, not its copies."""

    @staticmethod
    def forward(
        ctx: Any, x_BCTHW: Tensor, weight: Tensor, bias: Tensor | None, stride: Size3d
    ) -> Tensor:
        ctx.save_for_backward(x_BCTHW, weight)
        ctx.stride = stride
        return _same_conv(_repeated(x_BCTHW, weight), weight, bias, stride)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_BCTHW: Tensor) -> tuple[Tensor | None, ...]:
        x_BCTHW, weight = ctx.saved_tensors
        needs_x, needs_weight, needs_bias, _ = ctx.needs_input_grad
        channels, kernels = x_BCTHW.shape[1], weight.shape[0] // x_BCTHW.shape[1]
        size = (x_BCTHW.shape[0], weight.shape[0], *x_BCTHW.shape[2:])
        grad_BCTHW = _without_stride(grad_BCTHW, ctx.stride, size)
        grad_x = grad_weight = None
        if needs_x:
            grad_x = _same_conv(grad_BCTHW, weight.flip(2, 3, 4), None, (1, 1, 1))
            grad_x = grad_x if kernels == 1 else grad_x.unflatten(1, (kernels, channels)).sum(1)
        if needs_weight:
            grad_weight = weight_gradient(_repeated(x_BCTHW, weight), grad_BCTHW, weight)
        return grad_x, grad_weight, grad_BCTHW.sum((0, 2, 3, 4)) if needs_bias else None, None


def _without_stride(grad_BCTHW: Tensor, stride: Size3d, shape: Sequence[int]) -> Tensor:
    """The gradient of the same convolution at stride one: zero where the stride left no output."""
    if all(step == 1 for step in stride):
        return grad_BCTHW.contiguous(memory_format=torch.channels_last_3d)
    full = grad_BCTHW.new_zeros(shape).contiguous(memory_format=torch.channels_last_3d)
    full[:, :, :: stride[0], :: stride[1], :: stride[2]] = grad_BCTHW
    return full


@torch.library.custom_op("slowfast_ext::depthwise_weight_gradient", mutates_args=())
def weight_gradient(x_BCTHW: Tensor, grad_BCTHW: Tensor, weight: Tensor) -> Tensor:
    """[C, 1, kt, kh, kw], in windows of at most three columns: oneDNN has fast kernels for those only.

    One operator for a compiler, whatever the number of clips, taps and windows.
    """
    width = weight.shape[-1]
    columns = min(_FAST_COLUMNS, width)
    x_BTHWC = x_BCTHW.permute(0, 2, 3, 4, 1)
    padded_BTHWC = nn.functional.pad(x_BTHWC, (0, 0, width // 2, width // 2))
    result = torch.zeros_like(weight)
    for wanted in range(0, width, columns):
        start = min(wanted, width - columns)
        end = padded_BTHWC.shape[3] - (width - columns - start)
        window_BTHWC = padded_BTHWC[:, :, :, start:end].contiguous()
        result[..., start : start + columns] = _window_gradient(
            window_BTHWC, grad_BCTHW, weight[..., :columns]
        )
    return result


@weight_gradient.register_fake
def _(x_BCTHW: Tensor, grad_BCTHW: Tensor, weight: Tensor) -> Tensor:
    return torch.empty_like(weight)


def _window_gradient(x_BTHWC: Tensor, grad_BCTHW: Tensor, weight: Tensor) -> Tensor:
    """Sum over clips and temporal taps of the 2-D gradients; columns of x are padded already.

    Small clips go together, since oneDNN spends most of their time on its calls; large ones one by one, from the cache.
    """
    taps, (clips, frames) = weight.shape[2], x_BTHWC.shape[:2]
    result = torch.zeros_like(weight)
    together = max(1, _FAST_ELEMENTS * clips // max(1, grad_BCTHW.numel()))
    grad_BTHWC = grad_BCTHW.permute(0, 2, 3, 4, 1)
    for x_GTHWC, grad_GTHWC in zip(
        x_BTHWC.split(together), grad_BTHWC.split(together), strict=True
    ):
        for tap in range(taps):
            shift = tap - taps // 2
            first, last = max(0, -shift), min(frames, frames - shift)
            if first < last:
                result[:, :, tap] += _gradient_2d(
                    _images(x_GTHWC[:, first + shift : last + shift]),
                    _images(grad_GTHWC[:, first:last]),
                    weight[:, :, tap],
                )
    return result


def _images(x_GTHWC: Tensor) -> Tensor:
    """The frames of all clips as a batch of images in channels-last memory."""
    return x_GTHWC.flatten(0, 1).permute(0, 3, 1, 2)


def _gradient_2d(x_NCHW: Tensor, grad_NCHW: Tensor, weight: Tensor) -> Tensor:
    ones, zeros, padding, groups = [1, 1], [0, 0], [weight.shape[2] // 2, 0], weight.shape[0]
    only_weight = [False, True, False]
    return torch.ops.aten.convolution_backward(
        grad_NCHW, x_NCHW, weight, None, ones, padding, ones, False, zeros, groups, only_weight
    )[1]
