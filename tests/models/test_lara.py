"""LARA: published numbers, sampling in training, landmarks of every kind of row."""

import pytest
import torch
from attention_cases import GRIDS, build_layer, check_golden, load_golden

from slowfast_ext.analysis.cost import count_macs
from slowfast_ext.models.attention import Grid
from slowfast_ext.models.attention.lara import segment_means

# Where the released modules keep the layers that make the landmarks: after the pooling in 2-D.
NAMES_1D = {
    f"{part}_bar_gen.{i}": f"kernel.{part}_project.{i}" for part in ("q", "k") for i in (0, 1)
}
NAMES_2D = {
    f"{part}_bar_gen.{i + 2}": f"kernel.{part}_project.{i}" for part in ("q", "k") for i in (0, 1)
}


@pytest.mark.parametrize("estimator", ["mis-opt", "mis-bh", "mis-biased"])
def test_segment_landmarks_match_golden(golden_dir, estimator):
    grid = Grid(2, 4, 4)
    keys = {"POOL": "1d", "LANDMARKS": 5, "MIXED": False, "ESTIMATOR": estimator}
    layer = build_layer("joint", grid, KERNEL="lara", **{f"LARA__{k}": v for k, v in keys.items()})
    golden = load_golden(golden_dir, f"mod_lara_1d_{estimator}")
    check_golden(layer, golden, grid, NAMES_1D, lambda x: x)


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("mod_lara_2d_poolmixed", {"ALPHA": 2.0}),
        ("mod_lara_2d_noparam", {"PROJECT": False, "MIXED": False}),
    ],
)
def test_pooled_landmarks_match_golden(golden_dir, name, keys):
    grid = Grid(1, 4, 4)
    keys = {"LARA__LANDMARKS": 4, **{f"LARA__{key}": value for key, value in keys.items()}}
    layer = build_layer("joint", grid, KERNEL="lara", **keys)
    golden = load_golden(golden_dir, name)
    check_golden(layer, golden, grid, NAMES_2D, lambda x: x.flatten(1, 2))


@pytest.mark.parametrize("estimator", ["mis-opt", "mis-bh", "mis-biased"])
@pytest.mark.parametrize("pool", ["1d", "2d"])
@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_every_option_trains_on_every_grid(grid, pool, estimator):
    keys = {"LARA__POOL": pool, "LARA__ESTIMATOR": estimator, "LARA__LANDMARKS": 4}
    layer = build_layer("factorized", grid, KERNEL="lara", **keys)
    layer(torch.randn(2, grid.tokens, 48), grid).square().sum().backward()
    assert all(p.grad.isfinite().all() and p.grad.any() for p in layer.parameters())


def test_training_samples_and_evaluation_repeats():
    grid = GRIDS["cls"]
    layer = build_layer("joint", grid, KERNEL="lara", LARA__LANDMARKS=4)
    x = torch.randn(1, grid.tokens, 48)
    assert not torch.equal(layer(x, grid), layer(x, grid))
    layer.eval()
    assert torch.equal(layer(x, grid), layer(x, grid))


def test_segments_cover_the_row_with_the_longer_ones_last():
    x = torch.arange(7.0)[None, None, :, None]
    assert segment_means(x, 3).flatten().tolist() == [0.5, 2.5, 5.0]
    assert torch.equal(segment_means(x, 7), x)


@pytest.mark.parametrize("estimator", ["mis-opt", "mis-bh", "mis-biased"])
def test_frames_share_the_proposals_of_the_clip(estimator):
    """All frames at once, and one frame after another with the landmarks of the clip."""
    grid = GRIDS["bare"]
    keys = {"LARA__LANDMARKS": 4, "LARA__ESTIMATOR": estimator}
    kernel = build_layer("joint", grid, KERNEL="lara", **keys).kernel.double().eval()
    q, k, v = torch.randn(3, 2, 3, grid.tokens, 16, dtype=torch.float64)
    frames = [x.unflatten(2, (grid.t, grid.space)) for x in (k, v)]
    found = kernel.attend_frames(q, *frames, grid)
    landmarks = kernel._landmarks(q, k, grid, grid)
    kernel._landmarks = lambda *_: landmarks
    for t in range(grid.t):
        key, value = (x[:, :, t] for x in frames)
        expected = kernel.attend(q, key, value, grid, grid.frame())
        torch.testing.assert_close(found[:, :, :, t], expected)


def test_multiply_adds_to_frames_are_those_of_the_docstring():
    grid, h, D, R = GRIDS["bare"], 3, 16, 4
    layer = build_layer("joint", grid, KERNEL="lara", LARA__LANDMARKS=R).eval().to("meta")
    q = torch.empty(1, h, grid.tokens, D, device="meta")
    k = q.unflatten(2, (grid.t, grid.space))

    class Frames(torch.nn.Module):
        def forward(self):
            return layer.kernel.attend_frames(q, k, k, grid)

    row = 5 * h * R * grid.tokens * D + 3 * h * R**2 * D + 2 * h * R * D**2
    assert count_macs(Frames())[""] == row + h * R * grid.tokens * (grid.t - 1) * D
