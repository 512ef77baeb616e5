"""Attention within frames and over time: which tokens meet."""

import pytest
import torch
from attention_cases import GRIDS, build_layer, layer_spec, mlp_macs
from model_cases import FEW_TOKENS

from slowfast_ext.analysis.cost import count_macs
from slowfast_ext.models.attention import KERNELS, Grid
from slowfast_ext.models.attention.fixation import FixationOptions
from slowfast_ext.models.attention.frames import from_frames, from_lines, to_frames, to_lines
from slowfast_ext.models.attention.neighbour import NeighbourOptions
from slowfast_ext.models.attention.space import Time
from slowfast_ext.models.attention.xvit_mixing import MixingOptions


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
@pytest.mark.parametrize(("there", "back"), [(to_frames, from_frames), (to_lines, from_lines)])
def test_rows_there_and_back(there, back, grid):
    x = torch.randn(2, 3, grid.tokens, 16)
    torch.testing.assert_close(back(there(x, grid), grid), x)


def influence(layer, grid, token):
    """Tokens whose output changes with the input of `token`."""
    x = torch.randn(1, grid.tokens, 48)
    changed = x.clone()
    changed[:, token] += 1
    difference = (layer(changed, grid) - layer(x, grid)).abs().amax(-1)[0]
    return set((difference > 1e-6).nonzero().flatten().tolist())


def patch(grid, t, s):
    return grid.prefix + t * grid.space + s


def tokens_of_frame(grid, t):
    return {patch(grid, t, s) for s in range(grid.space)}


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_space_meets_the_frame_and_its_class_token(grid):
    layer = build_layer("space", grid).eval()
    cls = {"bare": set(), "cls": {0}, "framewise": {1}}[name_of(grid)]
    assert influence(layer, grid, patch(grid, 1, 2)) == tokens_of_frame(grid, 1) | cls


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_time_meets_its_own_place(grid):
    layer = Time(layer_spec(grid)).eval()
    line = {patch(grid, t, 2) for t in range(grid.t)}
    assert influence(layer, grid, patch(grid, 1, 2)) == line
    if grid.framewise:
        assert influence(layer, grid, 0) == {0, 1, 2}


@pytest.mark.parametrize("pattern", ["space", "mixing", "factorized"])
@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({}, (MixingOptions(shift_div=4, num_segments=2),)),
        ({"kernel": "cosformer"}, (FixationOptions(mode="cooperative"),)),
        ({"kernel": "relu", "qk_norm": "rms"}, (NeighbourOptions(temporal=True, spatial=True),)),
    ],
    ids=["plain", "fixation", "neighbours"],
)
@pytest.mark.parametrize("frame_prefix", [1, 2])
def test_rows_of_frames_before_the_projection_are_those_after_it(
    pattern, options, parts, frame_prefix
):
    """The order of the sequence, as reference forms keep it, gives the same outputs and gradients."""
    grid = Grid(5, 3, 5, prefix=5 * frame_prefix, framewise=True)
    layer = build_layer(pattern, grid, *parts, **options).double()
    x = torch.randn(2, grid.tokens, 48, dtype=torch.double, requires_grad=True)
    wanted = [x, *layer.parameters()]
    found = []
    for keeps_order in (False, True):
        for module in layer.modules():
            module.keeps_order = keeps_order
        y = layer(x, grid)
        found.append([y, *torch.autograd.grad(y.square().sum(), wanted)])
    torch.testing.assert_close(*found)


def test_mixing_reaches_one_frame_further():
    grid = GRIDS["framewise"]
    layer = build_layer("mixing", grid).eval()
    both = tokens_of_frame(grid, 0) | tokens_of_frame(grid, 1) | {0, 1}
    assert influence(layer, grid, patch(grid, 0, 2)) == both


def test_a_frame_alone_has_the_output_it_has_in_a_clip():
    grid = GRIDS["framewise"]
    layer = build_layer("space", grid, kernel="relu").eval()
    x = torch.randn(1, grid.tokens, 48)
    frame = torch.cat([x[:, 1:2], x[:, 3 + 15 : 3 + 30]], dim=1)
    alone = layer(frame, grid.frame(prefix=1))
    torch.testing.assert_close(layer(x, grid)[:, 18:33], alone[:, 1:])


@pytest.mark.parametrize("kernel", KERNELS.names())
@pytest.mark.parametrize("pattern", ["space", "factorized", "mixing"])
@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_every_kernel_trains(grid, pattern, kernel):
    layer = build_layer(pattern, grid, *FEW_TOKENS, kernel=kernel)
    x = torch.randn(2, grid.tokens, 48, requires_grad=True)
    layer(x, grid).square().sum().backward()
    assert x.grad.isfinite().all()
    for name, parameter in layer.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_multiply_adds_are_those_of_the_docstrings(grid, fixed):
    N, C, h, T, F = grid.tokens, 48, 3, grid.t, grid.frame_prefix + grid.space
    fixation = 4 * h * N * (C // h) ** 2 if fixed else 0
    space = 4 * N * C**2 + 2 * T * F**2 * C + fixation
    time = 4 * N * C**2 + 2 * F * T**2 * C + fixation
    x = torch.empty(1, N, C, device="meta")
    expected = {"space": space, "mixing": space, "factorized": space + time}
    for pattern, count in expected.items():
        fixation = FixationOptions(mode="cooperative" if fixed else "none")
        layer = build_layer(pattern, grid, fixation).to("meta")
        assert count_macs(layer, x, grid)[""] == count + mlp_macs(pattern, grid), pattern


def name_of(grid):
    return next(name for name, other in GRIDS.items() if other == grid)
