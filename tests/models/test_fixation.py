"""Feature fixation: our reading as golden, every option, every kernel, both orders with association."""

from dataclasses import replace

import pytest
import torch
from attention_cases import (
    GRIDS,
    build_layer,
    check_golden,
    layer_spec,
    load_golden,
    to_sequence,
)
from model_cases import FEW_TOKENS, attention, with_head

from slowfast_ext.analysis.cost import cost_of
from slowfast_ext.models.attention import KERNELS, Attention, Grid
from slowfast_ext.models.attention.base import KernelAttention
from slowfast_ext.models.attention.fixation import FixationOptions, _combined, build_fixation
from slowfast_ext.models.attention.neighbour import NeighbourOptions
from slowfast_ext.models.attention.space import Time
from slowfast_ext.models.backbones import BackboneSpec
from slowfast_ext.models.backbones.vit import VitOptions
from slowfast_ext.models.backbones.xvit import XViT, XvitOptions
from slowfast_ext.models.blocks import attention_names

GRID = Grid(1, 1, 5)
FRAMEWISE = Grid(4, 4, 4, prefix=4, framewise=True)
SHIFTS = NeighbourOptions(temporal=True, spatial=True)
FIXATION = FixationOptions(mode="cooperative")


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("axis", ["space", "time"])
def test_with_association_matches_golden(golden_dir, layers, axis):
    parts = (replace(FIXATION, layers=layers), SHIFTS)
    check_reading(golden_dir, f"spec_ff_{('single', 'two')[layers - 1]}_{axis}", axis, parts)


def test_alone_matches_golden(golden_dir):
    check_reading(golden_dir, "spec_ff_noshift_time", "time", (FIXATION,))


def check_reading(golden_dir, name, axis, parts):
    if axis == "space":
        layer = build_layer("space", FRAMEWISE, *parts, kernel="relu")
    else:
        layer = Time(layer_spec(FRAMEWISE, *parts, kernel="relu"))
    golden = load_golden(golden_dir, name)
    check_golden(layer, golden, FRAMEWISE, {"phi.": "fixation.phi."}, to_sequence)


def parameters(options):
    return sum(p.numel() for p in build_fixation(64, options).parameters())


def test_parameters_of_the_papers_model():
    """24 attentions of width 512: 0.396 M for two layers, 0.100 M of it saved by sharing."""
    two, one = parameters(FIXATION), parameters(replace(FIXATION, layers=1))
    unshared = parameters(replace(FIXATION, shared=False))
    assert (24 * two, 24 * one, 24 * (unshared - two)) == (396288, 296448, 99840)


@pytest.mark.parametrize("combine", ["concat", "add", "multiply"])
@pytest.mark.parametrize("targets", ["qk", "qkv"])
@pytest.mark.parametrize("shared", [True, False])
def test_cooperative_options(combine, targets, shared):
    step = build_fixation(64, replace(FIXATION, combine=combine, targets=targets, shared=shared))
    q, k, v = torch.randn(3, 2, 8, 5, 64)
    ratios = [fixed / x for fixed, x in zip(step(q, k, v, GRID)[:2], (q, k), strict=True)]
    assert all(((ratio > 0) & (ratio < 1)).all() for ratio in ratios)
    assert torch.allclose(*ratios) == shared
    changed = [fixed / x for fixed, x in zip(step(q, k, v + 1, GRID)[:2], (q, k), strict=True)]
    assert torch.allclose(ratios[0], changed[0]) == (targets == "qk")


def test_how_queries_keys_and_values_are_combined():
    parts = torch.randn(3, 2, 8, 5, 4).unbind()
    torch.testing.assert_close(_combined(parts, "add"), parts[0] + parts[1] + parts[2])
    torch.testing.assert_close(_combined(parts, "multiply"), parts[0] * parts[1] * parts[2])
    assert torch.equal(_combined(parts, "concat"), torch.cat(parts, -1))


def test_separate_ratios_depend_on_their_own_tensor_alone():
    step = build_fixation(64, FixationOptions(mode="separate"))
    q, k, v = torch.randn(3, 2, 8, 5, 64)
    fixed_q, fixed_k, same_v = step(q, k, v, GRID)
    assert same_v is v
    assert torch.equal(step(q, k + 1, v + 1, GRID)[0], fixed_q)
    assert torch.equal(step(q + 1, k, v + 1, GRID)[1], fixed_k)


def test_every_head_has_the_same_weights():
    step = build_fixation(64, FIXATION)
    q, k, v = torch.randn(3, 2, 8, 5, 64)
    swapped = [x.flip(1) for x in (q, k, v)]
    torch.testing.assert_close(step(*swapped, GRID)[0], step(q, k, v, GRID)[0].flip(1))


