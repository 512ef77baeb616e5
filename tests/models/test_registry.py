"""Every backbone with every attention, and every kernel in every pattern: a new entry is tested by being there."""

import io
from functools import cache

import pytest
import torch

from slowfast_ext.config.schema import get_cfg
from slowfast_ext.errors import ConfigError
from slowfast_ext.models import build_model
from slowfast_ext.models.attention import ATTENTION, KERNELS, Kernel
from slowfast_ext.models.backbones import BACKBONES

CLIP = (2, 3, 4, 64, 64)
ODD_CLIP = (1, 3, 6, 96, 32)


def tiny_cfg(backbone: str, attention: str, kernel: str = "softmax"):
    """A model of two or four narrow blocks with options that suit few tokens."""
    cfg = get_cfg()
    pairs = {
        "MODEL.BACKBONE": backbone,
        "MODEL.NUM_CLASSES": 5,
        "DATA.NUM_FRAMES": 4,
        "DATA.TRAIN_CROP_SIZE": 64,
        "DATA.TEST_CROP_SIZE": 64,
        "VIT.PATCH_SIZE": [2, 16, 16],
        "VIT.EMBED_DIM": 24,
        "VIT.DEPTH": 2,
        "VIT.NUM_HEADS": 3,
        "XVIT.CONSENSUS_HEADS": 3,
        "XVIT.CONSENSUS_DIM": 16,
        "UNIFORMER.EMBED_DIM": [8, 8, 16, 16],
        "UNIFORMER.DEPTH": [1, 1, 1, 1],
        "UNIFORMER.HEAD_DIM": 8,
        "ATTENTION.CYCLE": [attention],
        "ATTENTION.KERNEL": kernel,
        "ATTENTION.LARA.LANDMARKS": 4,
        "ATTENTION.LINFORMER.DIM": 5,
    }
    cfg.merge_from_list([item for pair in pairs.items() for item in pair])
    return cfg


@cache
def clip(shape=CLIP):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def tiny_model(*names: str):
    torch.manual_seed(0)
    return build_model(tiny_cfg(*names))


MODELS = [(b, a) for b in BACKBONES.names() for a in ATTENTION.names()]
PAIRS = [(a, k) for a in ATTENTION.names() for k in KERNELS.names()]


def train_step(model, shape=CLIP):
    """Backward of a training loss; every parameter must get a finite gradient."""
    logits = torch.cat(model(clip(shape)), dim=1)
    assert logits.shape == (shape[0], 5)
    torch.nn.functional.cross_entropy(logits.float(), torch.arange(shape[0])).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, f"{name} takes no part"
        assert parameter.grad.isfinite().all(), name


@pytest.mark.parametrize(("backbone", "attention"), MODELS)
def test_gradients_reach_every_parameter(backbone, attention):
    train_step(tiny_model(backbone, attention))


@pytest.mark.parametrize(("backbone", "attention"), MODELS)
def test_clips_of_odd_grids(backbone, attention):
    """Built for 4 x 64 x 64, and given 6 x 96 x 32."""
    train_step(tiny_model(backbone, attention), ODD_CLIP)


@pytest.mark.parametrize(("backbone", "attention"), MODELS)
def test_bf16_autocast(backbone, attention):
    model = tiny_model(backbone, attention)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        train_step(model)
        half = torch.cat(model.eval()(clip()), dim=1).float()
    exact = torch.cat(model(clip()), dim=1)
    torch.testing.assert_close(half, exact, rtol=0.05, atol=0.05)


@pytest.mark.parametrize(("backbone", "attention"), MODELS)
def test_state_dict_there_and_back(backbone, attention):
    model = tiny_model(backbone, attention).eval()
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    twin = build_model(tiny_cfg(backbone, attention)).eval()
    twin.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(twin(clip())[0], model(clip())[0])


@pytest.mark.parametrize(("attention", "kernel"), PAIRS)
def test_every_kernel_in_every_attention(attention, kernel):
    """On XViT, whose tokens are the most involved; in training, in bf16, and the same again in evaluation."""
    model = tiny_model("xvit", attention, kernel)
    train_step(model)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        train_step(model)
    model.eval()
    assert torch.equal(model(clip())[0], model(clip())[0])


@pytest.mark.parametrize(("attention", "kernel"), PAIRS)
def test_reference_is_the_plain_twin(attention, kernel):
    """ATTENTION.REFERENCE: the same parameters, outputs and gradients."""
    grads = []
    for reference in (False, True):
        cfg = tiny_cfg("xvit", attention, kernel)
        cfg.ATTENTION.REFERENCE = reference
        torch.manual_seed(0)
        model = build_model(cfg).eval()
        train_step(model)
        grads.append([model(clip())[0], *(p.grad for p in model.parameters())])
    torch.testing.assert_close(*grads, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("attention", "kernel"), PAIRS)
def test_kernels_take_other_clips_unless_they_are_tied_to_one(attention, kernel):
    model = tiny_model("vit", attention, kernel)
    if any(isinstance(module, Kernel) and module.fixed_keys for module in model.modules()):
        with pytest.raises(ConfigError, match="built for"):
            model(clip(ODD_CLIP))
    else:
        train_step(model, ODD_CLIP)


@pytest.mark.parametrize("mode", ["separate", "cooperative"])
@pytest.mark.parametrize(("backbone", "attention"), MODELS)
def test_every_model_takes_fixation_and_association(backbone, attention, mode):
    cfg = tiny_cfg(backbone, attention)
    cfg.ATTENTION.FIXATION.MODE = mode
    cfg.ATTENTION.NEIGHBOUR.TEMPORAL = cfg.ATTENTION.NEIGHBOUR.SPATIAL = True
    torch.manual_seed(0)
    model = build_model(cfg)
    assert any("fixation" in name for name, _ in model.named_parameters())
    train_step(model)


@pytest.mark.parametrize("backbone", BACKBONES.names())
def test_linear_weights_start_as_wide_as_configured(backbone):
    """Of attention, MLP and head; the same draws, scaled."""
    cfg = tiny_cfg(backbone, "joint")
    torch.manual_seed(0)
    narrow = dict(build_model(cfg).named_parameters())
    cfg.MODEL.INIT_STD = 0.1
    torch.manual_seed(0)
    wide = dict(build_model(cfg).named_parameters())
    scaled = [name for name in narrow if not torch.equal(narrow[name], wide[name])]
    assert {name.rsplit(".", 2)[-2] for name in scaled} >= {"qkv", "proj", "fc1", "fc2", "0"}
    for name in scaled:
        torch.testing.assert_close(wide[name], 5 * narrow[name])
