"""Trajectory attention: published modules, fast form against plain form, what it keeps for the backward pass."""

from itertools import product

import pytest
import torch
from attention_cases import build_layer
from model_cases import with_head
from vit_cases import GOLDEN_GRID, assert_near, load_case, state_of

from slowfast_ext.analysis.cost import cost_of, count_macs
from slowfast_ext.errors import ConfigError
from slowfast_ext.models.attention import AttentionOptions, Grid, trajectory
from slowfast_ext.models.attention.softmax import explicit_softmax
from slowfast_ext.models.attention.trajectory import TrajectoryOptions, frame_shares, own_frame
from slowfast_ext.models.backbones import BackboneSpec
from slowfast_ext.models.backbones.vit import VisionTransformer, VitOptions

ODD_GRIDS = [
    Grid(3, 2, 5, prefix=1),
    Grid(3, 5, 2),
    Grid(1, 3, 3, prefix=1),
    Grid(9, 1, 2, prefix=3),
]


def build(grid, reference=False, kernel="softmax", **options):
    """A trajectory layer; its parameters are the same with and without `reference`."""
    torch.manual_seed(1)
    own = TrajectoryOptions(**options)
    return build_layer("trajectory", grid, own, kernel=kernel, reference=reference)


def ours_of(state, dim):
    """Published names of a module -> ours; key bias and, without projected values, their half go."""
    ours = {k: x for k, x in state.items() if not k.startswith("proj_kv")}
    ours["proj_k.weight"] = state["proj_kv.weight"][:dim]
    ours["proj_v.weight"] = state["proj_kv.weight"][dim:]
    ours["proj_v.bias"] = state["proj_kv.bias"][dim:]
    return ours


@pytest.mark.parametrize("reference", [False, True])
@pytest.mark.parametrize(("case_name", "values"), [("orig", "original"), ("fixed", "projected")])
def test_published_module(golden_dir, case_name, values, reference):
    case = load_case(golden_dir, f"mod_traj_attn_{case_name}")
    layer = build(GOLDEN_GRID, reference, values=values)
    state = ours_of(state_of(case), 48)
    layer.load_state_dict({name: state[name] for name in layer.state_dict()})
    gradients = ours_of({k[5:]: x for k, x in case.items() if k.startswith("grad/")}, 48)
    x = case["in/x"].clone().requires_grad_()
    y = layer(x, GOLDEN_GRID)
    assert_near(y, case["out/y"])
    y.backward(case["in/grad_out"])
    assert_near(x.grad, gradients["x"], 1e-5)
    for name, parameter in layer.named_parameters():
        scale = gradients[name.replace("bias", "weight")].abs().max().item()
        assert_near(parameter.grad, gradients[name], 1e-5, scale, name)


def test_skipped_value_projection_has_no_gradient_where_published(golden_dir):
    case = load_case(golden_dir, "mod_traj_attn_orig")
    assert not case["grad/proj_kv.weight"][48:].any()
    assert case["grad/proj_kv.bias"].abs().max() < 1e-6 * case["grad/proj_q.bias"].abs().max()


@pytest.mark.parametrize("parts", ["of a CPU", "at once"])
@pytest.mark.parametrize("grid", ODD_GRIDS, ids=str)
@pytest.mark.parametrize(
    ("temporal", "norm", "values"),
    list(product(["attention", "average"], ["space", "space_time"], ["original", "projected"])),
)
def test_fast_form_equals_plain_form(grid, temporal, norm, values, parts, monkeypatch):
    if parts == "at once":
        monkeypatch.setattr(trajectory, "cache_parts", lambda y, grid: 1)
    x_BNC, grad_out = torch.randn(2, 2, grid.tokens, 48)
    results = []
    for reference in (False, True):
        layer = build(grid, reference, temporal=temporal, norm=norm, values=values)
        x = x_BNC.clone().requires_grad_()
        y = layer(x, grid)
        y.backward(grad_out)
        results.append({"y": y, "x": x.grad} | {k: p.grad for k, p in layer.named_parameters()})
    assert all(gradient is not None for gradient in results[0].values())
    for name, expected in results[1].items():
        scale = max(expected.abs().max().item(), 1e-2)
        assert_near(results[0][name], expected, 1e-5, scale, name)


