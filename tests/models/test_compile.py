"""torch.compile: one graph, whatever the number of clips, in training and in evaluation; block by block, one program for all.

Tracing is what depends on this code, so that most cases run the traced graph as it is (backend eager); gradients come
from aot_eager, machine code from inductor.
"""

from dataclasses import replace

import pytest
import torch
from attention_cases import build_layer
from model_cases import (
    FEW_TOKENS,
    TINY_SPEC,
    attention,
    small_options,
    tiny_uniformer,
    tiny_vit,
    with_head,
)
from torch._dynamo.utils import counters

from slowfast_ext.models.attention import KERNELS, Grid
from slowfast_ext.models.backbones import BACKBONES, BackboneSpec
from slowfast_ext.models.blocks import attention_names
from slowfast_ext.models.compile import blocks_of, compile_blocks

GRID = Grid(3, 3, 4, prefix=1)
TWO_FRAMES = Grid(2, 3, 4, prefix=1)
"""For linformer, which takes one number of keys: no window is shorter at the ends of the clip."""
PAIRS = [
    (name, kernel)
    for name in attention_names()
    for kernel in KERNELS.names()
    if kernel == "softmax" or name in ("joint", "trajectory")
]
"""Every attention; every kernel, over all tokens and along trajectories."""
QUICK = [("joint", "softmax"), ("window", "softmax"), ("trajectory", "relu")]


@pytest.fixture(autouse=True)
def fresh_compiler():
    torch._dynamo.reset()
    counters.clear()
    yield
    torch._dynamo.reset()


def check_one_graph(module, backend, make_inputs):
    """Two sizes of batch in training, and evaluation: a graph for each mode, equal to the module itself."""
    compiled = torch.compile(module, backend=backend, fullgraph=True)
    for batch in (2, 3):
        x, *rest = make_inputs(batch)
        if batch == 2:
            torch._dynamo.mark_dynamic(x, 0)
        compiled(x, *rest).logsumexp(-1).sum().backward()
    assert counters["stats"]["unique_graphs"] == 1
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    module.eval()
    with torch.no_grad():
        x, *rest = make_inputs(2)
        torch.testing.assert_close(compiled(x, *rest), module(x, *rest), rtol=1e-4, atol=1e-4)


def check_layer(name, kernel):
    grid = TWO_FRAMES if kernel == "linformer" else GRID
    layer = build_layer(name, grid, *FEW_TOKENS, kernel=kernel, dim=24, heads=2)

    def tokens(batch):
        return torch.randn(batch, grid.tokens, 24, requires_grad=True), grid

    check_one_graph(layer, "eager", tokens)


@pytest.mark.parametrize(("name", "kernel"), QUICK)
def test_a_layer_is_one_graph(name, kernel):
    check_layer(name, kernel)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kernel"), [pair for pair in PAIRS if pair not in QUICK])
def test_every_attention_and_every_kernel_is_one_graph(name, kernel):
    check_layer(name, kernel)


def clips(batch):
    return (torch.randn(batch, 3, 4, 64, 64),)


def model(backbone, name="joint", kernel="softmax", recomputed=0):
    own = attention(name, kernel=kernel, parts=FEW_TOKENS)
    spec = BackboneSpec(4, 64, own, drop_path=0.3, checkpoint_blocks=(recomputed,))
    return with_head(BACKBONES.get(backbone)(spec, *small_options(backbone)))


@pytest.mark.slow
@pytest.mark.parametrize("recomputed", [0, 2])
@pytest.mark.parametrize("backbone", BACKBONES.names())
def test_every_backbone_is_one_graph_with_its_gradients(backbone, recomputed):
    built = model(backbone, recomputed=recomputed)
    check_one_graph(built, "aot_eager", clips)
    counts = [x.item() for key, x in built.named_buffers() if "num_batches" in key]
    assert set(counts) <= {2}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "name", "kernel"),
    [
        ("vit", "trajectory", "softmax"),
        ("uniformer", "emim", "softmax"),
        ("xvit", "mixing", "relu"),
    ],
)
def test_machine_code_computes_the_same(backbone, name, kernel):
    check_one_graph(model(backbone, name, kernel), "inductor", clips)


def test_alike_blocks_share_a_program():
    """Though their rates of stochastic depth differ; the first block has none."""
    spec = replace(TINY_SPEC, drop_path=0.3)
    built = tiny_vit(spec, depth=4)
    assert compile_blocks(built, backend="eager", fullgraph=True) == 4
    built(torch.randn(2, 3, 4, 32, 32)).sum().backward()
    assert counters["stats"]["unique_graphs"] == 2


def test_blocks_are_compiled_in_place():
    """The names of parameters stay, and so does what the model computes, with recomputed blocks too."""
    spec = replace(TINY_SPEC, checkpoint_blocks=(1, 1, 0, 0))
    plain, built = tiny_uniformer(spec), tiny_uniformer(spec)
    built.load_state_dict(plain.state_dict())
    assert compile_blocks(built, backend="eager") == len(list(blocks_of(built))) == 4 + 6
    clip = torch.randn(2, 3, 4, 32, 32)
    results = []
    for each in (plain, built):
        y = each(clip)
        y.logsumexp(-1).sum().backward()
        results.append((y, dict(each.named_buffers()), [p.grad for p in each.parameters()]))
    assert plain.state_dict().keys() == built.state_dict().keys()
    torch.testing.assert_close(*results)
