"""What a device would wait for or do twice, counted without one: values fetched or sent, kernels, copies, precision."""

import pytest
import torch
from model_cases import attention, small_model

from benchmarks.launches import Counting, at_published_size, count_launches, on_cpu
from benchmarks.layers import OnGrid, Variant
from slowfast_ext.models.attention import (
    KERNELS,
    AttentionOptions,
    AttentionSpec,
    Grid,
    build_attention,
)
from slowfast_ext.models.attention.emim import EmimOptions
from slowfast_ext.models.attention.orthoformer import OrthoformerOptions
from slowfast_ext.models.attention.structsa import StructsaOptions
from slowfast_ext.models.attention.xvit_mixing import MixingOptions
from slowfast_ext.models.backbones import BACKBONES
from slowfast_ext.models.blocks import attention_names

CASES = [(b, a, "softmax") for b in BACKBONES.names() for a in attention_names()]
CASES += [("xvit", a, k) for a in attention_names() for k in KERNELS.names() if k != "softmax"]


def step_of(name, *parts, grid=Grid(4, 6, 6, prefix=1), kernel="softmax", device="meta"):
    """Forward and backward of a layer of two heads."""
    with torch.device(device):
        own = AttentionOptions(kernel=kernel, parts=parts)
        layer = OnGrid(build_attention(name, AttentionSpec(64, 2, grid, attention=own)), grid)
        x_BNC = torch.randn(2, grid.tokens, 64, requires_grad=True)
    return lambda: layer(x_BNC).sum().backward()


@pytest.mark.parametrize(("backbone", "name", "kernel"), CASES)
def test_no_model_waits_for_the_device(backbone, name, kernel):
    """In a training step and in evaluation nothing is fetched from a device, and no list of numbers sent to it."""
    model, clip = (
        small_model(backbone, attention(name, kernel=kernel)),
        torch.randn(1, 3, 4, 64, 64),
    )
    model(clip)
    with Counting() as counting:
        model(clip).logsumexp(-1).sum().backward()
        with torch.no_grad():
            model.eval()(clip)
    assert counting.counts["kernels"] > 0
    assert counting.counts["syncs"] == 0


def test_the_counter_sees_what_it_forbids():
    with Counting() as counting:
        torch.tensor([1, 2])
        torch.ones(2).sum().item()
    assert counting.counts["syncs"] == 2


@pytest.mark.parametrize(("landmarks", "a_round"), [(16, 6), (80, 3)])
def test_kernels_of_a_round_of_the_landmark_search(landmarks, a_round):
    """145 queries: few landmarks are searched by products, many in a table."""
    few, more = (
        count_launches(step_of("joint", OrthoformerOptions(landmarks=n), kernel="orthoformer"))
        for n in (landmarks, landmarks + 10)
    )
    assert more.kernels - few.kernels == 10 * a_round
    assert more.copies == few.copies


def test_trajectories_of_more_frames_take_no_more_kernels():
    few, more = (count_launches(step_of("trajectory", grid=Grid(t, 6, 6, 1))) for t in (2, 8))
    assert more == few


def test_windows_of_more_frames_take_no_more_kernels():
    few, more = (count_launches(step_of("window", grid=Grid(t, 6, 6, 1))) for t in (4, 9))
    assert more == few


@pytest.mark.parametrize(("name", "copies"), [("space", 8), ("mixing", 15)])
def test_frames_with_class_tokens_of_their_own_are_copied_once_each_way(name, copies):
    """The input and the output, not queries, keys and values each; and groups of frames cost nothing."""
    whole = count_launches(step_of(name, grid=Grid(8, 6, 6, 8, framewise=True)))
    groups = MixingOptions(num_segments=2)
    grouped = count_launches(step_of(name, groups, grid=Grid(8, 6, 6, 8, framewise=True)))
    assert whole.copies <= copies
    assert grouped.copies <= copies + (name == "mixing")


def test_shifted_keys_and_values_do_not_keep_their_projection():
    """Of a training step: the input, queries, keys and values, what they give, and the normalisers."""
    spec = AttentionSpec(64, 2, Grid(8, 6, 6, 8, framewise=True))
    _, saved = at_published_size(Variant("", "mixing", AttentionOptions()), spec, 2)
    tokens = 2 * spec.grid.tokens * 4  # bytes of a channel
    assert saved <= (5 * spec.dim + 2 * spec.num_heads) * tokens


def test_structures_are_found_without_copies_of_the_input():
    few, more = (count_launches(step_of("struct", StructsaOptions(structures=n))) for n in (2, 8))
    assert more == few


def test_windows_of_emim_are_known():
    """As few integer kernels as there are tables to build: none."""
    step = step_of("emim", EmimOptions(window=(3, 3)), grid=Grid(3, 6, 6))
    with Counting() as counting:
        step()
    assert not any("arange" in str(name) for name in counting.names)


@pytest.mark.parametrize(
    ("kernel", "share"),
    [("relu", 0), ("elu", 0), ("cosformer", 0), ("softmax", 0), ("performer", 0.2)],
)
def test_products_under_autocast_are_in_bf16(kernel, share):
    """But for the exponents of random features."""
    step = step_of("joint", kernel=kernel, device="cpu")
    assert on_cpu(step)[1] <= share