def test_trajectory_tokens_are_attention_to_each_frame():
    grid = Grid(3, 2, 4)
    layer = build(grid)
    q, k, v = layer.split_heads(torch.randn(2, grid.tokens, 48))
    y = layer.trajectories(q, k, v, grid)
    for t in range(grid.t):
        frame = slice(t * grid.space, (t + 1) * grid.space)
        expected = explicit_softmax(q, k[:, :, frame], v[:, :, frame])
        torch.testing.assert_close(y[:, :, :, t], expected)
    own = own_frame(y, grid).unflatten(2, (3, 16))
    for n in range(grid.patches):
        torch.testing.assert_close(own[:, n], y[:, :, n, n // grid.space])


@pytest.mark.parametrize("frames", [3, 20])
def test_frame_shares_sum_the_weights_of_a_frame(frames):
    q, k = torch.randn(2, 2, 3, frames * 5, 16)
    shares = frame_shares(q, k.unflatten(2, (frames, 5)))
    weights = (q @ k.mT / 4).softmax(-1).unflatten(-1, (frames, 5)).sum(-1)
    torch.testing.assert_close(shares, weights)


def test_half_precision_is_finite():
    grid = Grid(3, 4, 4, prefix=1)
    layer = build(grid, values="projected")
    x = (30 * torch.randn(2, grid.tokens, 48)).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = layer(x, grid)
    y.float().square().mean().backward()
    assert y.isfinite().all()
    assert x.grad.isfinite().all()


def test_keeps_less_than_half_for_the_backward_pass():
    grid = Grid(8, 6, 6, prefix=1)
    x = torch.randn(1, grid.tokens, 48, requires_grad=True)
    kept = {}
    for reference in (False, True):
        sizes = {}

        def pack(tensor, sizes=sizes):
            storage = tensor.untyped_storage()
            sizes[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            y = build(grid, reference)(x, grid)
        kept[reference] = sum(sizes.values())
        del y
    assert kept[False] < 0.5 * kept[True]


def test_norm_over_all_frames_needs_softmax():
    with pytest.raises(ConfigError, match="space_time"):
        build(Grid(2, 2, 2), norm="space_time", kernel="relu")


@pytest.mark.parametrize("reference", [False, True])
@pytest.mark.parametrize("values", ["original", "projected"])
def test_cost_is_what_the_docstring_says(values, reference):
    grid, C, h = Grid(3, 2, 5, prefix=1), 48, 3
    layer = build(grid, reference, values=values)
    N, P, T = grid.patches, 1, grid.t
    shared = 4 * (N + P) * C**2 + 2 * P * (N + P) * C + 2 * N**2 * C
    if reference:
        over_time = (1 + (values == "projected")) * N * T * C**2 + N * C**2 + 2 * N * T * C
    else:
        over_time = 2 * N * C**2 + (h + 1) * N * T * C
        over_time += ((h - 1) * N * T * C + N * C**2) * (values == "projected")
    assert count_macs(layer, torch.empty(1, grid.tokens, C), grid)[""] == shared + over_time


@pytest.mark.parametrize(
    ("values", "reference", "gflops"),
    [("original", False, 204.2), ("projected", False, 216.5), ("projected", True, 369.5)],
)
def test_motionformer_b_costs(values, reference, gflops):
    """369.5 is published: its code projects the values of all trajectory tokens in both cases."""
    attention = AttentionOptions(
        cycle=("trajectory",), reference=reference, parts=(TrajectoryOptions(values=values),)
    )
    with torch.device("meta"):
        backbone = VisionTransformer(
            BackboneSpec(16, 224, attention), VitOptions(pre_logits="tanh")
        )
        model, clip = with_head(backbone, classes=400), torch.empty(1, 3, 16, 224, 224)
    assert cost_of(model, clip).macs / 1e9 == pytest.approx(gflops, rel=1e-3)
