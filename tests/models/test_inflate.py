"""2-D kernels to 3-D ones."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from uniformer_cases import model_of

from slowfast_ext.models.weights import LoadOptions, load_weights
from slowfast_ext.models.weights.inflate import can_inflate, inflate


@pytest.mark.parametrize("frames", [1, 3, 5])
def test_modes(frames):
    kernel = torch.randn(4, 2, 3, 3)
    mean, centre = inflate(kernel, frames, "mean"), inflate(kernel, frames, "centre")
    assert mean.shape == centre.shape == (4, 2, frames, 3, 3)
    torch.testing.assert_close(mean.sum(2), kernel)
    torch.testing.assert_close(centre.sum(2), kernel)
    torch.testing.assert_close(mean[:, :, 0], mean[:, :, -1])
    assert torch.equal(centre[:, :, frames // 2], kernel)


def test_what_can_be_inflated():
    assert can_inflate(torch.empty(4, 2, 3, 3), (4, 2, 5, 3, 3))
    assert can_inflate(torch.empty(4, 2, 1, 3, 3), (4, 2, 5, 3, 3))
    assert not can_inflate(torch.empty(4, 2, 3, 3, 3), (4, 2, 5, 3, 3))
    assert not can_inflate(torch.empty(4, 2, 5, 5), (4, 2, 5, 3, 3))
    assert not can_inflate(torch.empty(4, 2), (4, 3))


def golden(golden_dir):
    path = golden_dir / "inflate.safetensors"
    with safe_open(path, "pt") as file:
        case = json.loads(file.metadata()["meta"])
    tensors = load_file(path)
    state = {key[5:]: value for key, value in tensors.items() if key.startswith("sd2d.")}
    return case["cfg"], tensors, state


@pytest.mark.parametrize("mode", ["mean", "centre"])
def test_golden_video_model(golden_dir, mode):
    published, tensors, state = golden(golden_dir)
    model = model_of(published, 8, 64).eval()
    report = load_weights(model, {"model": state}, LoadOptions(inflate=mode))
    assert report.inflated
    assert not report.changes()
    torch.testing.assert_close(
        model(tensors["input"]), tensors[f"logits3d_{mode}_inflation"], rtol=1e-4, atol=1e-5
    )


def test_golden_image_model(golden_dir):
    published, tensors, state = golden(golden_dir)
    model = model_of(published, 1, 64, image=True).eval()
    assert not load_weights(model, state).differences()
    logits = model(tensors["input"][:, :, :1])
    torch.testing.assert_close(logits, tensors["logits2d_frame0"], rtol=1e-4, atol=1e-5)
