"""The one door to torch's fused attention: every path gives what the others give."""

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from slowfast_ext.engine import precision
from slowfast_ext.models.attention import fused
from slowfast_ext.models.attention.fused import cpu_computes, fused_attention
from slowfast_ext.models.attention.softmax import explicit_softmax


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_paths_agree(native, dtype, monkeypatch):
    monkeypatch.setattr(fused, "cpu_computes", lambda dtype: native or dtype == torch.float32)
    q, k, v = (torch.randn(2, 3, n, 16, dtype=dtype, requires_grad=True) for n in (7, 9, 9))
    y = fused_attention(q, k, v)
    assert y.dtype == dtype
    wide = [x.detach().float().requires_grad_() for x in (q, k, v)]
    expected = explicit_softmax(*wide)
    tolerance = 1e-5 if dtype == torch.float32 else 2e-2
    torch.testing.assert_close(y.float(), expected, rtol=tolerance, atol=tolerance)
    towards = torch.randn_like(expected)
    found = torch.autograd.grad(y, (q, k, v), towards.to(dtype))
    for a, b in zip(found, torch.autograd.grad(expected, wide, towards), strict=True):
        torch.testing.assert_close(a.float(), b, rtol=tolerance, atol=5 * tolerance)


@pytest.mark.parametrize(
    ("native", "grad", "device", "dtype"),
    [
        (False, True, "cpu", torch.float32),
        (True, True, "cpu", torch.bfloat16),
        (False, False, "cpu", torch.bfloat16),
        (False, True, "meta", torch.bfloat16),
    ],
)
def test_what_a_cpu_emulates_is_wide_where_there_is_a_backward_pass(
    native, grad, device, dtype, monkeypatch
):
    seen = []

    def attend(q, k, v, *args, **options):
        seen.append((q.dtype, k.dtype, v.dtype))
        return v

    monkeypatch.setattr(fused, "cpu_computes", lambda dtype: native)
    monkeypatch.setattr(fused, "scaled_dot_product_attention", attend)
    q, k, v = (torch.zeros(1, 1, 2, 4, dtype=torch.bfloat16, device=device) for _ in "qkv")
    with torch.set_grad_enabled(grad):
        assert fused_attention(q, k, v).dtype == torch.bfloat16
    assert seen == [(dtype,) * 3]


def test_what_is_asked_for_reaches_torch():
    q, k, v = torch.randn(3, 2, 3, 5, 8)
    mask = torch.rand(2, 1, 1, 5) < 0.7
    expected = scaled_dot_product_attention(q, k, v, mask, scale=0.7)
    assert torch.equal(fused_attention(q, k, v, mask, scale=0.7), expected)
    torch.manual_seed(0)
    dropped = fused_attention(q, k, v, dropout=0.5)
    torch.manual_seed(0)
    assert torch.equal(dropped, scaled_dot_product_attention(q, k, v, dropout_p=0.5))


@pytest.mark.parametrize("native", [True, False])
def test_a_cpu_without_bf16_computes_in_fp32_and_says_so(native, monkeypatch, caplog):
    monkeypatch.setattr(precision, "cpu_computes", lambda dtype: native)
    precision._is_emulated.cache_clear()
    for _ in range(2):
        with precision.autocast(torch.device("cpu"), "bf16"):
            y = torch.ones(2, 2) @ torch.ones(2, 2)
    precision._is_emulated.cache_clear()
    assert y.dtype == (torch.bfloat16 if native else torch.float32)
    assert caplog.text.count("no bf16 arithmetic") == (not native)


def test_every_cpu_computes_in_fp32():
    assert cpu_computes(torch.float32)
    assert isinstance(cpu_computes(torch.bfloat16), bool)
