"""Performer: published features and modules, what its features are, when they are drawn."""

import pytest
import torch
from attention_cases import build_layer
from vit_cases import (
    assert_half_precision_is_finite,
    assert_kernel_is_consistent,
    assert_near,
    assert_published_frames,
    assert_published_module,
    build_kernel_on,
    load_case,
    state_of,
)

from slowfast_ext.analysis.cost import count_macs
from slowfast_ext.models.attention import Grid
from slowfast_ext.models.attention.performer import PerformerOptions, orthogonal_features
from slowfast_ext.models.attention.softmax import explicit_softmax

GRID = Grid(3, 2, 5, prefix=1)
VARIANTS = ["shared", "per_head"]


def build(grid=GRID, heads=3, **options):
    return build_kernel_on(grid, "performer", PerformerOptions(**options), heads=heads)


def test_published_function(golden_dir):
    case = load_case(golden_dir, "fn_performer_traj")
    kernel = build(heads=1, features=24)
    kernel.projection.copy_(case["in/W"])
    phi_q, phi_k = kernel.features(case["in/q"][:, None], case["in/k"][:, None])
    assert_near(phi_q[:, 0], case["out/q_features"])
    assert_near(phi_k[:, 0], case["out/k_features"])
    assert_published_frames(kernel, case)


def test_published_module(golden_dir):
    case = load_case(golden_dir, "mod_hk_performer_favorp")
    grid = Grid(2, 4, 4)
    options = PerformerOptions(features=24, variant="per_head")
    layer = build_layer("joint", grid, options, kernel="performer").eval()
    state = state_of(case)
    state["kernel.projection"] = state.pop("eval_proj")
    layer.load_state_dict(state)
    assert_published_module(layer, case, grid)


@pytest.mark.parametrize("variant", VARIANTS)
def test_equals_its_definition(variant):
    kernel = build(features=24, variant=variant)
    assert_kernel_is_consistent(kernel, GRID, shares_keys=True)


def test_many_features_come_near_softmax():
    q, k, v = 0.5 * torch.randn(3, 1, 3, GRID.tokens, 16)
    y = build(features=20000).attend(q, k, v, GRID, GRID)
    torch.testing.assert_close(y, explicit_softmax(q, k, v), rtol=0, atol=0.02)


def test_features_are_orthogonal_in_blocks():
    rows = orthogonal_features(2, 20, 8)
    blocks = torch.nn.functional.normalize(rows[:, :16], dim=-1).unflatten(1, (2, 8))
    torch.testing.assert_close(
        blocks @ blocks.mT, torch.eye(8).expand(2, 2, 8, 8), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("redraw", ["step", "never"])
def test_evaluation_is_repeatable_and_training_draws_by_policy(variant, redraw):
    kernel = build(features=24, variant=variant, redraw=redraw)
    q, k, v = torch.randn(3, 2, 3, GRID.tokens, 16)

    def attend():
        return kernel.attend(q, k, v, GRID, GRID)

    assert torch.equal(attend(), attend())
    kernel.train()
    assert torch.equal(attend(), attend()) == (redraw == "never")


def test_half_precision_is_finite():
    assert_half_precision_is_finite("performer", PerformerOptions(features=24))


def test_cost_is_what_the_docstring_says():
    grid = Grid(3, 2, 5)
    q = torch.empty(1, 3, grid.patches, 16)
    k = q.unflatten(2, (grid.t, grid.space))
    h, N, M, m, D, T = 3, grid.patches, grid.patches, 24, 16, grid.t
    kernel, features = build(grid, features=m), h * m * (N + M) * D
    cost = features + h * m * (N + M) * D + h * m * N
    kernel.forward = kernel.attend
    assert count_macs(kernel, q, q, q, grid, grid)[""] == cost
    kernel.forward = kernel.attend_frames
    cost = features + h * m * (M + T * N) * D + h * m * T * N
    assert count_macs(kernel, q, k, k, grid)[""] == cost
