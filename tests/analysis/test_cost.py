import pytest
import torch
from torch import nn

from slowfast_ext.analysis.cost import count_macs, model_cost, saved_for_backward
from slowfast_ext.config import load_config


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
