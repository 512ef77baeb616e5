"""Orthoformer: published functions, the landmark search, repeatable evaluation."""

from itertools import product

import pytest
import torch
from vit_cases import (
    assert_half_precision_is_finite,
    assert_kernel_is_consistent,
    assert_near,
    assert_published_frames,
    build_kernel_on,
    load_case,
)

from slowfast_ext.analysis.cost import count_macs
from slowfast_ext.models.attention import Grid, landmarks
from slowfast_ext.models.attention.landmarks import (
    orthogonal_tokens,
    orthogonal_tokens_reference,
    random_tokens,
)
from slowfast_ext.models.attention.orthoformer import OrthoformerOptions

GRID = Grid(3, 2, 5, prefix=1)
SELECTIONS = ["orthogonal", "random", "segment_means"]


def build(grid=GRID, heads=3, **options):
    return build_kernel_on(grid, "orthoformer", OrthoformerOptions(**options), heads=heads)


def test_published_function(golden_dir, monkeypatch):
    case = load_case(golden_dir, "fn_orthoformer_shared")
    kernel = build(heads=1, landmarks=6)
    start = case["in/start_idx"][:, None]
    monkeypatch.setattr(kernel, "start", lambda q: start)
    assert_published_frames(kernel, case)
    found = orthogonal_tokens(case["in/q"][:, None], 6, start)[:, 0]
    assert torch.equal(found.sort(-1).values, case["out/landmark_idx_sorted"])


def test_published_landmarks_of_each_query_frame(golden_dir, monkeypatch):
    """Ours for the query's own frame. To other frames the published code goes from the query to the landmarks
    of the key frame, and on from those of the query frame, as if they were the same ones: not repeated."""
    case = load_case(golden_dir, "fn_orthoformer_perframe")
    kernel = build(heads=1, landmarks=6, share_time=False)
    monkeypatch.setattr(kernel, "start", lambda q: case["in/start_idx"][:, None])
    q, k, v = (case[f"in/{name}"][:, None].unflatten(2, (2, 16)) for name in "qkv")
    y = kernel.attend_frames(q.flatten(2, 3), k, v, Grid(2, 4, 4))[:, 0].unflatten(1, (2, 16))
    published = case["out/y"].unflatten(1, (2, 16))
    index = case["out/landmark_idx_sorted"].view(6, 1, 2, 6)
    chosen = q.take_along_dim(index[..., None], dim=3) / 4
    for query, key in product(range(2), range(2)):
        if query == key:
            assert_near(y[:, query, :, key], published[:, query, :, key])
        wrong = (q[:, 0, query] @ chosen[:, 0, key].mT).softmax(-1)
        wrong = wrong @ (chosen[:, 0, query] @ k[:, 0, key].mT).softmax(-1) @ v[:, 0, key]
        assert_near(wrong, published[:, query, :, key])


@pytest.mark.parametrize("count", [1, 2, 17, 40])  # 20 landmarks of 40 tokens or more: by a table
def test_search_equals_the_table_of_cosines(count):
    x = torch.randn(2, 3, 40, 8, dtype=torch.double)
    start = torch.randint(40, (2, 3))
    found = orthogonal_tokens(x, count, start)
    assert torch.equal(found, orthogonal_tokens_reference(x, count, start))
    assert torch.equal(found, landmarks._search_operator(x, count, start))
    assert all(len(set(row.tolist())) == count for row in found.flatten(0, 1))


@pytest.mark.parametrize("count", [7, 15])
def test_equal_tokens_are_each_chosen_once(count):
    x = torch.randn(1, 2, 5, 8).repeat(1, 1, 3, 1)
    found = orthogonal_tokens(x, count, torch.zeros(1, 2, dtype=torch.long))
    assert all(len(set(row.tolist())) == count for row in found.flatten(0, 1))


def test_search_finds_the_orthogonal_ones():
    x = torch.eye(6)[[0, 0, 0, 3, 3, 5, 1, 1]][None, None]
    assert orthogonal_tokens(x, 4, torch.zeros(1, 1, dtype=torch.long)).tolist() == [[[0, 3, 5, 6]]]


@pytest.mark.parametrize("selection", SELECTIONS)
@pytest.mark.parametrize("landmarks", [4, 1000])
def test_equals_its_definition(selection, landmarks):
    kernel = build(landmarks=landmarks, selection=selection)
    assert_kernel_is_consistent(kernel, GRID)


def test_landmarks_of_each_query_frame():
    grid = Grid(3, 2, 5)
    kernel = build(grid, landmarks=4, share_time=False).double()
    q, k, v = torch.randn(3, 2, 3, 30, 16, dtype=torch.double)
    frames = [x.unflatten(2, (3, 10)) for x in (k, v)]
    y = kernel.attend_frames(q, *frames, grid).unflatten(2, (3, 10))
    for t in range(3):
        q_frame = q.unflatten(2, (3, 10))[:, :, t]
        alone = kernel._attend_frames(q_frame, *frames, grid.frame())
        torch.testing.assert_close(y[:, :, t], alone)


@pytest.mark.parametrize("selection", SELECTIONS)
@pytest.mark.parametrize("subsample", [1.0, 0.5])
def test_evaluation_is_repeatable_and_training_is_random(selection, subsample):
    kernel = build(landmarks=4, selection=selection, subsample=subsample)
    q, k, v = torch.randn(3, 2, 3, GRID.tokens, 16)

    def attend(seed):
        torch.manual_seed(seed)
        return kernel.attend(q, k, v, GRID, GRID)

    assert torch.equal(attend(0), attend(1))
    kernel.train()
    assert torch.equal(attend(0), attend(1)) == (selection == "segment_means")


def test_subsampled_candidates_are_different_tokens():
    x = torch.randn(2, 3, 20, 4)
    for training in (False, True):
        index = random_tokens(x, 15, training)
        assert all(len(set(row.tolist())) == 15 for row in index.flatten(0, 1))


def test_half_precision_is_finite():
    assert_half_precision_is_finite("orthoformer", OrthoformerOptions(landmarks=5))


def test_cost_is_what_the_docstring_says():
    q = torch.empty(1, 3, GRID.patches, 16)
    k, grid = q.unflatten(2, (GRID.t, GRID.space)), GRID.frame(prefix=0)
    h, N, M, R, D, T = 3, GRID.patches, GRID.space, 4, 16, GRID.t
    kernel, search = build(landmarks=R), h * (R - 1) * N * D
    cost = search + 2 * h * R * (N + M) * D
    kernel.forward = kernel.attend
    assert count_macs(kernel, q, k[:, :, 0], k[:, :, 0], GRID, grid)[""] == cost
    kernel.forward = kernel.attend_frames
    cost = search + h * R * N * (T + 1) * D + 2 * h * R * T * M * D
    assert count_macs(kernel, q, k, k, Grid(GRID.t, GRID.h, GRID.w))[""] == cost
