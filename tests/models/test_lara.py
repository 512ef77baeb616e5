"""LARA: published numbers, sampling in training, landmarks of every kind of row."""

import pytest
import torch
from attention_cases import GRIDS, build_layer, check_golden, load_golden

from slowfast_ext.analysis.cost import count_macs
from slowfast_ext.models.attention import Grid
from slowfast_ext.models.attention.landmarks import segment_means
from slowfast_ext.models.attention.lara import LaraOptions

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
    options = LaraOptions(landmarks=5, pool="1d", mixed=False, estimator=estimator)
    layer = build_layer("joint", grid, options, kernel="lara")
    golden = load_golden(golden_dir, f"mod_lara_1d_{estimator}")
    check_golden(layer, golden, grid, NAMES_1D, lambda x: x)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("mod_lara_2d_poolmixed", LaraOptions(landmarks=4, alpha=2.0)),
        ("mod_lara_2d_noparam", LaraOptions(landmarks=4, project=False, mixed=False)),
    ],
)
def test_pooled_landmarks_match_golden(golden_dir, name, options):
    grid = Grid(1, 4, 4)
    layer = build_layer("joint", grid, options, kernel="lara")
    golden = load_golden(golden_dir, name)
    check_golden(layer, golden, grid, NAMES_2D, lambda x: x.flatten(1, 2))


@pytest.mark.parametrize("estimator", ["mis-opt", "mis-bh", "mis-biased"])
@pytest.mark.parametrize("pool", ["1d", "2d"])
@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_every_option_trains_on_every_grid(grid, pool, estimator):
    options = LaraOptions(landmarks=4, pool=pool, estimator=estimator)
    layer = build_layer("factorized", grid, options, kernel="lara")
    layer(torch.randn(2, grid.tokens, 48), grid).square().sum().backward()
    assert all(p.grad.isfinite().all() and p.grad.any() for p in layer.parameters())


def test_training_samples_and_evaluation_repeats():
    grid = GRIDS["cls"]
    layer = build_layer("joint", grid, LaraOptions(landmarks=4), kernel="lara")
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
    options = LaraOptions(landmarks=4, estimator=estimator)
    kernel = build_layer("joint", grid, options, kernel="lara").kernel.double().eval()
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
    layer = build_layer("joint", grid, LaraOptions(landmarks=R), kernel="lara").eval().to("meta")
    q = torch.empty(1, h, grid.tokens, D, device="meta")
    k = q.unflatten(2, (grid.t, grid.space))

    class Frames(torch.nn.Module):
        def forward(self):
            return layer.kernel.attend_frames(q, k, k, grid)

    row = 5 * h * R * grid.tokens * D + 3 * h * R**2 * D + 2 * h * R * D**2
    assert count_macs(Frames())[""] == row + h * R * grid.tokens * (grid.t - 1) * D
