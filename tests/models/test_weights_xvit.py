"""XViT checkpoints: every key of the public files, there and back, and onto other sizes."""

import json

import pytest
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
    theirs["base_model.temp_embed"].normal_()
    large = small_cfg(frames=8, crop=48)
    model = build_model(large)
    with pytest.raises(CheckpointError, match="time"):
        import_state(theirs, large, model.state_dict())
    large.TRAIN.CHECKPOINT_CHANGED = ["time", "space"]
    state, report = import_state(theirs, large, model.state_dict())
    assert set(report.resized.values()) == {"time", "space"}
    model.load_state_dict(state)
    time = model.backbone.embed.time_embed
    assert torch.equal(time[:, 4:], time[:, :4])
    assert torch.equal(time[:, :4], theirs["base_model.temp_embed"][:, :, 0])


def test_the_unused_layer_is_reported():
    cfg = small_cfg()
    theirs = XViTImporter.to_theirs(build_model(cfg).state_dict(), cfg)
    theirs["new_fc.weight"] = torch.zeros(5, 24)
    with pytest.raises(CheckpointError, match=r"unused: new_fc\.weight"):
        import_state(theirs, cfg, build_model(cfg).state_dict())
