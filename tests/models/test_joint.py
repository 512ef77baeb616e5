"""Joint attention: the published module, and its weights written out."""

import pytest
import torch
from attention_cases import build_layer
from vit_cases import GOLDEN_GRID, assert_published_module, load_case, state_of

from slowfast_ext.models.attention import Grid
from slowfast_ext.models.attention.softmax import explicit_softmax


def test_published_module(golden_dir):
    case = load_case(golden_dir, "mod_joint_attn")
    layer = build_layer("joint", GOLDEN_GRID)
    layer.load_state_dict(state_of(case))
    assert_published_module(layer, case)


@pytest.mark.parametrize("grid", [Grid(3, 2, 5), Grid(1, 3, 3, prefix=1)], ids=str)
def test_fused_attention_equals_explicit_weights(grid):
    layer = build_layer("joint", grid, dim=12, heads=2).double()
    x_BNC = torch.randn(2, grid.tokens, 12, dtype=torch.double)
    expected = layer.merge_heads(explicit_softmax(*layer.split_heads(x_BNC)))
    torch.testing.assert_close(layer(x_BNC, grid), expected)
