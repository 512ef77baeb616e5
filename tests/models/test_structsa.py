"""StructSA against the written specification and against the paper's form on correlation maps."""

import json

import pytest
import torch
from attention_cases import build_layer
from model_cases import tree
from safetensors import safe_open
from safetensors.torch import load_file

from slowfast_ext.models import check_model
from slowfast_ext.models.attention import Grid
from slowfast_ext.models.attention.structsa import StructsaOptions

NAMES = {"uk": "keys", "uv": "values"}


def build(dim, heads, reference=False, **changes):
    grid, options = Grid(4, 5, 5), StructsaOptions(**changes)
    return build_layer("struct", grid, options, dim=dim, heads=heads, reference=reference)


def our_name(key):
    first, *rest = key.split(".")
    return ".".join([NAMES.get(first, first), *rest])


def relative(a, b):
    return ((a - b).abs().max() / b.abs().max()).item()


def assert_same(layers, x, grid):
    outputs = [layer(x, grid) for layer in layers]
    torch.testing.assert_close(*outputs)
    towards = torch.randn_like(x)
    leaves = [(x, *layer.parameters()) for layer in layers]
    grads = [torch.autograd.grad(y, ps, towards) for y, ps in zip(outputs, leaves, strict=True)]
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("reference", [False, True])
@pytest.mark.parametrize("name", ["structsa_D4_s1", "structsa_D4_s2"])
def test_golden(golden_dir, name, reference):
    path = golden_dir / f"{name}.safetensors"
    with safe_open(path, "pt") as file:
        case = json.loads(file.metadata()["meta"])
    tensors = load_file(path)
    layer = build(
        case["dim"], case["heads"], reference, structures=case["D"], stride=case["stride"][2]
    )
    layer.load_state_dict({our_name(k[3:]): v for k, v in tensors.items() if k.startswith("sd.")})
    x = tensors["input"].requires_grad_()
    y = layer(x, Grid(*case["thw"]))
    assert relative(y, tensors["output"]) < 1e-5
    (grad,) = torch.autograd.grad(y, x, tensors["grad_out"])
    assert relative(grad, tensors["grad_input"]) < 1e-5


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("prefix", [0, 2])
@pytest.mark.parametrize(
    ("structures", "kernel", "stride", "aggregation"),
    [
        (4, [3, 3, 3], 1, "context"),
        (8, [1, 3, 3], 2, "context"),
        (4, [3, 5, 1], 1, "element"),
        (2, [3, 3, 3], 2, "element"),
        (1, [3, 3, 3], 1, "context"),
    ],
)
def test_fused_equals_reference(shared, prefix, structures, kernel, stride, aggregation):
    """Shared structures without prefix are compared with the convolution of the correlation map."""
    options = {"structures": structures, "kernel": kernel, "stride": stride}
    options |= {"aggregation": aggregation, "shared": shared}
    fused = build(8, 2, **options).double()
    explicit = build(8, 2, reference=True, **options).double()
    explicit.load_state_dict(fused.state_dict())
    grid = Grid(2, 5, 3, prefix)
    x = torch.randn(2, grid.tokens, 8, dtype=torch.double, requires_grad=True)
    assert_same((fused, explicit), x, grid)


def test_shared_structures_equal_the_same_ones_in_every_channel():
    shared = build(8, 2, structures=3, shared=True)
    own = build(8, 2, structures=3)
    state = shared.state_dict()
    for name in ("keys.weight", "values.weight"):
        state[name] = state[name].repeat(8, 1, 1, 1, 1)
    own.load_state_dict(state)
    grid = Grid(2, 4, 4)
    x = torch.randn(1, grid.tokens, 8)
    torch.testing.assert_close(shared(x, grid), own(x, grid))


def test_one_structure_that_is_a_point_is_plain_attention():
    layer = build(8, 2, structures=1, shared=True)
    for structures in (layer.keys, layer.values):
        torch.nn.init.dirac_(structures.weight)
    joint = build_layer("joint", Grid(2, 3, 4), dim=8, heads=2)
    joint.load_state_dict(layer.state_dict(), strict=False)
    grid = Grid(2, 3, 4)
    x = torch.randn(2, grid.tokens, 8)
    torch.testing.assert_close(layer(x, grid), joint(x, grid))


def test_weights_of_structures_sum_to_one():
    layer = build(8, 2, stride=2)
    grid = Grid(2, 5, 3)
    weights = layer.weights(torch.randn(2, grid.tokens, 8), grid)
    assert weights.shape == (2, 2, 30, 2 * 3 * 2, 4)
    torch.testing.assert_close(weights.sum((-1, -2)), torch.ones(2, 2, 30))


@pytest.mark.parametrize("kernel", [[2, 3, 3], [3, 3, 4], []])
def test_kernels_without_a_centre_are_refused(kernel):
    cfg = tree(ATTENTION__CYCLE=["struct"], ATTENTION__STRUCTSA__KERNEL=kernel)
    assert [problem.key for problem in check_model(cfg)] == ["ATTENTION.STRUCTSA.KERNEL"]
