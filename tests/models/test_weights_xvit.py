"""XViT checkpoints: every key of the public files, there and back, and onto other sizes."""

import json

import pytest
import timm
import torch
from safetensors.torch import load_file
from xvit_cases import golden_cfg, published_cfg

from slowfast_ext.errors import CheckpointError
from slowfast_ext.models import build_model
from slowfast_ext.models.weights import import_state
from slowfast_ext.models.weights.base import recognise
from slowfast_ext.models.weights.xvit import XViTImporter


@pytest.mark.parametrize(
    ("manifest", "classes"), [("xvit_b16_16f_k600", 600), ("xvit_b16_16f_ssv2", 174)]
)
def test_every_key_of_the_public_files_has_its_place(manifest_dir, manifest, classes):
    shapes = json.loads((manifest_dir / f"{manifest}.json").read_text())["keys"]
    cfg = published_cfg(classes)
    with torch.device("meta"):
        theirs = {key: torch.empty(shape) for key, shape in shapes.items()}
        ours = {key: x.shape for key, x in build_model(cfg).state_dict().items()}
    imported = XViTImporter.to_ours(theirs, cfg)
    unused = {key: imported.pop(key) for key in ("new_fc.weight", "new_fc.bias")}
    assert {key: x.shape for key, x in imported.items()} == ours
    exported = XViTImporter.to_theirs({**imported, **unused}, cfg)
    assert {key: list(x.shape) for key, x in exported.items()} == shapes


@pytest.mark.parametrize("name", ["xvit_vit_div4", "xvit_avg"])
def test_there_and_back(golden_dir, name):
    tensors = load_file(golden_dir / f"{name}.safetensors")
    theirs = {key[6:]: x for key, x in tensors.items() if key.startswith("state/")}
    cfg = golden_cfg(json.loads((golden_dir / f"{name}.json").read_text())["cfg"])
    assert recognise(theirs) == "xvit"
    back = XViTImporter.to_theirs(XViTImporter.to_ours(theirs, cfg), cfg)
    assert back.keys() == theirs.keys()
    assert all(torch.equal(back[key], x) for key, x in theirs.items())


def small_cfg(frames=4, crop=32):
    cfg = published_cfg(5)
    cfg.VIT.PATCH_SIZE, cfg.VIT.EMBED_DIM, cfg.VIT.DEPTH, cfg.VIT.NUM_HEADS = [1, 8, 8], 24, 2, 3
    cfg.XVIT.CONSENSUS_HEADS, cfg.XVIT.CONSENSUS_DIM, cfg.XVIT.TIME_ROWS = 3, 16, frames
    cfg.DATA.NUM_FRAMES = frames
    cfg.DATA.TRAIN_CROP_SIZE = cfg.DATA.TEST_CROP_SIZE = crop
    return cfg


def test_other_frames_and_crop_resize_the_tables_where_that_is_allowed():
    small = small_cfg()
    theirs = XViTImporter.to_theirs(build_model(small).state_dict(), small)
    large = small_cfg(frames=8, crop=48)
    model = build_model(large)
    with pytest.raises(CheckpointError, match="time"):
        import_state(theirs, large, model.state_dict())
    large.TRAIN.CHECKPOINT_CHANGED = ["time", "space"]
    state, report = import_state(theirs, large, model.state_dict())
    assert set(report.resized.values()) == {"time", "space"}
    model.load_state_dict(state)


def test_the_layer_that_is_never_used_is_reported_as_such():
    cfg = small_cfg()
    theirs = XViTImporter.to_theirs(build_model(cfg).state_dict(), cfg)
    theirs["new_fc.weight"] = torch.zeros(5, 24)
    _, report = import_state(theirs, cfg, build_model(cfg).state_dict())
    assert report.idle == ["new_fc.weight"]
    assert not report.changes()


@pytest.mark.parametrize("attention", ["mixing", "factorized"])
def test_image_models_of_timm_start_a_video_model(attention):
    """All but the consensus, the classifier and what acts over time comes from the image model."""
    cfg = small_cfg()
    cfg.ATTENTION.CYCLE, cfg.XVIT.CONSENSUS_DIM = [attention], cfg.VIT.EMBED_DIM
    image = timm.models.VisionTransformer(
        img_size=32, patch_size=8, embed_dim=24, depth=2, num_heads=3, num_classes=7
    )
    cfg.TRAIN.CHECKPOINT_CHANGED = ["head", "new"]
    state, report = import_state(image.state_dict(), cfg, build_model(cfg).state_dict())
    assert len(report.head) == 2
    fresh = ("backbone.consensus", "backbone.embed.time_embed", "head.")
    over_time = (".attn.time.", ".attn.time_norm.")
    assert all(key.startswith(fresh) or any(x in key for x in over_time) for key in report.new)
    prefix = "attn.layer" if attention == "mixing" else "attn.space"
    ours = state[f"backbone.blocks.1.{prefix}.qkv.weight"]
    assert torch.equal(ours, image.blocks[1].attn.qkv.weight)
