"""MODEL.CHECKPOINT_BLOCKS changes memory and nothing else: outputs, gradients and buffers stay as they are, bit by bit."""

from dataclasses import replace

import pytest
import torch
from model_cases import FEW_TOKENS, attention, small_options, with_head

from slowfast_ext.analysis.cost import saved_for_backward
from slowfast_ext.models.attention import KERNELS
from slowfast_ext.models.backbones import BACKBONES, BackboneSpec
from slowfast_ext.models.blocks import attention_names

SPEC = BackboneSpec(4, 64, drop_path=0.3)
CASES = [(b, "joint", "softmax") for b in BACKBONES.names()]
CASES += [("uniformer", name, "softmax") for name in attention_names() if name != "joint"]
CASES += [("vit", "trajectory", kernel) for kernel in KERNELS.names()]


def build(backbone, blocks, name="joint", kernel="softmax", every=1):
    torch.manual_seed(0)
    own = attention(name, kernel=kernel, dropout=0.1, parts=FEW_TOKENS)
    spec = replace(SPEC, attention=own, checkpoint_blocks=(blocks,), checkpoint_every=every)
    return with_head(BACKBONES.get(backbone)(spec, *small_options(backbone)))


def two_steps(model):
    """Outputs of two steps, gradients and buffers after them."""
    torch.manual_seed(1)
    outputs = []
    for _ in range(2):
        outputs.append(model(torch.randn(2, 3, 4, 64, 64)))
        outputs[-1].logsumexp(-1).sum().backward()
    grads = {name: x.grad for name, x in model.named_parameters()}
    return [y.detach() for y in outputs], grads, dict(model.named_buffers())


@pytest.mark.parametrize(("backbone", "name", "kernel"), CASES)
def test_recomputed_blocks_change_nothing(backbone, name, kernel):
    """Dropout, stochastic depth and random kernels draw the same again; statistics move once a step."""
    saved, recomputed = (two_steps(build(backbone, blocks, name, kernel)) for blocks in (0, 2))
    torch.testing.assert_close(recomputed, saved, rtol=0, atol=0)


@pytest.mark.parametrize("backbone", BACKBONES.names())
def test_every_second_block_changes_nothing_and_saves_less_than_all(backbone):
    clip, most = torch.randn(2, 3, 4, 64, 64), 8
    saved = [
        saved_for_backward(build(backbone, blocks, every=every), clip)
        for blocks, every in ((0, 1), (most, 2), (most, 1))
    ]
    assert saved[0] > saved[1]
    has_one_a_stage = backbone == "uniformer"  # which is every second, too
    assert (saved[1] > saved[2]) is not has_one_a_stage
    plain, every_second = (two_steps(build(backbone, n, every=2)) for n in (0, most))
    torch.testing.assert_close(every_second, plain, rtol=0, atol=0)


def test_statistics_move_once_a_step_and_the_buffers_stay_the_same_objects():
    model = build("uniformer", 4)
    before = {name: id(x) for name, x in model.named_buffers()}
    counts = {name: x for name, x in two_steps(model)[2].items() if "num_batches" in name}
    assert len(counts) > 1
    assert set(map(int, counts.values())) == {2}
    assert {name: id(x) for name, x in model.named_buffers()} == before


@pytest.mark.parametrize("backbone", BACKBONES.names())
def test_less_is_saved(backbone):
    clip = torch.randn(2, 3, 4, 64, 64)
    saved, recomputed = (
        saved_for_backward(build(backbone, n), clip)
        for n in (0, 4 if backbone == "uniformer" else 2)
    )
    assert recomputed < 0.8 * saved
