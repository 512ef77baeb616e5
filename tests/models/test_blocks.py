"""Blocks of every attention: layer scale and stochastic depth reach every branch."""

from dataclasses import replace

import pytest
import torch
from attention_cases import layer_spec
from model_cases import TINY_SPEC, attention, tiny_uniformer

from slowfast_ext.errors import ConfigError
from slowfast_ext.models.attention import Grid
from slowfast_ext.models.blocks import BLOCKS, Block, BlockSpec, attention_names, build_block
from slowfast_ext.models.layers import DropPath, LayerScale

GRID = Grid(2, 3, 3, prefix=1)


def build(name, **options):
    return build_block(name, BlockSpec(layer_spec(GRID, dim=12, heads=2), mlp_ratio=2.0, **options))


def forget_what_follows_the_gates(block):
    """TimeSformer's last linear layer over time, which is published behind stochastic depth, has a bias."""
    if hasattr(block, "temporal_fc"):
        torch.nn.init.zeros_(block.temporal_fc.bias)


@pytest.mark.parametrize("name", attention_names())
def test_layer_scale_gates_every_branch(name):
    """A scale of zero leaves the residual stream alone; every scale learns."""
    block = build(name, layer_scale=0.5)
    scales = [module for module in block.modules() if isinstance(module, LayerScale)]
    assert len(scales) == (3 if name in BLOCKS else 2)
    assert all((scale.gamma == 0.5).all() for scale in scales)
    x = torch.randn(2, GRID.tokens, 12)
    block(x, GRID).square().sum().backward()
    assert all(scale.gamma.grad.any() for scale in scales)
    for scale in scales:
        torch.nn.init.zeros_(scale.gamma)
    forget_what_follows_the_gates(block)
    assert torch.equal(block(x, GRID), x)


@pytest.mark.parametrize("name", attention_names())
def test_without_layer_scale_there_are_no_parameters_of_it(name):
    assert not any("ls" in key or "gamma" in key for key, _ in build(name).named_parameters())


@pytest.mark.parametrize("name", [name for name in attention_names() if name != "divided"])
def test_stochastic_depth_drops_every_branch(name):
    """But the step over time of `divided`: tests/models/test_divided.py."""
    block = build(name, drop_path=1.0).train()
    forget_what_follows_the_gates(block)
    x = torch.randn(3, GRID.tokens, 12)
    assert torch.equal(block(x, GRID), x)
    assert not torch.equal(block.eval()(x, GRID), x)


@pytest.mark.parametrize("name", attention_names())
def test_stochastic_depth_has_the_rate_of_the_block(name):
    rates = [m.rate for m in build(name, drop_path=0.25).modules() if isinstance(m, DropPath)]
    assert rates == [0.25, 0.25]


@pytest.mark.parametrize("name", BLOCKS.names())
def test_layer_scale_of_uniformer_reaches_into_blocks_with_two_attentions(name):
    model = tiny_uniformer(replace(TINY_SPEC, attention=attention(name)), layer_scale=0.5)
    blocks = [stage[0].block for stage in model.backbone.stages[2:]]
    for block in blocks:
        for part in ("temporal_ls1", "ls1", "ls2"):
            assert (getattr(block, part).gamma == 0.5).all()


def test_plain_blocks_hold_any_layer():
    class Half(torch.nn.Module):
        def forward(self, x_BNC, grid):
            return x_BNC / 2

    block = Block(BlockSpec(layer_spec(GRID, dim=12, heads=2)), Half())
    x = torch.randn(1, GRID.tokens, 12)
    torch.testing.assert_close(block(x, GRID), block.feed_forward(x + block.norm1(x) / 2))


def test_unknown_names_get_the_nearest():
    with pytest.raises(ConfigError, match="no attention 'devided': did you mean divided"):
        build("devided")


def written_out(block, name, x, time, space, prefix):
    """All but the MLP, as the docstrings say."""
    if name == "divided":
        return (t := x + time(x)) + space(t)
    if name == "split":
        return x + space(x + time(x))
    if name == "factorized":
        return (s := x + space(x)) + time(s)
    moved = block.temporal_fc(block.over_time(x[:, prefix:], replace(GRID, prefix=0)))
    t = x + torch.nn.functional.pad(moved, (0, 0, prefix, 0))
    return t + space(t)


@pytest.mark.parametrize("name", ["divided", "split", "factorized", "timesformer"])
def test_branches_are_added_in_their_order(name):
    block = build(name).double().eval()
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    x = torch.randn(2, GRID.tokens, 12, dtype=torch.double)
    time, space = (lambda x, step=s: step(x, GRID) for s in (block.over_time, block.over_space))
    expected = written_out(block, name, x, time, space, GRID.prefix)
    torch.testing.assert_close(block.attend(x, GRID), expected)
    torch.testing.assert_close(block(x, GRID), expected + block.mlp(block.norm2(expected)))
    if name in ("divided", "split"):
        assert (block.temporal_attn.over_time, block.attn.over_time) == (True, False)
