"""Motionformer's checkpoints: published outputs, every key accounted for, there and back again."""

import json
from dataclasses import replace

import pytest
import torch
from model_cases import TINY_SPEC, attention, tiny_vit, with_head
from vit_cases import assert_near, published_model, published_weights

from slowfast_ext.errors import CheckpointError
from slowfast_ext.models.backbones import BackboneSpec
from slowfast_ext.models.backbones.vit import VisionTransformer, VitOptions
from slowfast_ext.models.weights import WEIGHTS, LoadOptions, fit_weights, load_weights
from slowfast_ext.models.weights.base import recognise
from slowfast_ext.tasks import heads_of

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
SPEC = BackboneSpec(attention=attention("trajectory"))
VIT = VitOptions(pre_logits="tanh")
MANIFESTS = {
    "mf_divided_k400_16x224": (replace(SPEC, attention=attention("divided")), VIT, 400),
    "mf_joint_k400_16x224": (replace(SPEC, attention=attention("joint")), VIT, 400),
    "motionformer_b_ek100_16x224": (SPEC, VIT, (97, 300)),
    "motionformer_b_k400_16x224": (SPEC, VIT, 400),
    "motionformer_b_k400_jointpos": (SPEC, replace(VIT, pos_embed="joint"), 400),
    "motionformer_b_ssv2_16x224": (SPEC, VIT, 174),
    "motionformer_hr_k400_16x336": (
        replace(SPEC, img_size=336),
        replace(VIT, pos_crop_size=224),
        400,
    ),
    "motionformer_l_k400_32x224": (replace(SPEC, num_frames=32), VIT, 400),
}
IMPORTER = WEIGHTS.get("motionformer")
TRAJECTORY = replace(TINY_SPEC, attention=attention("trajectory"))


def exported(model):
    """The model's weights in Motionformer's names."""
    return IMPORTER.to_theirs(model.state_dict(), model)


@pytest.mark.parametrize("reference", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_published_outputs(golden_dir, name, reference):
    model, case, report = published_weights(golden_dir, name, reference)
    assert not report.unused
    assert all(name.endswith("kernel.projection") for name in report.new)
    with torch.no_grad():
        x_BNC, grid = model.backbone.embed(case["in/x"])
        assert_near(x_BNC, case["aux/tokens_in"])
        for index, block in enumerate(model.backbone.blocks):
            x_BNC = block(x_BNC, grid)
            assert_near(x_BNC, case[f"aux/block{index}_out"], 1e-5)
        found = heads_of(model(case["in/x"]))
    expected = [case[key] for key in sorted(case) if key.startswith("out/logits")]
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-5)


@pytest.mark.parametrize("name", MANIFESTS)
def test_every_published_tensor_is_accounted_for(manifest_dir, name):
    shapes = json.loads((manifest_dir / f"{name}.json").read_text())["keys"]
    spec, vit, classes = MANIFESTS[name]
    with torch.device("meta"):
        model = with_head(VisionTransformer(spec, vit), classes)
        state = {key: torch.empty(shape) for key, shape in shapes.items()}
    assert recognise(state) == "motionformer"
    fitted, report = fit_weights(state, model)
    assert fitted.keys() == model.state_dict().keys()
    assert set(report.loaded) == fitted.keys()
    idle = {key for key in report.idle if ".attn." not in key}
    joint = {"pos_embed"} if vit.pos_embed == "joint" else set()
    assert idle == {"patch_embed.proj.weight", "patch_embed.proj.bias"} | joint


@pytest.mark.parametrize("name", CASES)
def test_there_and_back_is_the_same(golden_dir, name):
    model, case, _ = published_weights(golden_dir, name)
    ours = model.state_dict()
    theirs = IMPORTER.to_theirs(ours, model)
    again, report = fit_weights(theirs, published_model(golden_dir, name))
    assert again.keys() == ours.keys()
    assert not report.new
    assert all(torch.equal(again[key], ours[key]) for key in ours)
    published = {k[6:]: x for k, x in case.items() if k.startswith("state/")}
    back = IMPORTER.to_theirs(IMPORTER.to_ours(published, model), model)
    assert back.keys() == published.keys()
    assert all(torch.equal(back[key], published[key]) for key in published)


def test_export_fills_what_has_no_effect_with_zeros():
    theirs = exported(tiny_vit(TRAJECTORY))
    weight, bias = (theirs[f"blocks.0.attn.proj_kv.{kind}"] for kind in ("weight", "bias"))
    assert weight.shape == (48, 24)
    assert weight[:24].any()
    assert not weight[24:].any()
    assert not bias.any()


def test_other_classes_frames_and_resolution_are_adapted_when_allowed():
    """Verbs and nouns from one classifier, as when EPIC starts from Kinetics (configs/recipes/motionformer_epic.yaml)."""
    theirs = exported(tiny_vit(TRAJECTORY))
    model = tiny_vit(replace(TRAJECTORY, num_frames=8, img_size=48), classes=(3, 4))
    with pytest.raises(CheckpointError, match="CHECKPOINT_CHANGED"):
        load_weights(model, theirs)
    allowed = LoadOptions(changed=("head", "new", "time", "space"))
    state, report = fit_weights(theirs, model, allowed)
    assert report.head == ["head.weight", "head.bias"]
    parts = ("verb.weight", "verb.bias", "noun.weight", "noun.bias")
    assert report.new == [f"head.{part}" for part in parts]
    assert set(report.resized.values()) == {"time", "space"}
    assert not report.unused
    assert not model.load_state_dict(state, strict=False).unexpected_keys


@pytest.mark.parametrize(
    ("change", "spec"),
    [
        ("time", replace(TINY_SPEC, num_frames=8)),
        ("space", replace(TINY_SPEC, img_size=48)),
        ("space", replace(TINY_SPEC, img_size=(32, 48))),
    ],
)
def test_joint_positions_of_another_grid(change, spec):
    source = tiny_vit(pos_embed="joint")
    model = tiny_vit(spec, pos_embed="joint")
    state, report = fit_weights(exported(source), model, LoadOptions(changed=(change,)))
    assert list(report.resized.values()) == [change]
    expected = source.backbone.positions(model.backbone.table)
    torch.testing.assert_close(state["backbone.pos_embed"], expected)
