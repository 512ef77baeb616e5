"""The encoder with every kernel: gradients, padding, published costs."""

import pytest
import torch
from lra_cases import recipe

from projects.lra.encoder import attention_options, build_classifier
from projects.lra.training import example_macs
from slowfast_ext.models.attention import KERNELS, AttentionSpec, Grid
from slowfast_ext.models.attention.joint import Joint

EXACT_WITH_PADDING = ("softmax", "orthoformer", "relu", "elu", "sigmoid")
PLAIN = "ATTENTION.NYSTROM.CONV", "0"


def classifier(kernel, *pairs, task="listops"):
    torch.manual_seed(0)
    return build_classifier(recipe(task, "ATTENTION.KERNEL", kernel, *pairs))


def some_ids(count, length, padding):
    ids = torch.randint(1, 16, (count, 1, length))
    ids[..., length - padding :] = 0
    return ids


@pytest.mark.parametrize("kernel", KERNELS.names())
def test_every_parameter_learns(kernel):
    model = classifier(kernel)
    model(some_ids(3, 32, 5)).square().sum().backward()
    # The projection of LARA's pooled landmarks has rows of one token only, whose gradient may vanish.
    idle = {n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()}
    assert not {n for n in idle if "_project" not in n}
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("kernel", KERNELS.names())
def test_content_of_padding_does_not_matter(kernel):
    """Every kernel: what stands at padded places reaches no other token."""
    options = attention_options(recipe("listops", "ATTENTION.KERNEL", kernel))
    torch.manual_seed(0)
    grid = Grid(1, 1, 32)
    layer = Joint(AttentionSpec(16, 2, grid, attention=options)).double().eval()
    valid = torch.arange(32) < torch.tensor([[20], [31]])
    x = torch.randn(2, 32, 16, dtype=torch.double)
    noise = torch.where(valid[..., None], x, 100 * torch.randn_like(x))
    y, y_noise = layer(x, grid, valid), layer(noise, grid, valid)
    torch.testing.assert_close(y[valid], y_noise[valid])
    assert (layer(noise, grid)[valid] - y[valid]).abs().max() > 1e-3


@pytest.mark.parametrize("holes", [False, True], ids=["at the end", "between"])
@pytest.mark.parametrize("kernel", EXACT_WITH_PADDING)
def test_padding_is_as_if_it_were_not_there(kernel, holes):
    options = attention_options(recipe("listops", "ATTENTION.KERNEL", kernel))
    torch.manual_seed(0)
    layer = Joint(AttentionSpec(16, 2, Grid(1, 1, 32), attention=options)).double().eval()
    valid = torch.zeros(1, 32, dtype=torch.bool)
    valid[0, torch.randperm(32)[:20] if holes else torch.arange(20)] = True
    x = torch.randn(1, 32, 16, dtype=torch.double)
    bare = layer(x[:, valid[0]], Grid(1, 1, 20))
    torch.testing.assert_close(layer(x, Grid(1, 1, 32), valid)[:, valid[0]], bare)


@pytest.mark.parametrize("kernel", ["softmax", "orthoformer", "nystrom", "performer", "linformer"])
def test_fast_forms_equal_their_references_with_padding(kernel):
    fast, plain = (
        classifier(kernel, "ATTENTION.REFERENCE", flag).double().eval() for flag in (False, True)
    )
    ids = some_ids(3, 32, 7)
    torch.testing.assert_close(fast(ids), plain(ids))


def test_padding_counts_as_zeros_in_the_mean():
    """LRA's mean runs over all positions: twice the padding, half the feature."""
    encoder = classifier("softmax").backbone.eval()
    ids = some_ids(2, 32, 16)[:, 0]
    torch.testing.assert_close(encoder(ids), encoder(ids[:, :16]) / 2)


def test_convolution_beside_nystrom():
    with_conv, without = classifier("nystrom"), classifier("nystrom", *PLAIN)
    names = {n for n, _ in with_conv.named_parameters()} - {
        n for n, _ in without.named_parameters()
    }
    assert names == {f"backbone.layers.{i}.attn.kernel.conv.weight" for i in (0, 1)}
    kernel = with_conv.backbone.layers[0].attn.kernel.eval()
    q, k, v = torch.randn(3, 1, 2, 12, 8)
    grid, size = Grid(1, 1, 12), 35
    beside = kernel.attend(q, k, v, grid, grid)
    weight, kernel.conv = kernel.conv.weight[:, 0, :, 0], None
    beside = beside - kernel.attend(q, k, v, grid, grid)
    for n in range(12):
        expected = sum(weight[:, m - n + size // 2, None] * v[0, :, m] for m in range(12))
        torch.testing.assert_close(beside[0, :, n], expected, rtol=1e-4, atol=1e-5)


def test_two_towers_share_the_encoder():
    model = classifier("softmax", task="retrieval").eval()
    ids = torch.randint(1, 200, (2, 2, 24))
    a, b = model.backbone(ids[:, 0]), model.backbone(ids[:, 1])
    expected = model.head(torch.cat([a, b, a * b, a - b], dim=-1))
    torch.testing.assert_close(model(ids), expected)


NYSTROM_SPARES = 2 * 2 * 2000 * 128**2
"""Layers * heads * N * R^2: the published order of products spreads the pseudo-inverse over all queries first."""


@pytest.mark.parametrize(
    ("kernel", "published", "spared", "tolerance"),
    [
        ("softmax", 1.21, 0, 0.01),
        ("nystrom", 0.62, NYSTROM_SPARES, 0.02),
        ("orthoformer", 0.24, 0, 0.1),
    ],
)
def test_gflops_of_table_5(kernel, published, spared, tolerance):
    cfg = recipe("listops", "ATTENTION.KERNEL", kernel, small=False)
    assert (example_macs(cfg) + spared) / 1e9 == pytest.approx(published, rel=tolerance)
