"""Neighbourhood association and the shifts below it."""

import pytest
import torch
from attention_cases import GRIDS, build_layer, load_golden, to_sequence
from model_cases import tree

from slowfast_ext.errors import ConfigError
from slowfast_ext.models import build_model
from slowfast_ext.models.attention import Grid
from slowfast_ext.models.attention.fixation import FixationOptions
from slowfast_ext.models.attention.neighbour import Neighbour, NeighbourOptions
from slowfast_ext.models.attention.shift import shifted, spatial_shift, temporal_shift

FRAMEWISE = Grid(4, 4, 4, prefix=4, framewise=True)


def test_temporal_shift_matches_golden(golden_dir):
    golden = load_golden(golden_dir, "spec_shift_temporal")
    found = temporal_shift(to_sequence(golden["in"]["x"]), FRAMEWISE, 6)
    assert torch.equal(found, to_sequence(golden["out"]["y"]))


def test_spatial_shift_matches_golden(golden_dir):
    golden = load_golden(golden_dir, "spec_shift_spatial")
    found = spatial_shift(to_sequence(golden["in"]["x"]), FRAMEWISE, 3, start=12)
    assert torch.equal(found, to_sequence(golden["out"]["y"]))


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_every_channel_comes_from_the_token_that_the_rules_name(grid):
    """Token by token, by the definition."""
    x = torch.randn(2, grid.tokens, 16)
    found = spatial_shift(temporal_shift(x, grid, 2), grid, 1, start=4)
    patches = x[:, grid.prefix :].unflatten(1, (grid.t, grid.h, grid.w))
    steps = [(1, 0, 0)] * 2 + [(-1, 0, 0)] * 2 + [(0, 0, 1), (0, 0, -1), (0, 1, 0), (0, -1, 0)]
    steps += [(0, 0, 0)] * 8
    expected = torch.zeros_like(patches)
    for t in range(grid.t):
        for i in range(grid.h):
            for j in range(grid.w):
                for channel, step in enumerate(steps):
                    source = [a + b for a, b in zip((t, i, j), step, strict=True)]
                    inside = zip(source, (grid.t, grid.h, grid.w), strict=True)
                    if all(0 <= a < size for a, size in inside):
                        value = patches[:, source[0], source[1], source[2], channel]
                        expected[:, t, i, j, channel] = value
    assert torch.equal(found[:, grid.prefix :], expected.flatten(1, 3))


def test_prefix_tokens_shift_in_time_only_where_each_frame_has_its_own():
    grid = GRIDS["cls"]
    x = torch.randn(1, grid.tokens, 16)
    assert torch.equal(temporal_shift(x, grid, 4)[:, :1], x[:, :1])
    grid = GRIDS["framewise"]
    x = torch.randn(1, grid.tokens, 16)
    found = temporal_shift(x, grid, 4)[:, :3]
    assert torch.equal(found[:, :2, :4], x[:, 1:3, :4])
    assert torch.equal(found[:, 1:, 4:8], x[:, :2, 4:8])
    assert torch.equal(spatial_shift(x, grid, 4, start=0)[:, :3], x[:, :3])


@pytest.mark.parametrize("group", [1, 2, 5, 8])
def test_groups_shift_as_clips_of_their_own(group):
    grid = Grid(5, 3, 1)
    x = torch.randn(1, grid.tokens, 8)
    found = temporal_shift(x, grid, 2, group)
    pieces = x.split(group * 3, dim=1)
    alone = [temporal_shift(piece, Grid(piece.shape[1] // 3, 3, 1), 2) for piece in pieces]
    assert torch.equal(found, torch.cat(alone, dim=1))


@pytest.mark.parametrize("step", [-7, -1, 1, 7])
def test_a_shift_past_the_end_leaves_zeros(step):
    x = torch.arange(1.0, 4.0)
    expected = {1: [2, 3, 0], -1: [0, 1, 2]}.get(step, [0, 0, 0])
    assert shifted(x, 0, step).tolist() == expected


def test_fractions_count_over_all_heads_and_keep_their_place_when_time_is_off():
    grid = GRIDS["bare"]
    step = Neighbour(48, NeighbourOptions(spatial=True))
    k, v = torch.randn(2, 1, 3, grid.tokens, 16)
    _, moved_k, moved_v = step(k, k, v, grid)
    changed = (moved_k != k).any(2).flatten()
    assert changed.nonzero().flatten().tolist() == list(range(12, 24))
    assert torch.equal(step(k, v, k, grid)[1], moved_v)


@pytest.mark.parametrize(("time", "space"), [(0.25, 0.125), (0.5, 0.0), (0.0, 0.25)])
def test_all_channels_may_move_and_none_twice(time, space):
    NeighbourOptions(temporal_fraction=time, spatial_fraction=space)
    for more_time, more_space in ((time + 0.01, space), (time, space + 0.01)):
        if more_time <= 0.5 and more_space <= 0.25:
            with pytest.raises(ConfigError, match="are more than all"):
                NeighbourOptions(temporal_fraction=more_time, spatial_fraction=more_space)


def test_more_channels_than_there_are_are_refused():
    fractions = {"TEMPORAL_FRACTION": 0.25, "SPATIAL_FRACTION": 0.2}
    cfg = tree(**{f"ATTENTION__NEIGHBOUR__{key}": value for key, value in fractions.items()})
    with pytest.raises(ConfigError, match=r"2 \* 0.25 of the channels and 4 \* 0.2"):
        build_model(cfg)


def test_frames_of_xvit_exchange_before_all_other_steps():
    parts = (NeighbourOptions(temporal=True), FixationOptions(mode="separate"))
    layer = build_layer("mixing", GRIDS["framewise"], *parts, rotary=True)
    first, *others = layer.qkv_steps
    assert first == layer._shift_keys_and_values
    assert others == [layer.rotary, layer.neighbour, layer.fixation]
