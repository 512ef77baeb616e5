"""Copies of a model, as a moving average needs them, its way through pickle, and torch.compile."""

import pickle
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from model_cases import TINY_SPEC, attention, small_model, tiny_vit, with_head
from torch.nn.functional import cross_entropy

from slowfast_ext.models.attention import Attention
from slowfast_ext.models.attention.fixation import FixationOptions
from slowfast_ext.models.attention.neighbour import NeighbourOptions
from slowfast_ext.models.backbones import BACKBONES
from slowfast_ext.models.backbones.vit import VitOptions
from slowfast_ext.models.backbones.xvit import XViT, XvitOptions
from slowfast_ext.models.blocks import attention_names

STEPS = (FixationOptions(mode="cooperative"), NeighbourOptions(temporal=True, spatial=True))
COPIES = {"deepcopy": deepcopy, "pickle": lambda model: pickle.loads(pickle.dumps(model))}
MODELS = [(b, a) for b in BACKBONES.names() for a in attention_names()]


def owners(model):
    """The modules whose parameters the steps on queries, keys and values use."""
    layers = [module for module in model.modules() if isinstance(module, Attention)]
    steps = [step for layer in layers for step in layer.qkv_steps]
    return [getattr(step, "__self__", step) for step in steps]


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize(("backbone", "name"), MODELS)
def test_a_copy_steps_with_its_own_parameters(backbone, name, how):
    model = small_model(backbone, attention(name, parts=STEPS, kernel="relu")).eval()
    copy, clip = COPIES[how](model), torch.randn(1, 3, 4, 64, 64)
    assert len(owners(copy)) == len(owners(model)) > 0
    assert {id(owner) for owner in owners(copy)} <= {id(module) for module in copy.modules()}
    before = model(clip)
    assert torch.equal(copy(clip), before)
    with torch.no_grad():
        for parameter in copy.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    assert torch.equal(model(clip), before)
    fresh = small_model(backbone, attention(name, parts=STEPS, kernel="relu")).eval()
    fresh.load_state_dict(copy.state_dict())
    assert torch.equal(copy(clip), fresh(clip))


def test_a_copy_of_the_reference_implementation():
    model = small_model("vit", attention("joint", kernel="relu", reference=True)).eval()
    clip = torch.randn(1, 3, 4, 64, 64)
    assert torch.equal(deepcopy(model)(clip), model(clip))


def trajectory_vit():
    spec = replace(TINY_SPEC, drop_path=0.1, attention=attention("trajectory"))
    return tiny_vit(spec, depth=2)


def fixation_xvit():
    spec = replace(TINY_SPEC, attention=attention("factorized", parts=STEPS, kernel="relu"))
    vit = VitOptions(patch_size=(1, 8, 8), embed_dim=24, depth=1, num_heads=3)
    return with_head(XViT(spec, vit, XvitOptions(consensus="avg")))


@pytest.mark.slow
@pytest.mark.parametrize("build", [trajectory_vit, fixation_xvit])
def test_compiles_into_one_graph(build):
    """Forward and backward, in training and in evaluation."""
    model, clip = build(), torch.randn(2, 3, 4, 32, 32)
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    logits = compiled(clip)
    cross_entropy(logits, torch.tensor([0, 1])).backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
    model.eval()
    torch.testing.assert_close(compiled(clip), model(clip))
