"""The depthwise convolution against conv3d, forward and backward."""

import pytest
import torch
from torch.nn.functional import conv3d

from slowfast_ext.models import depthwise
from slowfast_ext.models.depthwise import DepthwiseConv3d, depthwise_conv3d


@pytest.mark.parametrize("kernel", [(3, 3, 3), (5, 5, 5), (1, 3, 3), (3, 1, 7), (1, 1, 1)])
@pytest.mark.parametrize("shape", [(2, 4, 5, 6), (1, 1, 7, 3), (3, 2, 1, 1)])
@pytest.mark.parametrize("stride", [(1, 1, 1), (1, 2, 2)])
def test_equals_conv3d(kernel, shape, stride):
    x = torch.randn(*shape, 4, dtype=torch.double, requires_grad=True)
    weight = torch.randn(4, 1, *kernel, dtype=torch.double, requires_grad=True)
    bias = torch.randn(4, dtype=torch.double, requires_grad=True)
    fast = depthwise_conv3d(x, weight, bias, stride)
    padding = [k // 2 for k in kernel]
    plain = conv3d(x.permute(0, 4, 1, 2, 3), weight, bias, stride, padding, groups=4)
    plain = plain.permute(0, 2, 3, 4, 1)
    torch.testing.assert_close(fast, plain)
    towards = torch.randn_like(plain)
    leaves = (x, weight, bias)
    grads = [torch.autograd.grad(y, leaves, towards) for y in (fast, plain)]
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("device", ["cpu", "other"])
@pytest.mark.parametrize("stride", [(1, 1, 1), (1, 2, 2)])
def test_several_kernels_of_a_channel(stride, device):
    """The form for other devices too: it is the one that they run, here on CPU tensors."""
    x = torch.randn(2, 3, 5, 4, 6, dtype=torch.double, requires_grad=True)
    weight = torch.randn(4 * 6, 1, 3, 3, 3, dtype=torch.double, requires_grad=True)
    bias = torch.randn(4 * 6, dtype=torch.double, requires_grad=True)
    if device == "cpu":
        found = depthwise_conv3d(x, weight, bias, stride)
    else:
        y = depthwise._grouped(x.permute(0, 4, 1, 2, 3), weight, bias, stride)
        found = y.permute(0, 2, 3, 4, 1)
    copies = x.repeat(1, 1, 1, 1, 4).permute(0, 4, 1, 2, 3)
    expected = conv3d(copies, weight, bias, stride, (1, 1, 1), groups=24).permute(0, 2, 3, 4, 1)
    torch.testing.assert_close(found, expected)
    leaves, towards = (x, weight, bias), torch.randn_like(expected)
    grads = [torch.autograd.grad(y, leaves, towards) for y in (found, expected)]
    torch.testing.assert_close(*grads)


def test_gradients_only_where_wanted():
    layer = DepthwiseConv3d(3, (3, 3, 3)).requires_grad_(False)
    x = torch.randn(1, 2, 3, 3, 3, requires_grad=True)
    layer(x).sum().backward()
    assert x.grad is not None
    assert layer.weight.grad is None


@pytest.mark.parametrize("shape", [(2, 4, 1, 1), (2, 2, 1, 5), (1, 8, 7, 7)])
@pytest.mark.parametrize("kernel", [(3, 3, 3), (5, 5, 5)])
def test_gradients_under_autocast(shape, kernel):
    """The plain convolution is wrong here on the CPU where the kernel exceeds the grid."""
    layer = DepthwiseConv3d(32, kernel)
    x = torch.randn(*shape, 32, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
    assert y.dtype == torch.bfloat16
    towards = torch.randn(y.shape)
    leaves = (x, layer.weight, layer.bias)
    low = torch.autograd.grad(y, leaves, towards.bfloat16())
    full = torch.autograd.grad(layer(x), leaves, towards)
    for a, b in zip(low, full, strict=True):
        assert (a - b).abs().max() < 0.05 * b.abs().max()
