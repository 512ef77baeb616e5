"""Maps of the variants that have forms of their own: EMIM, StructSA, trajectory attention, linear kernels."""

import math

import pytest
import torch
from layer_cases import GRIDS, build_layer
from torch import nn
from torch.nn.functional import normalize, one_hot

from slowfast_ext.analysis.maps import attention_map
from slowfast_ext.analysis.maps_emim import displacement, window_weights
from slowfast_ext.analysis.maps_linear import concentrations, entropy, visible
from slowfast_ext.analysis.maps_struct import (
    aggregation_patterns,
    dynamic_kernels,
    mosaic,
    structure_maps,
)
from slowfast_ext.analysis.maps_trajectory import path, time_weights, trajectory_map
from slowfast_ext.models.attention import Grid
from slowfast_ext.models.attention.emim_window import _unfold


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def patches(grid, dim=48):
    return torch.randn(1, grid.tokens, dim, dtype=torch.double)


def set_projections(layer, q=0.0, k=0.0, v=0.0):
    """Queries, keys and values are the features times these factors."""
    dim = layer.qkv.in_features
    with torch.no_grad():
        layer.qkv.weight.copy_(torch.cat([factor * torch.eye(dim) for factor in (q, k, v)]))
        layer.qkv.bias.zero_()


def given_to(module, call):
    given = []
    handle = module.register_forward_pre_hook(lambda _, args: given.append(args[0]))
    call()
    handle.remove()
    return given[0]


# EMIM


@pytest.mark.parametrize("name", ["bare", "cls"])
def test_emim_window_weights_reproduce_the_context(name):
    grid = GRIDS[name]
    layer = build_layer("emim", grid, EMIM__WINDOW=[3, 5]).double().eval()
    nn.init.normal_(layer.motion[2].weight)
    x = patches(grid)
    weights = window_weights(layer, x, grid)
    torch.testing.assert_close(weights.sum((-1, -2)), torch.ones_like(weights[..., 0, 0]))
    v = layer.split_heads(x)[2][:, :, grid.prefix :].unflatten(2, (grid.t, grid.space))
    values = _unfold(v[:, :, 1:], (grid.h, grid.w), (3, 5))
    context = torch.einsum("bhtsk,bhtsdk->bhtsd", weights.flatten(4), values)
    y = context + layer.motion(layer.affinity(x, grid).flatten(4))
    expected = given_to(layer.proj, lambda: layer(x, grid))[:, grid.prefix :]
    got = y.flatten(2, 3).transpose(1, 2).flatten(2)
    torch.testing.assert_close(got, expected[:, : (grid.t - 1) * grid.space])


@pytest.mark.parametrize("shift", [(0, 0), (1, -2), (-2, 1)])
def test_emim_displacement_recovers_the_shift_of_a_texture(shift):
    grid = Grid(4, 9, 10)
    layer = build_layer("emim", grid, EMIM__WINDOW=[5, 5]).eval()
    set_projections(layer, q=20.0, k=20.0)
    texture = normalize(torch.randn(grid.h, grid.w, 3, 16), dim=-1).flatten(2)
    frames = [texture.roll((t * shift[0], t * shift[1]), (0, 1)) for t in range(grid.t)]
    x = torch.stack(frames).flatten(0, 2)[None]
    field = displacement(window_weights(layer, x, grid)[0].mean(0), grid)
    inner = (slice(None), slice(2, -2), slice(2, -2))
    wanted = torch.tensor(shift, dtype=torch.float).expand(3, 5, 6, 2)
    assert torch.equal(field.argmax[inner], wanted)
    torch.testing.assert_close(field.soft[inner], wanted, rtol=0, atol=1e-2)


def test_emim_displacement_stays_inside_the_frame():
    grid = Grid(2, 4, 5)
    outwards = torch.zeros(1, grid.space, 3, 3)
    outwards[..., 0, 0] = 1.0
    field = displacement(outwards + 1e-3, grid)
    assert field.argmax[0, 0, 0].ge(0).all()
    assert field.argmax[0, 2, 2].tolist() == [-1, -1]
    torch.testing.assert_close(field.soft[0, 0, 0], torch.tensor([0.5, 0.5]))


# Trajectory attention


@pytest.mark.parametrize("kernel", ["softmax", "performer", "orthoformer", "nystrom", "lara"])
@pytest.mark.parametrize("name", ["bare", "cls"])
def test_trajectory_maps_reproduce_the_output(name, kernel):
    grid = GRIDS[name]
    layer = build_layer("trajectory", grid, KERNEL=kernel).double().eval()
    x = patches(grid)
    v = layer.split_heads(x)[2][:, :, grid.prefix :].unflatten(2, (grid.t, grid.space))
    tokens = torch.einsum("bhnts,bhtsd->bhntd", trajectory_map(layer, x, grid), v)
    y = torch.einsum("bhnt,bhntd->bnhd", time_weights(layer, x, grid), tokens).flatten(2)
    if layer.proj_v is not None:
        y = layer.proj_v(y)
    expected = given_to(layer.proj, lambda: layer(x, grid))[:, grid.prefix :]
    torch.testing.assert_close(y, expected)


@pytest.mark.parametrize(("keys", "total"), [({}, 3.0), ({"TRAJECTORY__NORM": "space_time"}, 1.0)])
def test_trajectory_rows_sum_to_one(keys, total):
    grid = GRIDS["cls"]
    layer = build_layer("trajectory", grid, **keys).double().eval()
    weights = trajectory_map(layer, patches(grid), grid)
    torch.testing.assert_close(weights.sum((-1, -2)), torch.full_like(weights[..., 0, 0], total))
    over_time = time_weights(layer, patches(grid), grid)
    torch.testing.assert_close(over_time.sum(-1), torch.ones_like(over_time[..., 0]))