@pytest.mark.parametrize("order", ["before", "after"])
@pytest.mark.parametrize("mode", ["none", "separate", "cooperative"])
@pytest.mark.parametrize("kernel", KERNELS.names())
def test_wraps_every_kernel(kernel, mode, order):
    """With association, in both orders: every parameter gets a gradient, also in bf16."""
    grid = GRIDS["framewise"]
    parts = (FixationOptions(mode=mode), replace(SHIFTS, order=order), *FEW_TOKENS)
    layer = build_layer("factorized", grid, *parts, kernel=kernel)
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
    after = replace(SHIFTS, order="after")
    for parts in ((), (FIXATION,), (FIXATION, SHIFTS), (FIXATION, after)):
        torch.manual_seed(0)
        layer = build_layer(pattern, grid, *parts, kernel="relu")
        outputs.append(layer(x, grid))
    assert pattern in attention_names()
    for i, one in enumerate(outputs):
        assert all(not torch.allclose(one, other) for other in outputs[i + 1 :])


# Millions of parameters, and G multiply-adds of the matrix products: docs/feature_fixation.md.
COUNTS = {
    "baseline, 17x17 tokens": ("relu", (), 272, 51.090, 242.7),
    "cosformer, 17x17 tokens": ("cosformer", (), 272, 51.090, 250.1),
    "fixation, 17x17 tokens": ("relu", (FIXATION,), 272, 51.486, 257.3),
    "fixation, 14x14 tokens": ("relu", (FIXATION,), 224, 51.438, 174.8),
}


@pytest.mark.parametrize(
    ("kernel", "parts", "crop", "millions", "giga"), COUNTS.values(), ids=COUNTS
)
def test_counts_of_the_papers_model(kernel, parts, crop, millions, giga):
    spec = BackboneSpec(16, crop, attention("factorized", parts=parts, kernel=kernel))
    vit = VitOptions(patch_size=(1, 16, 16), embed_dim=512, num_heads=8)
    with torch.device("meta"):
        model = with_head(XViT(spec, vit, XvitOptions(consensus="avg")), classes=174)
        cost = cost_of(model, torch.empty(1, 3, 16, crop, crop))
    assert cost.params / 1e6 == pytest.approx(millions, abs=1e-3)
    assert cost.macs / 1e9 == pytest.approx(giga, abs=0.05)


@pytest.mark.parametrize("kernel", ["softmax", "relu"])
def test_what_is_not_asked_for_does_not_exist(kernel):
    """Neither parameters nor a step on queries, keys and values, but the feature map of a linear kernel."""
    for name in attention_names():
        block = build_layer(name, FRAMEWISE, kernel=kernel)
        names = [key for key, _ in block.named_modules()]
        assert not any("fixation" in key or "neighbour" in key for key in names), name
        for layer in block.modules():
            if isinstance(layer, Attention):
                own = getattr(layer, "_shift_keys_and_values", None)
                mapped = isinstance(layer, KernelAttention) and kernel == "relu"
                expected = [own] * bool(own) + ([layer._feature_map] if mapped else [])
                assert layer.qkv_steps == expected, name
                assert layer.neighbour is None
                assert layer.fixation is None


@pytest.mark.parametrize("order", ["before", "after"])
def test_order_of_the_steps(order):
    """The shift of XViT, then association, feature map, fixation; or association last."""
    layer = build_layer("mixing", FRAMEWISE, FIXATION, replace(SHIFTS, order=order), kernel="relu")
    shift, mapped = layer._shift_keys_and_values, layer._feature_map
    expected = {
        "before": [shift, layer.neighbour, mapped, layer.fixation],
        "after": [shift, mapped, layer.fixation, layer.neighbour],
    }
    assert layer.qkv_steps == expected[order]
    x = torch.randn(1, FRAMEWISE.tokens, 48)
    towards = layer.split_heads(x)
    for step in expected[order]:
        towards = step(*towards, FRAMEWISE)
    for found, wanted in zip(
        layer.apply_steps(*layer.split_heads(x), FRAMEWISE), towards, strict=True
    ):
        assert torch.equal(found, wanted)


@pytest.mark.parametrize("switch", ["temporal", "spatial"])
def test_one_kind_of_neighbours_is_enough(switch):
    layer = build_layer("joint", FRAMEWISE, NeighbourOptions(**{switch: True}))
    assert layer.qkv_steps == [layer.neighbour]
    assert not list(layer.neighbour.parameters())
