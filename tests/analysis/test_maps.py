"""Maps read from layers: rows, values times map, nothing changed in the layer."""

import pytest
import torch
from layer_cases import GRIDS, build_layer
from torch import nn

from slowfast_ext.analysis.maps import attention_map, collected, record
from slowfast_ext.errors import ConfigError
from slowfast_ext.models.attention import KERNELS
from slowfast_ext.models.attention.base import Attention

PATTERNS = {
    "joint": "",
    "space": "",
    "window": "",
    "mixing": "",
    "divided": "temporal_attn",
    "factorized": "temporal_attn",
}
NORMALISED = ("softmax", "relu", "elu", "sigmoid", "cosformer", "lara", "orthoformer")


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def part(layer, name):
    return getattr(layer, name) if name else layer


def grids():
    return [pytest.param(grid, id=name) for name, grid in GRIDS.items()]


def output_before_projection(layer, x, grid):
    """What the layer's own projection is given, in the order of the sequence."""
    given = []
    layer.keeps_order = True
    handle = layer.proj.register_forward_pre_hook(lambda _, args: given.append(args[0]))
    y = layer(x, grid)
    handle.remove()
    return given[0], y


def own_values(layer, x, grid):
    """Values as the layer's steps leave them."""
    return layer.apply_steps(*layer.split_heads(x), grid)[2]


@pytest.mark.parametrize("grid", grids())
@pytest.mark.parametrize("pattern", PATTERNS)
def test_map_times_values_is_what_the_layer_collects(pattern, grid):
    layer = part(build_layer(pattern, grid), PATTERNS[pattern]).double().eval()
    x = torch.randn(1, grid.tokens, 48, dtype=torch.double)
    weights = attention_map(layer, x, grid)
    expected, _ = output_before_projection(layer, x, grid)
    got = (weights @ own_values(layer, x, grid)).transpose(1, 2).flatten(2)
    torch.testing.assert_close(got, expected)
    torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]))


@pytest.mark.parametrize("kernel", KERNELS.names())
def test_map_of_every_kernel_is_its_explicit_weights(kernel):
    grid = GRIDS["cls"]
    layer = build_layer("joint", grid, KERNEL=kernel).double().eval()
    x = torch.randn(1, grid.tokens, 48, dtype=torch.double)
    weights = attention_map(layer, x, grid)
    q, k, _ = layer.apply_steps(*layer.split_heads(x), grid)
    torch.testing.assert_close(weights, layer.kernel.weights(q, k, grid, grid))
    if kernel in NORMALISED:
        torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]))


def test_map_keeps_fixation_that_depends_on_the_values():
    grid = GRIDS["bare"]
    layer = build_layer("joint", grid, KERNEL="relu", FIXATION__MODE="cooperative").double().eval()
    x = torch.randn(1, grid.tokens, 48, dtype=torch.double)
    expected, _ = output_before_projection(layer, x, grid)
    got = attention_map(layer, x, grid) @ layer.split_heads(x)[2]
    torch.testing.assert_close(got.transpose(1, 2).flatten(2), expected)


def test_rows_are_those_of_the_whole_map():
    grid = GRIDS["cls"]
    layer = build_layer("window", grid).eval()
    x = torch.randn(1, grid.tokens, 48)
    rows = torch.tensor([4, 0])
    torch.testing.assert_close(
        attention_map(layer, x, grid, rows), attention_map(layer, x, grid)[:, :, rows]
    )


def test_reading_leaves_the_layer_as_it_is():
    grid = GRIDS["bare"]
    layer = build_layer("joint", grid).eval()
    x = torch.randn(1, grid.tokens, 48)
    before, own = layer(x, grid), set(vars(layer))
    attention_map(layer, x, grid)
    assert set(vars(layer)) == own
    assert torch.equal(layer(x, grid), before)


@pytest.mark.parametrize("pattern", ["emim", "trajectory"])
def test_layers_that_are_no_map_say_so(pattern):
    grid = GRIDS["bare"]
    layer = build_layer(pattern, grid).eval()
    nn.init.ones_(layer.motion[2].bias) if pattern == "emim" else None
    with pytest.raises(ConfigError, match=type(layer).__name__):
        attention_map(layer, torch.randn(1, grid.tokens, 48), grid)


def test_record_gives_inputs_in_order_and_takes_its_hooks_away():
    grid = GRIDS["bare"]

    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = build_layer("joint", grid), build_layer("space", grid)

        def forward(self, x):
            return self.second(self.first(x, grid), grid)

    model, x = Two(), torch.randn(1, grid.tokens, 48)
    seen = record(model, x)
    assert [item.name for item in seen] == ["first", "second"]
    assert torch.equal(seen[0].x_BNC, x)
    assert torch.equal(seen[1].x_BNC, model.first(x, grid))
    assert not any(m._forward_pre_hooks for m in model.modules() if isinstance(m, Attention))


def test_collected_of_the_own_values_is_the_output():
    grid = GRIDS["bare"]
    layer = build_layer("joint", grid).eval()
    x = torch.randn(1, grid.tokens, 48)
    got = collected(layer, x, grid, layer.split_heads(x)[2])
    torch.testing.assert_close(layer.merge_heads(got), layer(x, grid))
