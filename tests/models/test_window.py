"""Windowed attention against the joint one, frame by frame."""

import pytest
import torch
from attention_cases import GRIDS, build_layer
from model_cases import FEW_TOKENS

from slowfast_ext.analysis.cost import count_macs
from slowfast_ext.models.attention import KERNELS, Grid
from slowfast_ext.models.attention.window import WindowOptions, windows

GRIDS_OF_SEVEN = {
    "bare": Grid(7, 3, 5),
    "cls": Grid(7, 3, 5, prefix=1),
    "framewise": Grid(7, 3, 5, prefix=7, framewise=True),
}


def test_windows_are_cut_at_both_ends_of_the_clip():
    assert windows(5, 1) == [([0], 2), ([0, 1, 2], 3), ([3], 2)]
    assert windows(3, 0) == [([0, 1, 2], 1)]
    assert windows(2, 5) == [([0, 0], 2)]


@pytest.mark.parametrize("reach", [1, 2, 10])
@pytest.mark.parametrize("grid", GRIDS_OF_SEVEN.values(), ids=GRIDS_OF_SEVEN)
@pytest.mark.parametrize("kernel", ["softmax", "relu", "sigmoid"])
def test_each_frame_is_joint_attention_on_its_window(kernel, grid, reach):
    layer = build_layer("window", grid, WindowOptions(reach=reach), kernel=kernel).eval()
    joint = build_layer("joint", grid, kernel=kernel).eval()
    joint.load_state_dict(layer.state_dict())
    x = torch.randn(2, grid.tokens, 48)
    y = layer(x, grid)[:, grid.prefix :].unflatten(1, (grid.t, grid.space))
    frames = x[:, grid.prefix :].unflatten(1, (grid.t, grid.space))
    for t in range(grid.t):
        low, high = max(0, t - reach), min(grid.t, t + reach + 1)
        prefix = x[:, low:high] if grid.framewise else x[:, : grid.prefix]
        window = torch.cat([prefix, frames[:, low:high].flatten(1, 2)], dim=1)
        part = Grid(high - low, grid.h, grid.w, prefix.shape[1], grid.framewise)
        expected = joint(window, part)[:, part.prefix :].unflatten(1, (part.t, part.space))
        torch.testing.assert_close(y[:, t], expected[:, t - low])


@pytest.mark.parametrize("grid", GRIDS_OF_SEVEN.values(), ids=GRIDS_OF_SEVEN)
def test_multiply_adds_are_those_of_the_docstring(grid):
    N, C, S, P = grid.tokens, 48, grid.space, grid.frame_prefix
    frames = 7 * 3 - 2
    keys = frames * S + (frames if grid.framewise else 7) * P
    layer = build_layer("window", grid).to("meta")
    counted = count_macs(layer, torch.empty(1, N, C, device="meta"), grid)[""]
    assert counted == 4 * N * C**2 + 2 * (P + S) * C * keys


@pytest.mark.parametrize("kernel", [name for name in KERNELS.names() if name != "linformer"])
@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_every_kernel_trains(grid, kernel):
    layer = build_layer("window", grid, *FEW_TOKENS, kernel=kernel)
    x = torch.randn(2, grid.tokens, 48, requires_grad=True)
    layer(x, grid).square().sum().backward()
    assert x.grad.isfinite().all()
    for name, parameter in layer.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
