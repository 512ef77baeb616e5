"""The grids that attention works on: counts of tokens, and the grids of a frame and of a position."""

import pytest

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
