"""cosFormer: published numbers."""

import torch
from attention_cases import build_layer, check_golden, load_golden

from slowfast_ext.models.attention import Grid
from slowfast_ext.models.attention.cosformer import _angles
from slowfast_ext.models.attention.linear import LinearOptions

GRID = Grid(2, 4, 4)


def test_laras_variant_matches_golden(golden_dir):
    golden = load_golden(golden_dir, "mod_hk_cosformer_relu")
    options = LinearOptions(offset=0.1, clamp=0.01)
    layer = build_layer("joint", GRID, options, kernel="cosformer")
    check_golden(layer, golden, GRID, {}, lambda x: x)


def test_official_matches_golden(golden_dir):
    golden = load_golden(golden_dir, "mod_cosformer_official")
    for kind in ("state", "grad"):
        parts = golden[kind]
        for part in ("weight", "bias"):
            parts[f"qkv.{part}"] = torch.cat([parts.pop(f"{p}_proj.{part}") for p in "qkv"])
    layer = build_layer("joint", GRID, kernel="cosformer")
    check_golden(layer, golden, GRID, {"out_proj": "proj"}, lambda x: x)


def test_angles_are_of_the_place_in_a_frame_where_queries_and_keys_are_of_others():
    """Two frames with a class token before them look at one; a token of a frame has a seventh of a right angle each."""
    clip, frame = Grid(2, 2, 3, prefix=1), Grid(1, 2, 3, prefix=1)
    angle_N, angle_M = _angles(clip, frame, torch.zeros(1))
    step = torch.pi / 2 / 7
    torch.testing.assert_close(angle_M, step * torch.arange(7.0))
    torch.testing.assert_close(angle_N, step * torch.tensor([0.0, *range(1, 7), *range(1, 7)]))


def test_near_tokens_weigh_more():
    """With equal features a row's weights fall with the distance, as cos(pi/2 * distance / M)."""
    kernel = build_layer("joint", GRID, kernel="cosformer").kernel
    ones = torch.ones(1, 3, GRID.tokens, 16)
    row = kernel.weights(ones, ones, GRID, GRID)[0, 0, 0]
    assert (row.diff() < 0).all()
    half = torch.cos(torch.tensor(torch.pi / 4))
    torch.testing.assert_close(row[GRID.tokens // 2] / row[0], half)
