"""timm's ViT and DeiT: their outputs on images, and as a start for video models."""

import json
from dataclasses import replace

import pytest
import torch
from model_cases import TINY_SPEC, attention, tiny_vit, with_head

from slowfast_ext.errors import CheckpointError
from slowfast_ext.models.backbones import BackboneSpec
from slowfast_ext.models.backbones.vit import VisionTransformer, VitOptions
from slowfast_ext.models.weights import WEIGHTS, LoadOptions, fit_weights, load_weights
from slowfast_ext.models.weights.base import recognise

IMPORTER = WEIGHTS.get("timm")


def image_vit(**vit):
    """A tiny ViT of images."""
    spec = replace(TINY_SPEC, num_frames=1)
    return tiny_vit(spec, patch_size=(1, 8, 8), pos_embed="joint", **vit)


def image_state(seed=0):
    """A tiny image ViT's weights in timm's names."""
    torch.manual_seed(seed)
    model = image_vit()
    return IMPORTER.to_theirs(model.state_dict(), model)


def test_equals_timm_on_images():
    timm = pytest.importorskip("timm")
    theirs = timm.models.vision_transformer.VisionTransformer(
        img_size=32, patch_size=8, embed_dim=24, depth=2, num_heads=3, num_classes=5
    ).eval()
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    model = image_vit().eval()
    report = load_weights(model, theirs.state_dict())
    assert report.source == "timm"
    assert not report.differences()
    image = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(model(image[:, :, None]), theirs(image), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["timm_vit_base_patch16_224", "timm_vit_large_patch16_224"])
def test_every_published_tensor_is_accounted_for(manifest_dir, name):
    shapes = json.loads((manifest_dir / f"{name}.json").read_text())["keys"]
    vit = VitOptions(patch_size=(1, 16, 16), pos_embed="joint")
    if "large" in name:
        vit = replace(vit, embed_dim=1024, depth=24, num_heads=16)
    with torch.device("meta"):
        model = with_head(VisionTransformer(BackboneSpec(num_frames=1), vit), classes=1000)
        state = {key: torch.empty(shape) for key, shape in shapes.items()}
    assert recognise(state) == "timm"
    fitted, report = fit_weights(state, model)
    assert fitted.keys() == model.state_dict().keys()
    assert not report.differences()


@pytest.mark.parametrize("mode", ["centre", "mean"])
def test_inflated_model_of_a_still_clip_equals_the_image_model(mode):
    """Time attention apart, copies of one image give every frame the image's tubelets."""
    theirs = image_state()
    with pytest.raises(CheckpointError, match="CHECKPOINT_INFLATE"):
        load_weights(tiny_vit(), theirs)
    model = tiny_vit().eval()
    report = load_weights(model, theirs, LoadOptions(inflate=mode, changed=("new",)))
    assert report.inflated == ["backbone.patch_embed.proj.weight"]
    assert report.new == ["backbone.temp_embed"]
    image_model = image_vit().eval()
    load_weights(image_model, theirs)
    image = torch.randn(1, 3, 1, 32, 32)
    x_BNC, _ = model.backbone.embed(image.expand(-1, -1, 4, -1, -1))
    image_BNC, _ = image_model.backbone.embed(image)
    for frame in x_BNC[:, 1:].unflatten(1, (2, 16)).unbind(1):
        torch.testing.assert_close(frame, image_BNC[:, 1:])


@pytest.mark.parametrize("cycle", ["divided", "trajectory"])
def test_new_parameters_are_reported(cycle):
    model = tiny_vit(replace(TINY_SPEC, attention=attention(cycle)), 3, pre_logits="tanh")
    options = LoadOptions(inflate="centre", changed=("new", "head"))
    state, report = fit_weights(image_state(), model, options)
    assert state.keys() | set(report.new) | set(report.head) == model.state_dict().keys()
    layer = {"divided": "temporal_attn.qkv", "trajectory": "attn.proj_q"}[cycle]
    assert f"backbone.blocks.0.{layer}.weight" in report.new
    assert len(report.head) == 2


def test_joint_positions_repeat_the_image_table():
    theirs, model = image_state(), tiny_vit(pos_embed="joint")
    state, _ = fit_weights(theirs, model, LoadOptions(inflate="mean", changed=("time",)))
    cls, patches = theirs["pos_embed"].tensor_split([1], dim=1)
    expected = torch.cat([cls, patches, patches], dim=1)
    torch.testing.assert_close(state["backbone.pos_embed"], expected)


def test_model_without_class_token_leaves_it_out():
    model = image_vit(pool="mean")
    state, report = fit_weights(image_state(), model, LoadOptions(changed=("unused",)))
    assert state.keys() == model.state_dict().keys()
    assert report.unused == ["cls_token", "pos_embed_of_cls"]


def test_there_and_back_is_the_same():
    theirs, model = image_state(), image_vit()
    back = IMPORTER.to_theirs(IMPORTER.to_ours(theirs, model), model)
    assert back.keys() == theirs.keys()
    assert all(torch.equal(back[key], theirs[key]) for key in theirs)


def test_tubelets_have_no_name_in_timm():
    model = tiny_vit()
    with pytest.raises(CheckpointError, match="tubelets of 2 frames"):
        IMPORTER.to_theirs(model.state_dict(), model)
