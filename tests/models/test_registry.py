"""Every backbone with every attention, and every kernel in every pattern: a new entry is tested by being there."""

import io
from functools import cache

import pytest
import torch
from model_cases import attention, small_model

from slowfast_ext.errors import ConfigError
from slowfast_ext.models.attention import KERNELS, Kernel
from slowfast_ext.models.attention.fixation import FixationOptions
from slowfast_ext.models.attention.neighbour import NeighbourOptions
from slowfast_ext.models.backbones import BACKBONES
from slowfast_ext.models.backbones.vit import VisionTransformer
from slowfast_ext.models.blocks import attention_names

CLIP = (2, 3, 4, 64, 64)
ODD_CLIP = (1, 3, 6, 96, 32)
WIDE_CLIP = (1, 3, 4, 64, 96)


@cache
def clip(shape=CLIP):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def tiny_model(backbone, name, kernel="softmax", **options):
    torch.manual_seed(0)
    return small_model(backbone, attention(name, kernel=kernel, **options))


MODELS = [(b, a) for b in BACKBONES.names() for a in attention_names()]
PAIRS = [(a, k) for a in attention_names() for k in KERNELS.names()]


def train_step(model, shape=CLIP):
    """Backward of a training loss; every parameter must get a finite gradient."""
    logits = model(clip(shape))
    assert logits.shape == (shape[0], 5)
    torch.nn.functional.cross_entropy(logits.float(), torch.arange(shape[0])).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, f"{name} takes no part"
        assert parameter.grad.isfinite().all(), name


@pytest.mark.parametrize(("backbone", "name"), MODELS)
def test_gradients_reach_every_parameter(backbone, name):
    train_step(tiny_model(backbone, name))


@pytest.mark.parametrize(("backbone", "name"), MODELS)
def test_clips_of_odd_grids(backbone, name):
    """Built for 4 x 64 x 64, and given 6 x 96 x 32."""
    train_step(tiny_model(backbone, name), ODD_CLIP)


@pytest.mark.parametrize(("backbone", "name"), MODELS)
def test_models_of_clips_that_are_no_squares(backbone, name):
    """Built for 4 x 64 x 96, and given square clips too; tables have a row a position."""
    torch.manual_seed(0)
    model = small_model(backbone, attention(name), size=(64, 96))
    train_step(model, WIDE_CLIP)
    assert model(clip()).shape == (2, 5)
    if isinstance(model.backbone, VisionTransformer):
        table = model.backbone.table
        assert (table.h, table.w) == (4, 6)
        assert model.backbone.pos_embed.shape == (1, table.prefix + 4 * 6, 24)
        assert model.backbone.temp_embed.shape == (1, 2, 24)


@pytest.mark.parametrize("backbone", BACKBONES.names())
@pytest.mark.parametrize("kernel", KERNELS.names())
def test_kernels_of_clips_that_are_no_squares(backbone, kernel):
    """Those tied to their number of keys among them: every backbone knows both sides of its grid."""
    torch.manual_seed(0)
    model = small_model(backbone, attention("joint", "space", kernel=kernel), size=(64, 96))
    train_step(model, WIDE_CLIP)


@pytest.mark.parametrize(("backbone", "name"), MODELS)
def test_bf16_autocast(backbone, name):
    model = tiny_model(backbone, name)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        train_step(model)
        half = model.eval()(clip()).float()
    torch.testing.assert_close(half, model(clip()), rtol=0.05, atol=0.05)


@pytest.mark.parametrize(("backbone", "name"), MODELS)
def test_state_dict_there_and_back(backbone, name):
    model = tiny_model(backbone, name).eval()
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    twin = small_model(backbone, attention(name)).eval()
    twin.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(twin(clip()), model(clip()))


@pytest.mark.parametrize(("name", "kernel"), PAIRS)
def test_every_kernel_in_every_attention(name, kernel):
    """On XViT, whose tokens are the most involved; in training, in bf16, and the same again in evaluation."""
    model = tiny_model("xvit", name, kernel)
    train_step(model)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        train_step(model)
    model.eval()
    assert torch.equal(model(clip()), model(clip()))


@pytest.mark.parametrize(("name", "kernel"), PAIRS)
def test_reference_implementation_computes_the_same(name, kernel):
    """ATTENTION.REFERENCE: the same parameters, outputs and gradients."""
    grads = []
    for reference in (False, True):
        model = tiny_model("xvit", name, kernel, reference=reference).eval()
        train_step(model)
        grads.append([model(clip()), *(p.grad for p in model.parameters())])
    torch.testing.assert_close(*grads, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "kernel"), PAIRS)
def test_kernels_take_other_clips_unless_they_are_tied_to_one(name, kernel):
    model = tiny_model("vit", name, kernel)
    if any(isinstance(module, Kernel) and module.fixed_keys for module in model.modules()):
        with pytest.raises(ConfigError, match="built for"):
            model(clip(ODD_CLIP))
    else:
        train_step(model, ODD_CLIP)


@pytest.mark.parametrize("mode", ["separate", "cooperative"])
@pytest.mark.parametrize(("backbone", "name"), MODELS)
def test_every_model_takes_fixation_and_association(backbone, name, mode):
    parts = (FixationOptions(mode=mode), NeighbourOptions(temporal=True, spatial=True))
    model = tiny_model(backbone, name, parts=parts)
    assert any("fixation" in name for name, _ in model.named_parameters())
    train_step(model)


@pytest.mark.parametrize("backbone", BACKBONES.names())
def test_linear_weights_start_as_wide_as_configured(backbone):
    """Of attention, MLP and head; the same draws, scaled."""
    models = []
    for init_std in (0.02, 0.1):
        torch.manual_seed(0)
        models.append(small_model(backbone, attention("joint"), init_std=init_std))
    narrow, wide = (dict(model.named_parameters()) for model in models)
    scaled = [name for name in narrow if not torch.equal(narrow[name], wide[name])]
    assert {name.rsplit(".", 2)[-2] for name in scaled} >= {"qkv", "proj", "fc1", "fc2", "head"}
    for name in scaled:
        torch.testing.assert_close(wide[name], 5 * narrow[name])
