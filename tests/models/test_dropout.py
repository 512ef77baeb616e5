"""Dropout of attention weights: in training alone, and as often as it says."""

import pytest
import torch
from attention_cases import build_layer

from slowfast_ext.models.attention import Grid
from slowfast_ext.models.attention.emim import EmimOptions
from slowfast_ext.models.attention.structsa import StructsaOptions
from slowfast_ext.models.attention.trajectory import TrajectoryOptions

LAYERS = [
    ("emim", EmimOptions(), False),
    ("emim", EmimOptions(), True),
    ("struct", StructsaOptions(), False),
    ("struct", StructsaOptions(), True),
    ("struct", StructsaOptions(shared=True), True),
]

REFERENCES = [
    ("struct", StructsaOptions(), "softmax", 1),
    ("struct", StructsaOptions(shared=True, stride=2), "softmax", 0),
    ("joint", None, "softmax", 1),
    ("joint", None, "linformer", 1),
    ("trajectory", TrajectoryOptions(norm="space_time"), "softmax", 0),
]


@pytest.mark.parametrize(("name", "options", "reference"), LAYERS)
@pytest.mark.parametrize("prefix", [0, 1])
def test_in_training_alone(name, options, reference, prefix):
    grid = Grid(3, 5, 5, prefix=prefix)
    layer = build_layer(name, grid, options, dropout=0.5, reference=reference)
    plain = build_layer(name, grid, options, reference=reference)
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(2, grid.tokens, 48)
    torch.testing.assert_close(layer.eval()(x, grid), plain.eval()(x, grid))
    torch.testing.assert_close(plain.train()(x, grid), plain.eval()(x, grid))
    first, second = (layer.train()(x, grid) for _ in range(2))
    changed = (first - second).abs().amax(-1) > 1e-6
    assert changed[:, :prefix].all()
    assert changed[:, prefix:].float().mean() > 0.9


@pytest.mark.parametrize(("name", "options", "kernel", "prefix"), REFERENCES)
def test_the_reference_form_drops_the_same_weights(name, options, kernel, prefix):
    """With the same random numbers."""
    grid = Grid(3, 4, 5, prefix=prefix)
    parts = [options] if options else []
    torch.manual_seed(0)
    fast, reference = (
        build_layer(name, grid, *parts, kernel=kernel, dropout=0.3, reference=reference).double()
        for reference in (False, True)
    )
    reference.load_state_dict(fast.state_dict())
    x = torch.randn(2, grid.tokens, 48, dtype=torch.float64)
    outputs = []
    for layer in (fast, reference):
        torch.manual_seed(1)
        outputs.append(layer.train()(x, grid))
    torch.testing.assert_close(*outputs)
    assert not torch.allclose(outputs[1], reference.eval()(x, grid))


@pytest.mark.parametrize(("name", "options", "reference"), LAYERS)
def test_the_mean_stays(name, options, reference):
    """What is left is scaled up, so that the expectation is the output without dropout."""
    torch.manual_seed(0)
    grid = Grid(2, 3, 3)
    layer = build_layer(name, grid, options, dim=24, heads=3, dropout=0.2, reference=reference)
    x = torch.randn(1, grid.tokens, 24).repeat(4000, 1, 1)
    with torch.no_grad():
        expected, mean = layer.eval()(x[:1], grid), layer.train()(x, grid).mean(0, keepdim=True)
    assert (mean - expected).abs().max() < 0.05 * expected.abs().max()
