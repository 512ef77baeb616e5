"""Stochastic depth against torchvision's; rates; layer scale."""

import pytest
import torch
from torch import nn
from torchvision.ops import StochasticDepth

from slowfast_ext.models.activations import ACTIVATIONS
from slowfast_ext.models.compile import blocks_of
from slowfast_ext.models.layers import DropPath, LayerScale, drop_path_rates


@pytest.mark.parametrize("shape", [(7,), (5, 4), (6, 2, 3, 2)])
@pytest.mark.parametrize("rate", [0.0, 0.3, 0.999, 1.0])
def test_drop_path_is_torchvisions_draw_for_draw(rate, shape):
    ours, theirs = DropPath(rate), StochasticDepth(rate, mode="row")
    x, found = torch.randn(shape, dtype=torch.double), []
    for layer in (ours, theirs):
        torch.manual_seed(3)
        leaf = x.clone().requires_grad_()
        draws = [layer(leaf) for _ in range(4)]
        sum(draw.square().sum() for draw in draws).backward()
        found.append((draws, leaf.grad, torch.rand(2)))
    torch.testing.assert_close(*found, rtol=0, atol=0)


def test_drop_path_leaves_evaluation_as_it_is():
    x = torch.randn(3, 2)
    assert DropPath(0.9).eval()(x) is x


@pytest.mark.parametrize(("rate", "kept"), [(0.25, 1 / 0.75), (0.75, 4.0), (1.0, 0.0)])
def test_what_a_compiler_sees_drops_as_many_and_scales_the_others(rate, kept, monkeypatch):
    """The form with the rate as a tensor: whole samples, and none that is not a number."""
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    torch.manual_seed(0)
    y_BC = DropPath(rate)(torch.ones(4000, 3))
    assert set(y_BC[:, 0].tolist()) == {0.0, torch.tensor(kept).item()}
    assert torch.equal(y_BC, y_BC[:, :1].expand(-1, 3))
    assert (y_BC[:, 0] != 0).double().mean().item() == pytest.approx(1 - rate, abs=0.03)


def test_blocks_are_the_members_of_the_outermost_lists():
    stages = nn.ModuleList(nn.ModuleList(nn.Linear(1, 1) for _ in range(n)) for n in (2, 1))
    inner = nn.Sequential(nn.ModuleList([nn.ReLU()]))
    plain = nn.ModuleList([nn.Sequential(inner)])
    model = nn.ModuleDict({"stem": nn.Linear(1, 1), "stages": stages, "head": plain})
    assert list(blocks_of(model)) == [*stages[0], *stages[1], plain[0]]


def test_rates_rise_linearly_from_zero():
    assert drop_path_rates(0.4, 5) == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert drop_path_rates(0.4, 1) == [0]
    with torch.device("meta"):
        assert drop_path_rates(0.1, 2) == pytest.approx([0, 0.1])


def test_layer_scale_starts_at_its_value_for_every_channel():
    x = torch.randn(2, 3, 5)
    torch.testing.assert_close(LayerScale(5, 0.25)(x), 0.25 * x)


def test_activations_against_their_formulas():
    x = torch.linspace(-4, 4, 33, dtype=torch.double)
    cubic = x + 0.044715 * x**3
    expected = {
        "gelu": x / 2 * (1 + torch.erf(x / 2**0.5)),
        "gelu_tanh": x / 2 * (1 + torch.tanh((2 / torch.pi) ** 0.5 * cubic)),
        "quick_gelu": x * torch.sigmoid(1.702 * x),
    }
    assert expected.keys() == ACTIVATIONS.keys()
    for name, values in expected.items():
        torch.testing.assert_close(ACTIVATIONS[name]()(x), values)
