"""Joint attention: the published module, and its weights written out."""

import pytest
import torch
from attention_cases import build_layer
from model_cases import FEW_TOKENS
from vit_cases import GOLDEN_GRID, assert_published_module, load_case, state_of

from slowfast_ext.models.attention import KERNELS, Grid
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


@pytest.mark.parametrize("kernel", KERNELS.names())
def test_what_stands_in_padding_changes_nothing(kernel):
    """At the end of a row and at its begin."""
    grid = Grid(1, 1, 9)
    layer = build_layer("joint", grid, *FEW_TOKENS, kernel=kernel).eval()
    valid_BN = torch.ones(3, 9, dtype=torch.bool)
    valid_BN[0, 6:] = valid_BN[1, 0] = False
    x_BNC = torch.randn(3, 9, 48)
    other_BNC = torch.where(valid_BN[..., None], x_BNC, torch.randn_like(x_BNC))
    found, again = (layer(x, grid, valid_BN)[valid_BN] for x in (x_BNC, other_BNC))
    torch.testing.assert_close(found, again)
