"""EMIM against the published module, its fast form against unfolded windows."""

import json

import pytest
import torch
from attention_cases import build_layer
from model_cases import tree
from safetensors.torch import load_file
from uniformer_cases import load_golden_model

from slowfast_ext.models import check_model
from slowfast_ext.models.attention import Grid
from slowfast_ext.models.attention.emim import EmimOptions
from slowfast_ext.models.attention.emim_window import explicit_window_attention, window_attention

NAMES = {"rpb": "position_bias", "motion_conv": "motion"}


def build(dim, heads, reference=False, **changes):
    grid, options = Grid(4, 5, 5), EmimOptions(**changes)
    return build_layer("emim", grid, options, dim=dim, heads=heads, reference=reference)


def our_name(key):
    first, *rest = key.split(".")
    return ".".join([NAMES.get(first, first), *rest])


def relative(a, b):
    return ((a - b).abs().max() / b.abs().max()).item()


@pytest.mark.parametrize("reference", [False, True])
@pytest.mark.parametrize(
    ("name", "mode", "channels"),
    [
        ("emim_attention", "", "all"),
        ("emim_attention_hd64", "intended", "all"),
        ("emim_attention_hd64", "shipped", 32),
    ],
)
def test_golden_module(golden_dir, name, mode, channels, reference):
    case = json.loads((golden_dir / f"{name}.json").read_text())
    tensors = load_file(golden_dir / f"{name}.safetensors")
    layer = build(case["dim"], case["heads"], reference, context_channels=channels)
    state = {our_name(k[3:]): v for k, v in tensors.items() if k.startswith("sd.")}
    layer.load_state_dict(state)
    x = tensors["input"].requires_grad_()
    y = layer(x, Grid(case["T"], case["H"], case["W"]))
    suffix, prefix = (f".{mode}", f"grad.{mode}.sd.") if mode else ("", "grad.sd.")
    assert relative(y, tensors[f"output{suffix}"]) < 1e-5
    y.backward(tensors["grad_out"])
    assert relative(x.grad, tensors[f"grad_input{suffix}"]) < 1e-4
    gradients = dict(layer.named_parameters())
    for key, expected in tensors.items():
        if key.startswith(prefix):
            assert relative(gradients[our_name(key.removeprefix(prefix))].grad, expected) < 1e-4


@pytest.mark.parametrize(
    ("name", "suffix", "channels"),
    [("emim", "", "all"), ("emim_hd64", ".intended", "all"), ("emim_hd64", ".shipped", 32)],
)
def test_golden_model(golden_dir, name, suffix, channels):
    model, tensors = load_golden_model(golden_dir, name, channels)
    clip = tensors["input"].requires_grad_()
    logits = model(clip)
    assert relative(logits, tensors[f"logits{suffix}"]) < 1e-4
    (grad,) = torch.autograd.grad((logits * tensors["grad_logits"]).sum(), clip)
    assert relative(grad, tensors[f"grad_input{suffix}"]) < 1e-4
    outputs = model.backbone.stage_outputs(clip)
    for stage in (3, 4):
        expected = tensors[f"stage{stage}{suffix}"]
        assert relative(outputs[stage - 1].permute(0, 4, 1, 2, 3), expected) < 1e-4


@pytest.mark.parametrize("size", [(1, 1), (3, 8), (6, 2)])
@pytest.mark.parametrize("window", [(7, 7), (1, 3), (5, 1)])
def test_band_of_the_dense_scores_equals_unfolded_windows(size, window):
    space = size[0] * size[1]
    q, k, v = (
        torch.randn(2, 3, 2, space, 4, dtype=torch.double, requires_grad=True) for _ in "qkv"
    )
    bias = torch.randn(3, *window, dtype=torch.double, requires_grad=True)
    leaves = (q, k, v, bias)
    fast, plain = (f(*leaves, size) for f in (window_attention, explicit_window_attention))
    for a, b in zip(fast, plain, strict=True):
        torch.testing.assert_close(a, b)
    grads = [torch.autograd.grad(sum(y.sin().sum() for y in ys), leaves) for ys in (fast, plain)]
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_last_frame_repeats_the_one_before(frames):
    layer = build(16, 2)
    grid = Grid(frames, 3, 4)
    y = layer(torch.randn(2, grid.tokens, 16), grid).unflatten(1, (frames, 12))
    assert y.shape[1] == frames
    torch.testing.assert_close(y[:, -1], y[:, max(frames - 2, 0)])


def test_prefix_tokens_see_everything_and_patches_only_their_window():
    layer = build(16, 2, window=(3, 3))
    grid = Grid(3, 5, 5, prefix=1)
    x = torch.randn(1, grid.tokens, 16)
    changed = x.clone()
    changed[:, -1] += 1
    difference = (layer(changed, grid) - layer(x, grid))[0].abs().amax(-1)
    assert difference[0] > 1e-6
    looking = difference[1:].view(3, 5, 5)
    assert not looking[0].any()
    assert looking[1, 3:, 3:].all()
    assert not looking[1, :3].any()
    torch.testing.assert_close(looking[1], looking[2])


def test_affinity_is_that_of_the_window_in_the_next_frame():
    layer = build(16, 2, window=(3, 5))
    grid = Grid(3, 4, 4)
    assert layer.affinity(torch.randn(2, grid.tokens, 16), grid).shape == (2, 2, 2, 16, 3, 5)


def test_motion_branch_starts_at_zero():
    layer = build(16, 2)
    layer.init_weights()
    assert not layer.motion(torch.randn(3, 49)).any()


@pytest.mark.parametrize("window", [[4, 7], [6, 6], []])
def test_windows_without_a_centre_are_refused(window):
    cfg = tree(ATTENTION__CYCLE=["emim", "joint"], ATTENTION__EMIM__WINDOW=window)
    assert [problem.key for problem in check_model(cfg)] == ["ATTENTION.EMIM.WINDOW"]


def test_saves_no_weights_of_all_pairs():
    """14 x 14 tokens, windows of 7 x 7: the weights of a frame pair are 49 a query, not 196 and more."""
    grid = Grid(3, 14, 14)
    layer = build_layer("emim", grid, EmimOptions(), dim=16, heads=2)
    x, kept = torch.randn(1, grid.tokens, 16, requires_grad=True), []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        layer(x, grid)
    assert not [x.shape for x in kept if x.shape[-2:] == (196, 196 + 49)]


def test_window_table_moves_with_the_layer_and_is_not_saved():
    layer = build(32, 2)
    assert "index" not in layer.state_dict()
    assert layer.to("meta").index.device.type == "meta"
