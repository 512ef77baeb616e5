"""Motionformer's checkpoints: published outputs, every key accounted for, there and back again."""

import json

import pytest
import torch
from golden_vit import case_config, load_model
from vit_cases import assert_near, tiny_cfg

from slowfast_ext.config.schema import get_cfg, set_dotted
from slowfast_ext.errors import CheckpointError
from slowfast_ext.models import build_model
from slowfast_ext.models.weights import WEIGHTS, import_state
from slowfast_ext.models.weights.base import recognise

CASES = [
    "mf_divided_jointpos",
    "mf_divided_separate",
    "mf_joint_jointpos",
    "mf_joint_separate",
    "mf_traj_epic",
    "mf_traj_jointpos",
    "mf_traj_nystrom_div",
    "mf_traj_nystrom_nondiv",
    "mf_traj_orthoformer",
    "mf_traj_orthoformer_fixed",
    "mf_traj_performer",
    "mf_traj_posinterp",
    "mf_traj_separate_fixed",
    "mf_traj_separate_orig",
    "mf_traj_square",
]
MANIFESTS = {
    "mf_divided_k400_16x224": {"ATTENTION.CYCLE": ["divided"]},
    "mf_joint_k400_16x224": {"ATTENTION.CYCLE": ["joint"]},
    "motionformer_b_ek100_16x224": {"MODEL.NUM_CLASSES": [97, 300]},
    "motionformer_b_k400_16x224": {},
    "motionformer_b_k400_jointpos": {"VIT.POS_EMBED": "joint"},
    "motionformer_b_ssv2_16x224": {"MODEL.NUM_CLASSES": 174},
    "motionformer_hr_k400_16x336": {"DATA.TRAIN_CROP_SIZE": 336, "VIT.POS_CROP_SIZE": 224},
    "motionformer_l_k400_32x224": {"DATA.NUM_FRAMES": 32},
}
IMPORTER = WEIGHTS.get("motionformer")


@pytest.mark.parametrize("reference", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_published_outputs(golden_dir, name, reference):
    cfg = case_config(golden_dir, name)
    cfg.ATTENTION.REFERENCE = reference
    model, case, report = load_model(golden_dir, name, cfg)
    assert not report.unused
    assert all(name.endswith("kernel.projection") for name in report.new)
    with torch.no_grad():
        x_BNC, grid = model.backbone.embed(case["in/x"])
        assert_near(x_BNC, case["aux/tokens_in"])
        for index, block in enumerate(model.backbone.blocks):
            x_BNC = block(x_BNC, grid)
            assert_near(x_BNC, case[f"aux/block{index}_out"], 1e-5)
        found = model(case["in/x"])
    expected = [case[key] for key in sorted(case) if key.startswith("out/logits")]
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-5)


@pytest.mark.parametrize("name", MANIFESTS)
def test_every_published_tensor_is_accounted_for(manifest_dir, name):
    shapes = json.loads((manifest_dir / f"{name}.json").read_text())["keys"]
    cfg = get_cfg()
    cfg.DATA.NUM_FRAMES, cfg.VIT.PRE_LOGITS, cfg.ATTENTION.CYCLE = 16, "tanh", ["trajectory"]
    for key, value in MANIFESTS[name].items():
        set_dotted(cfg, key, value)
    with torch.device("meta"):
        model = build_model(cfg).state_dict()
        state = {key: torch.empty(shape) for key, shape in shapes.items()}
    assert recognise(state) == "motionformer"
    fitted, report = import_state(state, cfg, model)
    assert fitted.keys() == model.keys()
    assert set(report.loaded) == model.keys()
    idle = {key for key in report.idle if ".attn." not in key}
    joint = {"pos_embed"} if cfg.VIT.POS_EMBED == "joint" else set()
    assert idle == {"patch_embed.proj.weight", "patch_embed.proj.bias"} | joint


@pytest.mark.parametrize("name", CASES)
def test_there_and_back_is_the_same(golden_dir, name):
    cfg = case_config(golden_dir, name)
    model, case, _ = load_model(golden_dir, name, cfg)
    ours = model.state_dict()
    theirs = IMPORTER.to_theirs(ours, cfg)
    again, report = import_state(theirs, cfg, ours)
    assert again.keys() == ours.keys()
    assert not report.new
    assert all(torch.equal(again[key], ours[key]) for key in ours)
    published = {k[6:]: x for k, x in case.items() if k.startswith("state/")}
    back = IMPORTER.to_theirs(IMPORTER.to_ours(published, cfg), cfg)
    assert back.keys() == published.keys()
    assert all(torch.equal(back[key], published[key]) for key in published)


def test_export_fills_what_has_no_effect_with_zeros():
    cfg = tiny_cfg(ATTENTION__CYCLE=["trajectory"])
    theirs = IMPORTER.to_theirs(build_model(cfg).state_dict(), cfg)
    weight, bias = (theirs[f"blocks.0.attn.proj_kv.{kind}"] for kind in ("weight", "bias"))
    assert weight.shape == (48, 24)
    assert weight[:24].any()
    assert not weight[24:].any()
    assert not bias.any()


def test_other_classes_frames_and_resolution_are_adapted_when_allowed():
    cfg = tiny_cfg(ATTENTION__CYCLE=["trajectory"])
    theirs = IMPORTER.to_theirs(build_model(cfg).state_dict(), cfg)
    cfg = tiny_cfg(ATTENTION__CYCLE=["trajectory"], DATA__NUM_FRAMES=8, DATA__TRAIN_CROP_SIZE=48)
    cfg.MODEL.NUM_CLASSES = [3, 4]
    model = build_model(cfg)
    with pytest.raises(CheckpointError, match="CHECKPOINT_CHANGED"):
        import_state(theirs, cfg, model.state_dict())
    cfg.TRAIN.CHECKPOINT_CHANGED = ["head", "new", "time", "space"]
    state, report = import_state(theirs, cfg, model.state_dict())
    assert report.head == ["head.classifiers.0.weight", "head.classifiers.0.bias"]
    assert report.new == ["head.classifiers.1.weight", "head.classifiers.1.bias"]
    assert set(report.resized.values()) == {"time", "space"}
    assert not model.load_state_dict(state, strict=False).unexpected_keys


@pytest.mark.parametrize(
    ("change", "key", "value"),
    [("time", "DATA__NUM_FRAMES", 8), ("space", "DATA__TRAIN_CROP_SIZE", 48)],
)
def test_joint_positions_of_another_grid(change, key, value):
    cfg = tiny_cfg(VIT__POS_EMBED="joint")
    source = build_model(cfg)
    cfg = tiny_cfg(VIT__POS_EMBED="joint", TRAIN__CHECKPOINT_CHANGED=[change], **{key: value})
    model = build_model(cfg)
    state, report = import_state(
        IMPORTER.to_theirs(source.state_dict(), cfg), cfg, model.state_dict()
    )
    assert list(report.resized.values()) == [change]
    expected = source.backbone.embed.positions(model.backbone.embed.table)
    torch.testing.assert_close(state["backbone.embed.pos_embed"], expected)
