"""XViT: the published model's numbers, and clips of other sizes."""

import json
from dataclasses import replace

import pytest
import torch
from attention_cases import (
    build_layer,
    check_golden,
    load_golden,
    to_sequence,
)
from model_cases import TINY_SPEC, TINY_VIT, attention, tree, with_head
from xvit_cases import PUBLISHED, PUBLISHED_SPEC, golden_model

from slowfast_ext.analysis.cost import cost_of
from slowfast_ext.errors import ConfigError
from slowfast_ext.models import build_model
from slowfast_ext.models.attention import Grid
from slowfast_ext.models.attention.shift import temporal_shift
from slowfast_ext.models.attention.xvit_mixing import MixingOptions
from slowfast_ext.models.backbones.xvit import XViT, XvitOptions
from slowfast_ext.models.build import ModelOptions
from slowfast_ext.models.weights.xvit import XViTImporter

CASES = ("xvit_vit", "xvit_avg", "xvit_noshift", "xvit_vit_div4", "xvit_vit_groups")


@pytest.mark.parametrize("name", CASES)
def test_published_model(golden_dir, name):
    case = json.loads((golden_dir / f"{name}.json").read_text())["cfg"]
    golden = load_golden(golden_dir, name)
    model = golden_model(case).double().eval()
    result = model.load_state_dict(XViTImporter.to_ours(golden["state"], model), strict=False)
    assert not result.missing_keys
    vit = case["XVIT"]["CONSENSUS_TYPE"] == "vit"
    unused = ["new_fc.weight", "new_fc.bias"] if vit else []
    assert sorted(result.unexpected_keys) == sorted(unused)
    logits = model(golden["in"]["x"])
    torch.testing.assert_close(logits, golden["out"]["logits"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_tokens_after_the_first_block(golden_dir, name):
    case = json.loads((golden_dir / f"{name}.json").read_text())["cfg"]
    golden = load_golden(golden_dir, name)
    model = golden_model(case).double().eval()
    model.load_state_dict(XViTImporter.to_ours(golden["state"], model), strict=False)
    x_BNC, grid = model.backbone.embed(golden["in"]["x"])
    frames = golden["aux"]["block0_out"].unflatten(0, (-1, grid.t))
    found = model.backbone.blocks[0](x_BNC, grid)
    torch.testing.assert_close(found, to_sequence(frames), rtol=0, atol=1e-6)


def test_attention_layer_matches_golden(golden_dir):
    grid = Grid(4, 4, 4, prefix=4, framewise=True)
    golden = load_golden(golden_dir, "mod_xvit_attn")
    check_golden(
        build_layer("mixing", grid), golden, grid, {}, lambda x: to_sequence(x.unflatten(0, (2, 4)))
    )


@pytest.mark.parametrize("div", [4, 8])
def test_shift_matches_golden(golden_dir, div):
    """Theirs is [batch*T, heads, tokens, D]: five tokens of four frames."""
    golden = load_golden(golden_dir, f"fn_xvit_shift_div{div}")

    def arrange(x):
        return x.transpose(1, 2).flatten(2).unflatten(0, (2, 4)).flatten(1, 2)

    found = temporal_shift(arrange(golden["in"]["x"]), Grid(4, 5, 1), 48 // div)
    assert torch.equal(found, arrange(golden["out"]["y"]))


VIT = replace(TINY_VIT, patch_size=(1, 8, 8))
XVIT = XvitOptions(consensus_heads=3, consensus_dim=16)


def tiny_xvit(frames=4, groups=0, **options):
    """Two blocks on `frames` frames of 32 px that exchange channels in groups of frames."""
    mixing = attention("mixing", parts=(MixingOptions(num_segments=groups),))
    spec = replace(TINY_SPEC, num_frames=frames, attention=mixing)
    return with_head(XViT(spec, VIT, replace(XVIT, **options)))


@pytest.mark.parametrize(("frames", "height", "width"), [(4, 32, 32), (7, 24, 40), (1, 8, 8)])
def test_any_clip(frames, height, width):
    logits = tiny_xvit()(torch.randn(2, 3, frames, height, width))
    assert logits.shape == (2, 5)
    assert logits.isfinite().all()


def test_groups_of_frames_do_not_exchange_before_the_head():
    backbone = tiny_xvit(frames=8, groups=4, time_rows=4).backbone.eval()
    frames = {}
    backbone.consensus.register_forward_pre_hook(lambda _, args: frames.update(cls=args[0]))
    clip = torch.randn(1, 3, 8, 32, 32)
    backbone(clip)
    before = frames["cls"]
    backbone(torch.cat([clip[:, :, :4], torch.randn(1, 3, 4, 32, 32)], dim=2))
    assert torch.equal(before[:, :4], frames["cls"][:, :4])
    assert not torch.equal(before[:, 4:], frames["cls"][:, 4:])
    backbone(clip.roll(4, dims=2))
    torch.testing.assert_close(before.roll(4, dims=1), frames["cls"])


def test_mean_consensus_is_the_mean_of_the_frames_logits():
    model = tiny_xvit(consensus="avg").eval()
    cls = {}
    model.backbone.consensus.register_forward_pre_hook(lambda _, args: cls.update(x=args[0]))
    logits = model(torch.randn(2, 3, 4, 32, 32))
    torch.testing.assert_close(logits, model.head(cls["x"]).mean(1))


@pytest.mark.parametrize(
    ("key", "value"),
    [("VIT.POOL", "mean"), ("VIT.POS_EMBED", "joint"), ("XVIT.CONSENSUS_HEADS", 5)],
)
def test_what_xvit_does_not_know_is_refused(key, value):
    with pytest.raises(ConfigError, match=key.replace(".", r"\.")):
        build_model(tree(ModelOptions("xvit"), VIT, XVIT, **{key.replace(".", "__"): value}))


def test_layers_of_learning_rate_decay():
    backbone = tiny_xvit().backbone
    groups = {name: backbone.layer_index(name) for name, _ in backbone.named_parameters()}
    assert groups["temp_embed"] == 0
    assert groups["blocks.1.norm2.weight"] == 2
    assert groups["consensus.cls_token"] == backbone.num_layers - 1 == 3


def test_cost_of_the_published_model():
    """The reference program counts 281.4 G multiply-adds, layer norms included, and 94.41 M parameters."""
    with torch.device("meta"):
        model = with_head(XViT(PUBLISHED_SPEC, *PUBLISHED), classes=600)
        cost = cost_of(model, torch.empty(1, 3, 16, 224, 224))
    assert cost.macs / 1e9 == pytest.approx(281.13, abs=0.01)
    unused = 600 * 769
    assert cost.params + unused == 94406064