def test_trajectory_path_follows_a_moving_dot():
    grid = Grid(4, 6, 7)
    places = [(1, 1), (2, 3), (3, 4), (5, 6)]
    colour = torch.zeros(grid.t, grid.h, grid.w, dtype=torch.long)
    for t, (row, column) in enumerate(places):
        colour[t, row, column] = 1
    x = one_hot(colour.flatten(), 48).double()[None]
    layer = build_layer("trajectory", grid, heads=1).double().eval()
    set_projections(layer, q=20.0, k=20.0)
    query = 2 * grid.space + places[2][0] * grid.w + places[2][1]
    weights = trajectory_map(layer, x, grid)[0, 0, query]
    torch.testing.assert_close(path(weights, grid), torch.tensor(places).double())


# StructSA


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("shared", [False, True])
def test_struct_dynamic_kernels_reproduce_the_output(shared, stride):
    grid = GRIDS["bare"]
    keys = {"STRUCTSA__STRIDE": stride, "STRUCTSA__SHARED": shared, "STRUCTSA__KERNEL": [3, 3, 3]}
    layer = build_layer("struct", grid, STRUCTSA__D=2, **keys).double().eval()
    x = patches(grid)
    maps = structure_maps(layer, x, grid)[0]
    sums = maps.flatten(2).sum(-1)
    torch.testing.assert_close(sums, torch.ones_like(sums))
    v = layer.split_heads(x)[2][0].unflatten(1, (grid.t, grid.h, grid.w))
    around = nn.functional.pad(v, (0, 0, 1, 1, 1, 1, 1, 1))
    around = around.unfold(1, 3, 1).unfold(2, 3, stride).unfold(3, 3, stride)
    patterns = aggregation_patterns(layer)
    expected = given_to(layer.proj, lambda: layer(x, grid))[0].unflatten(-1, (3, -1))
    for query in (0, 17):
        for d in range(patterns.shape[1]):
            kernels = dynamic_kernels(maps[:, query], patterns[:, d])
            got = (kernels * around[:, :, :, :, d]).flatten(1).sum(-1)
            torch.testing.assert_close(got, expected[query, :, d])


def test_struct_patterns_belong_to_their_head_and_channel():
    layer = build_layer("struct", GRIDS["bare"], STRUCTSA__D=2)
    patterns = aggregation_patterns(layer)
    assert patterns.shape == (3, 16, 2, 3, 3, 3)
    assert torch.equal(patterns[1, 5, 1], layer.values.weight[(16 + 5) * 2 + 1, 0])


def test_mosaic_puts_kernels_at_their_places():
    kernels = torch.arange(2 * 3).view(2, 3, 1, 1).expand(2, 3, 2, 4)
    image = mosaic(kernels)
    assert image.shape == (4, 12)
    assert image[3, 11] == 5
    assert image[0, 4] == 1


# Linear attention beside softmax


@pytest.mark.parametrize("name", ["bare", "cls"])
def test_concentration_compares_the_same_queries_and_keys(name):
    grid = GRIDS[name]
    layer = build_layer("joint", grid, KERNEL="relu", FIXATION__MODE="separate").double().eval()
    x = patches(grid)
    found = concentrations(
        layer, grid, grid.tokens - 1, lambda probe: attention_map(probe, x, grid)[0]
    )
    assert [c.title for c in found] == ["relu", "relu with fixation", "softmax"]
    q, k, _ = layer.split_heads(x)
    P = grid.prefix
    expected = torch.softmax(q @ k.mT / 4, -1)[0, :, P:, P:]
    torch.testing.assert_close(found[2].matrix_hRM, expected)
    plain = torch.relu(q) @ torch.relu(k).mT
    plain = plain / plain.sum(-1, keepdim=True)
    torch.testing.assert_close(found[0].matrix_hRM, plain[0, :, P:, P:])
    whole = attention_map(layer, x, grid)[0, :, P:, P:]
    torch.testing.assert_close(found[1].matrix_hRM, whole)


@pytest.mark.parametrize(
    ("pattern", "rows", "keys"), [("joint", 45, 45), ("space", 15, 15), ("window", 15, 30)]
)
def test_visible_tokens_are_those_of_the_pattern(pattern, rows, keys):
    grid = GRIDS["framewise"]
    layer = build_layer(pattern, grid, KERNEL="relu").eval()
    x = torch.randn(1, grid.tokens, 48)
    rows_R, keys_M = visible(
        layer, grid, grid.prefix, lambda probe: attention_map(probe, x, grid)[0]
    )
    assert (len(rows_R), len(keys_M)) == (rows, keys)
    assert grid.prefix in rows_R


def test_entropy_in_bits():
    assert entropy(torch.eye(8)[None]) == pytest.approx(0, abs=1e-9)
    assert entropy(torch.full((2, 8, 8), 1 / 8)) == pytest.approx(math.log2(8))
    assert entropy(torch.tensor([[[0.5, 0.5, 0.0, 0.0]]])) == pytest.approx(1)
    assert entropy(torch.tensor([[[1.5, -0.5]]])) is None


def test_sharper_softmax_has_less_entropy():
    scores = torch.randn(1, 20, 20)
    assert entropy((8 * scores).softmax(-1)) < entropy(scores.softmax(-1))
