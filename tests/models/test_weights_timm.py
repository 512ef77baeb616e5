"""timm's ViT and DeiT: their outputs on images, and as a start for video models."""

import json

import pytest
import torch
from vit_cases import tiny_cfg

from slowfast_ext.config import get_cfg
from slowfast_ext.errors import CheckpointError
from slowfast_ext.models import build_model
from slowfast_ext.models.weights import WEIGHTS, import_state
from slowfast_ext.models.weights.base import recognise

IMAGE = {"VIT__PATCH_SIZE": [1, 8, 8], "DATA__NUM_FRAMES": 1, "VIT__POS_EMBED": "joint"}
IMPORTER = WEIGHTS.get("timm")


def image_state(seed=0):
    """A tiny image ViT's weights in timm's names."""
    torch.manual_seed(seed)
    cfg = tiny_cfg(**IMAGE)
    return IMPORTER.to_theirs(build_model(cfg).state_dict(), cfg)


def test_equals_timm_on_images():
    timm = pytest.importorskip("timm")
    theirs = timm.models.vision_transformer.VisionTransformer(
        img_size=32, patch_size=8, embed_dim=24, depth=2, num_heads=3, num_classes=5
    ).eval()
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    cfg = tiny_cfg(**IMAGE)
    model = build_model(cfg).eval()
    state, report = import_state(theirs.state_dict(), cfg, model.state_dict())
    assert report.source == "timm"
    assert not report.differences()
    model.load_state_dict(state)
    image = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(model(image[:, :, None])[0], theirs(image), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["timm_vit_base_patch16_224", "timm_vit_large_patch16_224"])
def test_every_published_tensor_is_accounted_for(manifest_dir, name):
    shapes = json.loads((manifest_dir / f"{name}.json").read_text())["keys"]
    cfg = get_cfg()
    cfg.DATA.NUM_FRAMES, cfg.MODEL.NUM_CLASSES, cfg.VIT.POS_EMBED = 1, 1000, "joint"
    cfg.VIT.PATCH_SIZE = [1, 16, 16]
    if "large" in name:
        cfg.VIT.EMBED_DIM, cfg.VIT.DEPTH, cfg.VIT.NUM_HEADS = 1024, 24, 16
    with torch.device("meta"):
        model = build_model(cfg).state_dict()
        state = {key: torch.empty(shape) for key, shape in shapes.items()}
    assert recognise(state) == "timm"
    fitted, report = import_state(state, cfg, model)
    assert fitted.keys() == model.keys()
    assert not report.differences()


@pytest.mark.parametrize("mode", ["centre", "mean"])
def test_inflated_model_of_a_still_clip_equals_the_image_model(mode):
    """Time attention apart, copies of one image give every frame the image's tubelets."""
    theirs, cfg = image_state(), tiny_cfg()
    with pytest.raises(CheckpointError, match="CHECKPOINT_INFLATE"):
        import_state(theirs, cfg, build_model(cfg).state_dict())
    cfg.TRAIN.CHECKPOINT_INFLATE, cfg.TRAIN.CHECKPOINT_CHANGED = mode, ["new"]
    model = build_model(cfg).eval()
    state, report = import_state(theirs, cfg, model.state_dict())
    assert report.inflated == ["backbone.embed.tubelets.weight"]
    assert report.new == ["backbone.embed.time_embed"]
    model.load_state_dict(state, strict=False)
    image_cfg = tiny_cfg(**IMAGE)
    image_model = build_model(image_cfg).eval()
    image_model.load_state_dict(import_state(theirs, image_cfg, image_model.state_dict())[0])
    image = torch.randn(1, 3, 1, 32, 32)
    x_BNC, _ = model.backbone.embed(image.expand(-1, -1, 4, -1, -1))
    image_BNC, _ = image_model.backbone.embed(image)
    for frame in x_BNC[:, 1:].unflatten(1, (2, 16)).unbind(1):
        torch.testing.assert_close(frame, image_BNC[:, 1:])


@pytest.mark.parametrize("cycle", ["divided", "trajectory"])
def test_new_parameters_are_reported(cycle):
    cfg = tiny_cfg(ATTENTION__CYCLE=[cycle], VIT__PRE_LOGITS="tanh", MODEL__NUM_CLASSES=3)
    cfg.TRAIN.CHECKPOINT_INFLATE, cfg.TRAIN.CHECKPOINT_CHANGED = "centre", ["new", "head"]
    model = build_model(cfg)
    state, report = import_state(image_state(), cfg, model.state_dict())
    assert state.keys() | set(report.new) | set(report.head) == model.state_dict().keys()
    layer = {"divided": "attn.time.qkv", "trajectory": "attn.layer.proj_q"}[cycle]
    assert f"backbone.blocks.0.{layer}.weight" in report.new
    assert len(report.head) == 2


def test_joint_positions_repeat_the_image_table():
    cfg = tiny_cfg(VIT__POS_EMBED="joint", TRAIN__CHECKPOINT_INFLATE="mean")
    cfg.TRAIN.CHECKPOINT_CHANGED = ["time"]
    theirs = image_state()
    state, _ = import_state(theirs, cfg, build_model(cfg).state_dict())
    cls, patches = theirs["pos_embed"].tensor_split([1], dim=1)
    expected = torch.cat([cls, patches, patches], dim=1)
    torch.testing.assert_close(state["backbone.embed.pos_embed"], expected)


def test_model_without_class_token_leaves_it_out():
    cfg = tiny_cfg(**IMAGE, VIT__POOL="mean", TRAIN__CHECKPOINT_CHANGED=["unused"])
    model = build_model(cfg)
    state, report = import_state(image_state(), cfg, model.state_dict())
    assert state.keys() == model.state_dict().keys()
    assert report.unused == ["cls_token", "pos_embed_of_cls"]


def test_there_and_back_is_the_same():
    cfg = tiny_cfg(**IMAGE)
    theirs = image_state()
    back = IMPORTER.to_theirs(IMPORTER.to_ours(theirs, cfg), cfg)
    assert back.keys() == theirs.keys()
    assert all(torch.equal(back[key], theirs[key]) for key in theirs)


def test_tubelets_have_no_name_in_timm():
    cfg = tiny_cfg()
    with pytest.raises(CheckpointError, match="tubelets of 2 frames"):
        IMPORTER.to_theirs(build_model(cfg).state_dict(), cfg)
