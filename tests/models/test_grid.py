"""The grids that attention works on: counts of tokens, and the grids of a frame and of a position."""

import pytest
import torch
from attention_cases import GRIDS, build_layer

from slowfast_ext.models.attention import Grid


@pytest.mark.parametrize(
    ("grid", "tokens", "frame_prefix"),
    [
        (Grid(3, 4, 5), 60, 0),
        (Grid(3, 4, 5, prefix=2), 62, 2),
        (Grid(3, 4, 5, prefix=6, framewise=True), 66, 2),
        (Grid(1, 1, 1, prefix=1), 2, 1),
    ],
)
def test_tokens(grid, tokens, frame_prefix):
    assert (grid.space, grid.patches) == (grid.h * grid.w, grid.t * grid.h * grid.w)
    assert (grid.tokens, grid.frame_prefix) == (tokens, frame_prefix)


def test_tokens_without_a_place_are_all_prefix():
    assert Grid.placeless(7) == Grid(t=0, h=0, w=0, prefix=7, framewise=False)
    assert Grid.placeless().tokens == 0


@pytest.mark.parametrize("grid", [Grid(3, 4, 5, prefix=2), Grid(3, 4, 5, prefix=6, framewise=True)])
def test_a_frame_and_a_line(grid):
    """The prefix is the clip's, unless another one is given, also none."""
    assert grid.frame() == Grid(1, 4, 5, grid.prefix)
    assert grid.frame(1) == Grid(1, 4, 5, 1)
    assert grid.frame(0) == Grid(1, 4, 5, 0)
    assert grid.line() == Grid(3, 1, 1, grid.prefix)
    assert grid.line(1) == Grid(3, 1, 1, 1)
    assert grid.line(0) == Grid(3, 1, 1, 0)


@pytest.mark.parametrize(
    ("reference", "seen"), [(True, GRIDS["framewise"]), (False, Grid(3, 16, 1))]
)
def test_steps_of_a_reference_form_see_the_order_of_the_sequence(reference, seen):
    """Those of the fast form see rows of frames: a class token, then 3 x 5 patches."""
    grid, orders = GRIDS["framewise"], []
    layer = build_layer("space", grid, reference=reference)
    layer.qkv_steps.append(lambda q, k, v, order: orders.append(order) or (q, k, v))
    layer(torch.randn(2, grid.tokens, 48), grid)
    assert orders == [seen]
