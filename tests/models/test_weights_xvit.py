"""XViT checkpoints: every key of the public files, there and back, and onto other sizes."""

import json
from dataclasses import replace

import pytest
import timm
import torch
from model_cases import TINY_SPEC, TINY_VIT, attention, with_head
from safetensors.torch import load_file
from xvit_cases import PUBLISHED, PUBLISHED_SPEC, golden_model

from slowfast_ext.errors import CheckpointError
from slowfast_ext.models.backbones.xvit import XViT, XvitOptions
from slowfast_ext.models.weights import LoadOptions, fit_weights, load_weights
from slowfast_ext.models.weights.base import recognise
from slowfast_ext.models.weights.xvit import XViTImporter


@pytest.mark.parametrize(
    ("manifest", "classes"), [("xvit_b16_16f_k600", 600), ("xvit_b16_16f_ssv2", 174)]
)
def test_every_key_of_the_public_files_has_its_place(manifest_dir, manifest, classes):
    shapes = json.loads((manifest_dir / f"{manifest}.json").read_text())["keys"]
    with torch.device("meta"):
        model = with_head(XViT(PUBLISHED_SPEC, *PUBLISHED), classes)
        theirs = {key: torch.empty(shape) for key, shape in shapes.items()}
    ours = {key: x.shape for key, x in model.state_dict().items()}
    imported = XViTImporter.to_ours(theirs, model)
    unused = {key: imported.pop(key) for key in ("new_fc.weight", "new_fc.bias")}
    assert {key: x.shape for key, x in imported.items()} == ours
    exported = XViTImporter.to_theirs({**imported, **unused}, model)
    assert {key: list(x.shape) for key, x in exported.items()} == shapes


@pytest.mark.parametrize("name", ["xvit_vit_div4", "xvit_avg"])
def test_there_and_back(golden_dir, name):
    tensors = load_file(golden_dir / f"{name}.safetensors")
    theirs = {key[6:]: x for key, x in tensors.items() if key.startswith("state/")}
    model = golden_model(json.loads((golden_dir / f"{name}.json").read_text())["cfg"])
    assert recognise(theirs) == "xvit"
    back = XViTImporter.to_theirs(XViTImporter.to_ours(theirs, model), model)
    assert back.keys() == theirs.keys()
    assert all(torch.equal(back[key], x) for key, x in theirs.items())


def small(name="mixing", frames=4, size=32, consensus_dim=16):
    spec = replace(TINY_SPEC, num_frames=frames, img_size=size, attention=attention(name))
    xvit = XvitOptions(time_rows=frames, consensus_heads=3, consensus_dim=consensus_dim)
    return with_head(XViT(spec, replace(TINY_VIT, patch_size=(1, 8, 8)), xvit))


def exported(model):
    """The model's weights in XViT's names."""
    return XViTImporter.to_theirs(model.state_dict(), model)


def test_other_frames_and_crop_resize_the_tables_where_that_is_allowed():
    theirs, model = exported(small()), small(frames=8, size=48)
    with pytest.raises(CheckpointError, match="time"):
        load_weights(model, theirs)
    state, report = fit_weights(theirs, model, LoadOptions(changed=("time", "space")))
    assert set(report.resized.values()) == {"time", "space"}
    model.load_state_dict(state)


def test_the_layer_that_is_never_used_is_reported_as_such():
    theirs = exported(small())
    theirs["new_fc.weight"] = torch.zeros(5, 24)
    _, report = fit_weights(theirs, small())
    assert report.idle == ["new_fc.weight"]
    assert not report.changes()


@pytest.mark.parametrize("name", ["mixing", "factorized"])
def test_image_models_of_timm_start_a_video_model(name):
    """All but the consensus, the classifier and what acts over time comes from the image model."""
    image = timm.models.VisionTransformer(
        img_size=32, patch_size=8, embed_dim=24, depth=2, num_heads=3, num_classes=7
    )
    model = small(name, consensus_dim=24)
    state, report = fit_weights(image.state_dict(), model, LoadOptions(changed=("head", "new")))
    assert len(report.head) == 2
    fresh = ("backbone.consensus", "backbone.temp_embed", "head.")
    over_time = (".temporal_attn.", ".temporal_norm1.")
    assert all(key.startswith(fresh) or any(x in key for x in over_time) for key in report.new)
    ours = state["backbone.blocks.1.attn.qkv.weight"]
    assert torch.equal(ours, image.blocks[1].attn.qkv.weight)
