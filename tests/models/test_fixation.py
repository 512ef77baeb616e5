"""Feature fixation: our reading as golden, every option, every kernel, both orders with association."""

import pytest
import torch
from attention_cases import (
    GRIDS,
    attention_cfg,
    build_layer,
    check_golden,
    load_golden,
    to_sequence,
)

from slowfast_ext.analysis.cost import model_cost
from slowfast_ext.config import get_cfg
from slowfast_ext.models.attention import ATTENTION, KERNELS, Grid, LayerSpec
from slowfast_ext.models.attention.factorized import Time
from slowfast_ext.models.attention.fixation import build_fixation

FRAMEWISE = Grid(4, 4, 4, prefix=4, framewise=True)
SHIFTS = {"NEIGHBOUR__TEMPORAL": True, "NEIGHBOUR__SPATIAL": True}
FIXATION = {"FIXATION__MODE": "cooperative"}


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("axis", ["space", "time"])
def test_with_association_matches_golden(golden_dir, layers, axis):
    keys = {"KERNEL": "relu", **FIXATION, **SHIFTS, "FIXATION__LAYERS": layers}
    check_reading(golden_dir, f"spec_ff_{('single', 'two')[layers - 1]}_{axis}", axis, keys)


def test_alone_matches_golden(golden_dir):
    check_reading(golden_dir, "spec_ff_noshift_time", "time", {"KERNEL": "relu", **FIXATION})


def check_reading(golden_dir, name, axis, keys):
    if axis == "space":
        layer = build_layer("space", FRAMEWISE, **keys)
    else:
        layer = Time(LayerSpec(48, 3, FRAMEWISE), attention_cfg(**keys))
    golden = load_golden(golden_dir, name)
    check_golden(layer, golden, FRAMEWISE, {"phi.": "fixation.phi."}, to_sequence)


def fixation(**keys):
    spec = LayerSpec(512, 8, Grid(1, 1, 1))
    return build_fixation(spec, attention_cfg(**keys).FIXATION)


def parameters(**keys):
    return sum(p.numel() for p in fixation(**keys).parameters())


def test_parameters_of_the_papers_model():
    """24 attentions of width 512: 0.396 M for two layers, 0.100 M of it saved by sharing."""
    two, one = parameters(**FIXATION), parameters(**FIXATION, FIXATION__LAYERS=1)
    unshared = parameters(**FIXATION, FIXATION__SHARED=False)
    assert (24 * two, 24 * one, 24 * (unshared - two)) == (396288, 296448, 99840)


@pytest.mark.parametrize("combine", ["concat", "add", "multiply"])
@pytest.mark.parametrize("targets", ["qk", "qkv"])
@pytest.mark.parametrize("shared", [True, False])
def test_cooperative_options(combine, targets, shared):
    step = fixation(
        **FIXATION,
        FIXATION__COMBINE=combine,
        FIXATION__TARGETS=targets,
        FIXATION__SHARED=shared,
    )
    q, k, v = torch.randn(3, 2, 8, 5, 64)
    ratios = [fixed / x for fixed, x in zip(step(q, k, v), (q, k), strict=True)]
    assert all(((ratio > 0) & (ratio < 1)).all() for ratio in ratios)
    assert torch.allclose(*ratios) == shared
    changed = [fixed / x for fixed, x in zip(step(q, k, v + 1), (q, k), strict=True)]
    assert torch.allclose(ratios[0], changed[0]) == (targets == "qk")


def test_separate_ratios_depend_on_their_own_tensor_alone():
    step = fixation(FIXATION__MODE="separate")
    q, k, v = torch.randn(3, 2, 8, 5, 64)
    fixed_q, fixed_k = step(q, k, v)
    assert torch.equal(step(q, k + 1, v + 1)[0], fixed_q)
    assert torch.equal(step(q + 1, k, v + 1)[1], fixed_k)


