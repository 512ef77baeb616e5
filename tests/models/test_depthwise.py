"""The depthwise convolution against conv3d, forward and backward."""

import pytest
import torch
from torch.nn.functional import conv3d

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


def test_gradients_only_where_wanted():
    layer = DepthwiseConv3d(3, (3, 3, 3)).requires_grad_(False)
    x = torch.randn(1, 2, 3, 3, 3, requires_grad=True)
    layer(x).sum().backward()
    assert x.grad is not None
    assert layer.weight.grad is None


def test_runs_under_autocast():
    layer = DepthwiseConv3d(3, (3, 3, 3))
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(torch.randn(1, 2, 3, 3, 3))
    y.sum().backward()
    assert y.dtype == torch.bfloat16
    assert layer.weight.grad.isfinite().all()
