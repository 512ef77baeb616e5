"""Divided attention: published modules, and the groups written out."""

import pytest
import torch
from attention_cases import layer_spec
from vit_cases import GOLDEN_GRID, assert_published_module, load_case, state_of

from slowfast_ext.analysis.cost import count_macs
from slowfast_ext.models.attention import Grid
from slowfast_ext.models.attention.grouped import Grouped
from slowfast_ext.models.attention.softmax import explicit_softmax
from slowfast_ext.models.blocks import BlockSpec, build_block


@pytest.mark.parametrize("axis", ["time", "space"])
def test_published_module(golden_dir, axis):
    case = load_case(golden_dir, f"mod_divided_attn_{axis}")
    layer = Grouped(layer_spec(GOLDEN_GRID), over_time=axis == "time")
    layer.load_state_dict(state_of(case))
    assert_published_module(layer, case)


@pytest.mark.parametrize("prefix", [0, 1, 2])
@pytest.mark.parametrize("over_time", [True, False])
def test_equals_groups_written_out(prefix, over_time):
    grid = Grid(3, 2, 5, prefix)
    layer = Grouped(layer_spec(grid, dim=12, heads=2), over_time).double()
    x_BNC = torch.randn(2, grid.tokens, 12, dtype=torch.double)
    q, k, v = layer.split_heads(x_BNC)
    y = torch.empty_like(q)
    y[:, :, :prefix] = explicit_softmax(q[:, :, :prefix], k, v)
    frame, place = (
        torch.arange(grid.patches) // grid.space,
        torch.arange(grid.patches) % grid.space,
    )
    group = place if over_time else frame
    for index in group.unique():
        rows = prefix + torch.nonzero(group == index).flatten()
        keys = torch.cat([torch.arange(prefix), rows])
        y[:, :, rows] = explicit_softmax(q[:, :, rows], k[:, :, keys], v[:, :, keys])
    torch.testing.assert_close(layer(x_BNC, grid), layer.merge_heads(y))


def test_stochastic_depth_spares_the_time_step():
    grid = Grid(2, 2, 2, prefix=1)
    block = build_block("divided", BlockSpec(layer_spec(grid, dim=12, heads=2), drop_path=0.999999))
    x_BNC = torch.randn(2, grid.tokens, 12)
    after_time = x_BNC + block.temporal_attn(block.temporal_norm1(x_BNC), grid)
    torch.testing.assert_close(block.train()(x_BNC, grid), after_time)


@pytest.mark.parametrize("over_time", [True, False])
def test_cost_is_what_the_docstring_says(over_time):
    grid, C = Grid(3, 2, 5, prefix=1), 12
    N, P, G = grid.patches, 1, grid.t if over_time else grid.space
    layer = Grouped(layer_spec(grid, dim=C, heads=2), over_time)
    cost = 4 * (N + P) * C**2 + 2 * N * (P + G) * C + 2 * P * (N + P) * C
    assert count_macs(layer, torch.empty(1, grid.tokens, C), grid)[""] == cost