def test_every_head_has_the_same_weights():
    step = fixation(**FIXATION)
    q, k, v = torch.randn(3, 2, 8, 5, 64)
    swapped = [x.flip(1) for x in (q, k, v)]
    torch.testing.assert_close(step(*swapped)[0], step(q, k, v)[0].flip(1))


@pytest.mark.parametrize("order", ["before", "after"])
@pytest.mark.parametrize("mode", ["none", "separate", "cooperative"])
@pytest.mark.parametrize("kernel", KERNELS.names())
def test_wraps_every_kernel(kernel, mode, order):
    """With association, in both orders: every parameter gets a gradient, also in bf16."""
    grid = GRIDS["framewise"]
    keys = {"KERNEL": kernel, "FIXATION__MODE": mode, "NEIGHBOUR__ORDER": order, **SHIFTS}
    keys |= {"LARA__LANDMARKS": 4, "LINFORMER__DIM": 5}
    layer = build_layer("factorized", grid, **keys)
    x = torch.randn(2, grid.tokens, 48)
    layer(x, grid).square().sum().backward()
    for name, parameter in layer.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    layer.eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = layer(x, grid)
    torch.testing.assert_close(half.float(), layer(x, grid), rtol=0.1, atol=0.1)


@pytest.mark.parametrize("pattern", ["joint", "space", "mixing", "window", "factorized"])
def test_wraps_every_pattern(pattern):
    """Feature fixation changes the output of each pattern, and the order with association matters."""
    grid = GRIDS["framewise"]
    x = torch.randn(1, grid.tokens, 48)
    outputs = []
    for keys in ({}, FIXATION, {**FIXATION, **SHIFTS}, {**FIXATION, **SHIFTS, "ORDER": "after"}):
        order = {"NEIGHBOUR__ORDER": keys.get("ORDER", "before")}
        keys = {key: value for key, value in keys.items() if key != "ORDER"}
        torch.manual_seed(0)
        layer = build_layer(pattern, grid, KERNEL="relu", **keys, **order)
        outputs.append(layer(x, grid))
    assert pattern in ATTENTION
    for i, one in enumerate(outputs):
        assert all(not torch.allclose(one, other) for other in outputs[i + 1 :])


# Millions of parameters, and G multiply-adds of the matrix products: docs/feature_fixation.md.
COUNTS = {
    "baseline, 17x17 tokens": ({}, 272, 51.090, 242.7),
    "cosformer, 17x17 tokens": ({"ATTENTION.KERNEL": "cosformer"}, 272, 51.090, 250.1),
    "fixation, 17x17 tokens": ({"ATTENTION.FIXATION.MODE": "cooperative"}, 272, 51.486, 257.3),
    "fixation, 14x14 tokens": ({"ATTENTION.FIXATION.MODE": "cooperative"}, 224, 51.438, 174.8),
}


@pytest.mark.parametrize(("keys", "crop", "millions", "giga"), COUNTS.values(), ids=COUNTS)
def test_counts_of_the_papers_model(keys, crop, millions, giga):
    cfg = get_cfg()
    pairs = {
        "MODEL.BACKBONE": "xvit",
        "MODEL.NUM_CLASSES": 174,
        "DATA.NUM_FRAMES": 16,
        "DATA.TRAIN_CROP_SIZE": crop,
        "DATA.TEST_CROP_SIZE": crop,
        "VIT.PATCH_SIZE": [1, 16, 16],
        "VIT.EMBED_DIM": 512,
        "VIT.NUM_HEADS": 8,
        "XVIT.CONSENSUS": "avg",
        "ATTENTION.CYCLE": ["factorized"],
        "ATTENTION.KERNEL": "relu",
        **keys,
    }
    cfg.merge_from_list([item for pair in pairs.items() for item in pair])
    cost = model_cost(cfg)
    assert cost.params / 1e6 == pytest.approx(millions, abs=1e-3)
    assert cost.macs / 1e9 == pytest.approx(giga, abs=0.05)
