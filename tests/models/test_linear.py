"""Linear kernels: published numbers, and equality with their explicit N x N definitions."""

import pytest
import torch
from attention_cases import (
    GRIDS,
    build_layer,
    check_golden,
    layer_spec,
    load_golden,
    to_sequence,
)
from model_cases import FEW_TOKENS
from torch.nn.functional import elu

from slowfast_ext.analysis.cost import count_macs
from slowfast_ext.models.attention import Grid
from slowfast_ext.models.attention.base import build_kernel
from slowfast_ext.models.attention.linear import Elu, LinearOptions, linear_attention
from slowfast_ext.models.attention.space import Time

FRAMEWISE = Grid(4, 4, 4, prefix=4, framewise=True)
LARA_BASELINE = LinearOptions(offset=0.1, clamp=0.01)


def test_relu_over_space_matches_golden(golden_dir):
    golden = load_golden(golden_dir, "spec_relu_linear_space")
    check_golden(build_layer("space", FRAMEWISE, kernel="relu"), golden, FRAMEWISE, {}, to_sequence)


def test_relu_over_time_matches_golden(golden_dir):
    layer = Time(layer_spec(FRAMEWISE, kernel="relu"))
    golden = load_golden(golden_dir, "spec_relu_linear_time")
    check_golden(layer, golden, FRAMEWISE, {}, to_sequence)


@pytest.mark.parametrize(
    ("name", "grid", "kernel", "options"),
    [
        ("spec_elu_linear_joint", Grid(4, 4, 4, prefix=1), "elu", LinearOptions()),
        ("mod_hk_relu_linear", Grid(2, 4, 4), "relu", LARA_BASELINE),
        ("mod_hk_softmax", Grid(2, 4, 4), "softmax", LinearOptions()),
    ],
)
def test_joint_matches_golden(golden_dir, name, grid, kernel, options):
    golden = load_golden(golden_dir, name)
    layer = build_layer("joint", grid, options, kernel=kernel)
    check_golden(layer, golden, grid, {}, lambda x: x)


def small_kernel(name: str):
    grid = GRIDS["cls"]
    return build_kernel(layer_spec(grid, *FEW_TOKENS, kernel=name), grid), grid


LINEAR_KERNELS = ("relu", "elu", "sigmoid", "cosformer", "linformer", "lara")


@pytest.mark.parametrize("name", LINEAR_KERNELS)
def test_attend_equals_the_explicit_weights(name):
    kernel, grid = small_kernel(name)
    kernel = kernel.double().eval()
    q, k, v = torch.randn(3, 2, 3, grid.tokens, 16, dtype=torch.float64)
    q, k = kernel.feature_map(q), kernel.feature_map(k)
    weights = kernel.weights(q, k, grid, grid)
    torch.testing.assert_close(kernel.attend(q, k, v, grid, grid), weights @ v)
    if name != "linformer":
        torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]))
        assert (weights >= 0).all()


@pytest.mark.parametrize("name", LINEAR_KERNELS)
def test_queries_and_keys_may_be_different_tokens(name):
    kernel, grid = small_kernel(name)
    kernel = kernel.double().eval()
    q = kernel.feature_map(torch.randn(2, 3, 15, 16, dtype=torch.float64))
    k, v = torch.randn(2, 2, 3, grid.tokens, 16, dtype=torch.float64)
    k = kernel.feature_map(k)
    frame = grid.frame(prefix=0)
    expected = kernel.weights(q, k, frame, grid) @ v
    torch.testing.assert_close(kernel.attend(q, k, v, frame, grid), expected)


@pytest.mark.parametrize("name", LINEAR_KERNELS)
def test_bf16_autocast_stays_near_single_precision(name):
    kernel, grid = small_kernel(name)
    kernel.eval()
    q, k, v = torch.randn(3, 2, 3, grid.tokens, 16)

    def attend(q, k, v):
        return kernel.attend(kernel.feature_map(q), kernel.feature_map(k), v, grid, grid)

    exact = attend(q, k, v)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = attend(q.bfloat16(), k.bfloat16(), v.bfloat16())
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), exact, rtol=0.05, atol=0.05)


def test_a_long_bf16_sum_keeps_its_precision():
    """Summed in bf16 the normaliser of equal keys would stop growing at 256."""
    ones = torch.ones(1, 1, 5000, 4, dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = linear_attention(ones, ones, ones, clamp=1e-6)
    torch.testing.assert_close(y, ones)


def test_elu_feature_is_elu_plus_one_without_cancellation():
    x = torch.linspace(-20, 5, 101, dtype=torch.float64)
    kernel, _ = small_kernel("elu")
    assert isinstance(kernel, Elu)
    torch.testing.assert_close(kernel.feature_map(x), elu(x) + 1)
    far = torch.tensor([-10.0], dtype=torch.bfloat16)
    assert kernel.feature_map(far).item() == pytest.approx(4.54e-5, rel=0.01)


def test_a_query_without_features_gives_zero_and_finite_gradients():
    q, k, v = torch.randn(3, 1, 1, 6, 4)
    q = (-q.abs()).requires_grad_()
    y = linear_attention(torch.relu(q), torch.relu(k), v, clamp=1e-6)
    y.sum().backward()
    assert (y == 0).all()
    assert q.grad.isfinite().all()


class _Allocations(torch.utils._python_dispatch.TorchDispatchMode):
    """The largest number of elements of any tensor that an operation returns."""

    largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in torch.utils._pytree.tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                self.largest = max(self.largest, tensor.numel())
        return out


@pytest.mark.parametrize("name", LINEAR_KERNELS)
def test_memory_is_linear_in_tokens(name):
    """Twice the tokens, at most twice the largest tensor of forward and backward (N x N: four times)."""
    largest = []
    for frames in (16, 32):
        grid = Grid(frames, 12, 12, prefix=1)
        layer = build_layer("joint", grid, *FEW_TOKENS, dim=16, heads=2, kernel=name)
        x = torch.randn(1, grid.tokens, 16, requires_grad=True)
        with _Allocations() as allocations:
            layer(x, grid).sum().backward()
        largest.append(allocations.largest)
    assert largest[1] <= 2 * largest[0]


COSTS = {
    "relu": lambda N, h, D, R: 2 * h * N * D**2 + h * N * D,
    "elu": lambda N, h, D, R: 2 * h * N * D**2 + h * N * D,
    "sigmoid": lambda N, h, D, R: 2 * h * N * D**2 + h * N * D,
    "cosformer": lambda N, h, D, R: 4 * h * N * D**2 + 2 * h * N * D,
    "linformer": lambda N, h, D, R: 4 * h * R * N * D,
    "lara": lambda N, h, D, R: 5 * h * R * N * D + 3 * h * R**2 * D + 2 * h * R * D**2,
}


@pytest.mark.parametrize("name", LINEAR_KERNELS)
def test_multiply_adds_are_those_of_the_docstring(name):
    kernel, grid = small_kernel(name)
    q, k, v = torch.empty(3, 1, 3, grid.tokens, 16, device="meta")
    kernel.forward = kernel.attend
    counted = count_macs(kernel.to("meta").eval(), q, k, v, grid, grid)[""]
    R = 5 if name == "linformer" else 4
    assert counted == COSTS[name](grid.tokens, 3, 16, R)
