import pytest
import torch
from torch import nn

from slowfast_ext.analysis.cost import (
    FusedAttention,
    count_macs,
    model_cost,
    recomputed_at_once,
    saved_for_backward,
)
from slowfast_ext.config import load_config
from slowfast_ext.models import build_model


def test_counts_what_a_formula_says():
    model = nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 2))
    counts = count_macs(model, torch.empty(7, 6))
    assert counts[""] == 7 * (6 * 5 + 5 * 2)
    assert counts["0"] == 7 * 6 * 5


def test_depthwise_convolution_and_einsum_are_counted():
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv3d(4, 4, 3, padding=1, groups=4)

        def forward(self, x):
            return torch.einsum("bcthw,bdthw->bcd", self.conv(x), x)

    counts = count_macs(Mixed(), torch.empty(2, 4, 3, 5, 5))
    assert counts[""] == 2 * 4 * 75 * 27 + 2 * 4 * 4 * 75


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_fused_attention_is_counted_on_every_device(device):
    class Attention(nn.Module):
        def forward(self, q, k):
            return nn.functional.scaled_dot_product_attention(q, k, k)

    q, k = (torch.empty(2, 3, n, 8, device=device) for n in (10, 12))
    assert count_macs(Attention(), q, k)[""] == 2 * (2 * 3 * 10 * 12 * 8)


def test_fused_attention_keeps_no_scores():
    """Query, key and value, output and a number a query, as a CPU's fused kernel does."""

    class Attention(nn.Module):
        def forward(self, q):
            return nn.functional.scaled_dot_product_attention(q, 2 * q, 3 * q, scale=0.1)

    def saved(device):
        return saved_for_backward(
            Attention(), torch.empty(2, 3, 40, 8, device=device).requires_grad_()
        )

    with FusedAttention():
        assert saved("meta") == saved("cpu") == 2 * 3 * 40 * (4 * 8 + 1) * 4
    assert saved("meta") > 2 * 3 * 40 * 40 * 4


SMALL = ["VIT.EMBED_DIM", "24", "VIT.NUM_HEADS", "3", "VIT.DEPTH", "3", "DATA.NUM_FRAMES", "4"]
SMALL += ["DATA.TRAIN_CROP_SIZE", "32", "DATA.TEST_CROP_SIZE", "32"]


def test_what_is_frozen_saves_nothing():
    whole, head = (
        model_cost(load_config([], [*SMALL, "TRAIN.FREEZE", names]))
        for names in ("[]", "['^backbone']")
    )
    assert head.saved_bytes == 24 * 4, "the feature that the classifier reads"
    assert whole.saved_bytes > 100 * head.saved_bytes
    assert (whole.macs, whole.params) == (head.macs, head.params)


@pytest.mark.parametrize("blocks", [0, 1, 3])
def test_a_recomputed_block_is_held_once_at_a_time(blocks):
    """Of three alike one, whether one or all are recomputed; with what is saved no more than all of them."""
    pairs = [*SMALL, "MODEL.CHECKPOINT_BLOCKS", f"[{blocks}]"]
    with torch.device("meta"):
        model, clip = build_model(load_config([], pairs)).train(), torch.empty(1, 3, 4, 32, 32)
    block = model.backbone.blocks[0]
    grid = model.backbone.token_grid(*model.backbone.patch_embed(clip).shape[2:])
    tokens_BNC = torch.empty(1, grid.tokens, 24, device="meta", requires_grad=True)
    with FusedAttention():
        one = saved_for_backward(block, tokens_BNC, grid)
    assert recomputed_at_once(model, clip) == (one if blocks else 0)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_saved_memory_of_a_linear_layer_is_its_input():
    x = torch.empty(16, 32, requires_grad=True)
    assert saved_for_backward(nn.Linear(32, 8), x) == x.numel() * 4


PUBLISHED = {
    "uniformer-s 16x224": (21.40, 41.8, ["MODEL.BACKBONE", "uniformer", "DATA.NUM_FRAMES", "16"]),
    "uniformer-b 32x224": (
        49.81, 259, ["MODEL.BACKBONE", "uniformer", "DATA.NUM_FRAMES", "32", "UNIFORMER.DEPTH", "[5, 8, 20, 7]"],
    ),
    "vit-b joint 16x224": (None, 180.6, ["DATA.NUM_FRAMES", "16"]),
    "vit-b divided 16x224": (None, 185.8, ["DATA.NUM_FRAMES", "16", "ATTENTION.CYCLE", "[divided]"]),
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_cost_within_one_percent(name):
    params, gflops, pairs = PUBLISHED[name]
    cost = model_cost(load_config([], pairs))
    assert cost.macs / 1e9 == pytest.approx(gflops, rel=0.01)
    assert params is None or cost.params / 1e6 == pytest.approx(params, rel=0.001)
