"""Nystromformer: published functions and the explicit product of its factors."""

import pytest
import torch
from vit_cases import (
    assert_half_precision_is_finite,
    assert_kernel_is_consistent,
    assert_near,
    assert_published_frames,
    build_kernel_on,
    load_case,
)

from slowfast_ext.analysis.cost import count_macs
from slowfast_ext.models.attention import Grid
from slowfast_ext.models.attention.nystrom import NystromOptions, iterative_inverse
from slowfast_ext.models.attention.softmax import explicit_softmax


def build(grid, landmarks, heads=3, steps=6):
    options = NystromOptions(landmarks=landmarks, inverse_steps=steps)
    return build_kernel_on(grid, "nystrom", options, heads=heads)


@pytest.mark.parametrize("landmarks", [3, 4])
def test_published_function(golden_dir, landmarks):
    case = load_case(golden_dir, f"fn_nystrom_R{landmarks}")
    assert_published_frames(build(Grid(2, 4, 4), landmarks, heads=1), case)


@pytest.mark.parametrize("steps", [1, 6, 12])
def test_published_inverse(golden_dir, steps):
    case = load_case(golden_dir, "fn_iterative_inverse")
    assert_near(iterative_inverse(case["in/A"], steps), case[f"out/n{steps}"], 1e-5)


@pytest.mark.parametrize("grid", [Grid(3, 2, 5, prefix=1), Grid(2, 3, 3)], ids=str)
@pytest.mark.parametrize("landmarks", [4, 1000])
def test_equals_its_definition(grid, landmarks):
    assert_kernel_is_consistent(build(grid, landmarks), grid, shares_keys=True)


def test_a_segment_a_token_is_exact():
    grid = Grid(1, 2, 3)
    q, k, v = torch.randn(3, 2, 3, 6, 16, dtype=torch.double)
    y = build(grid, 6, steps=40).attend(q, k, v, grid, grid)
    torch.testing.assert_close(y, explicit_softmax(q, k, v))


def test_half_precision_is_finite():
    assert_half_precision_is_finite("nystrom", NystromOptions(landmarks=4))


def test_cost_is_what_the_docstring_says():
    grid = Grid(3, 2, 5)
    q = torch.empty(1, 3, grid.patches, 16)
    k = q.unflatten(2, (grid.t, grid.space))
    h, N, M, R, D, T = 3, grid.patches, grid.patches, 4, 16, grid.t
    kernel, inverse = build(grid, R), 4 * 6 * h * R**3
    kernel.forward = kernel.attend
    assert count_macs(kernel, q, q, q, grid, grid)[""] == 2 * h * R * (N + M + R) * D + inverse
    kernel.forward = kernel.attend_frames
    cost = h * R * (N * (T + 1) + 2 * M + R * (T + 1)) * D + inverse
    assert count_macs(kernel, q, k, k, grid)[""] == cost
