"""Checkpoints of version 0.1: what each module was called then, and that nothing is lost on the way."""

from dataclasses import replace

import pytest
import torch
from model_cases import SMALL_VIT, TINY_SPEC, attention, small_model, with_head

from slowfast_ext.errors import CheckpointError
from slowfast_ext.models.attention.fixation import FixationOptions
from slowfast_ext.models.attention.performer import PerformerOptions
from slowfast_ext.models.attention.trajectory import TrajectoryOptions
from slowfast_ext.models.backbones import BACKBONES
from slowfast_ext.models.backbones.uniformer import UniFormer, UniformerOptions
from slowfast_ext.models.backbones.vit import VisionTransformer
from slowfast_ext.models.backbones.xvit import XViT, XvitOptions
from slowfast_ext.models.blocks import attention_names
from slowfast_ext.models.weights import LoadOptions, current_names, fit_weights, load_weights

VIT = replace(SMALL_VIT, depth=1)
UNIFORMER = UniformerOptions(embed_dim=(8, 8, 16, 16), depth=(1, 1, 1, 1), head_dim=8)
COOPERATIVE = FixationOptions(mode="cooperative")


def spec(name, *parts, **options):
    return replace(TINY_SPEC, attention=attention(name, parts=parts, **options))


def vit(name, *parts, classes=5, kernel="softmax", **options):
    backbone = VisionTransformer(spec(name, *parts, kernel=kernel), replace(VIT, **options))
    return with_head(backbone, classes)


def xvit(name, *parts, kernel="softmax", **options):
    own = XvitOptions(consensus_heads=3, consensus_dim=16, **options)
    return with_head(XViT(spec(name, *parts, kernel=kernel), VIT, own))


def uniformer(name, **options):
    return with_head(UniFormer(spec(name), replace(UNIFORMER, **options)))


EMBEDDING = """
    backbone.embed.cls_token               backbone.cls_token
    backbone.embed.pos_embed               backbone.pos_embed
    backbone.embed.tubelets                backbone.patch_embed.proj
    backbone.norm                          backbone.norm
"""
TIME = "backbone.embed.time_embed backbone.temp_embed"
MLP = """
    backbone.blocks.0.mlp.norm             backbone.blocks.0.norm2
    backbone.blocks.0.mlp.layer.fc1        backbone.blocks.0.mlp.fc1
    backbone.blocks.0.mlp.layer.fc2        backbone.blocks.0.mlp.fc2
"""
ONE_ATTENTION = """
    backbone.blocks.0.attn.norm            backbone.blocks.0.norm1
    backbone.blocks.0.attn.layer.qkv       backbone.blocks.0.attn.qkv
    backbone.blocks.0.attn.layer.proj      backbone.blocks.0.attn.proj
"""
TWO_ATTENTIONS = """
    backbone.blocks.0.attn.time_norm       backbone.blocks.0.temporal_norm1
    backbone.blocks.0.attn.time.qkv        backbone.blocks.0.temporal_attn.qkv
    backbone.blocks.0.attn.time.proj       backbone.blocks.0.temporal_attn.proj
    backbone.blocks.0.attn.space_norm      backbone.blocks.0.norm1
    backbone.blocks.0.attn.space.qkv       backbone.blocks.0.attn.qkv
    backbone.blocks.0.attn.space.proj      backbone.blocks.0.attn.proj
"""
HEAD = "head.classifiers.0 head"
CONVOLUTIONS = """
    backbone.embeds.0.proj                 backbone.patch_embeds.0.proj
    backbone.embeds.0.norm                 backbone.patch_embeds.0.norm
    backbone.embeds.1.proj                 backbone.patch_embeds.1.proj
    backbone.embeds.1.norm                 backbone.patch_embeds.1.norm
    backbone.embeds.2.proj                 backbone.patch_embeds.2.proj
    backbone.embeds.2.norm                 backbone.patch_embeds.2.norm
    backbone.embeds.3.proj                 backbone.patch_embeds.3.proj
    backbone.embeds.3.norm                 backbone.patch_embeds.3.norm
    backbone.stages.0.0.pos                backbone.stages.0.0.pos_embed
    backbone.stages.0.0.norm1              backbone.stages.0.0.norm1
    backbone.stages.0.0.conv1              backbone.stages.0.0.conv1
    backbone.stages.0.0.mix                backbone.stages.0.0.attn
    backbone.stages.0.0.conv2              backbone.stages.0.0.conv2
    backbone.stages.0.0.norm2              backbone.stages.0.0.norm2
    backbone.stages.0.0.fc1                backbone.stages.0.0.mlp.fc1
    backbone.stages.0.0.fc2                backbone.stages.0.0.mlp.fc2
    backbone.stages.1.0.pos                backbone.stages.1.0.pos_embed
    backbone.stages.1.0.norm1              backbone.stages.1.0.norm1
    backbone.stages.1.0.conv1              backbone.stages.1.0.conv1
    backbone.stages.1.0.mix                backbone.stages.1.0.attn
    backbone.stages.1.0.conv2              backbone.stages.1.0.conv2
    backbone.stages.1.0.norm2              backbone.stages.1.0.norm2
    backbone.stages.1.0.fc1                backbone.stages.1.0.mlp.fc1
    backbone.stages.1.0.fc2                backbone.stages.1.0.mlp.fc2
    backbone.stages.2.0.pos                backbone.stages.2.0.pos_embed
    backbone.stages.3.0.pos                backbone.stages.3.0.pos_embed
    backbone.norm                          backbone.norm
"""


def in_stages(table):
    """Rows of a ViT's block as those of the last two stages of UniFormer."""
    stages = [table.replace("backbone.blocks.0", f"backbone.stages.{i}.0.block") for i in (2, 3)]
    return "".join(stages)


BLOCK = ONE_ATTENTION + MLP
FAMILIES = {
    "vit, joint, linformer": (
        lambda: vit("joint", kernel="linformer"),
        EMBEDDING + TIME + BLOCK + HEAD,
        """
        backbone.blocks.0.attn.layer.kernel.key_mix    backbone.blocks.0.attn.kernel.key_mix
        backbone.blocks.0.attn.layer.kernel.value_mix  backbone.blocks.0.attn.kernel.value_mix
        """,
    ),
    "vit, trajectory, two heads": (
        lambda: vit(
            "trajectory", TrajectoryOptions(values="projected"), classes=(5, 3), pre_logits="tanh"
        ),
        EMBEDDING + TIME + BLOCK,
        """
        backbone.blocks.0.attn.layer.proj_q    backbone.blocks.0.attn.proj_q
        backbone.blocks.0.attn.layer.proj_k    backbone.blocks.0.attn.proj_k
        backbone.blocks.0.attn.layer.proj_v    backbone.blocks.0.attn.proj_v
        backbone.pre_logits.0                  backbone.pre_logits.0
        head.classifiers.0                     head.verb
        head.classifiers.1                     head.noun
        """,
    ),
    "vit, divided, joint positions, performer": (
        lambda: vit("divided", PerformerOptions(features=8), kernel="performer", pos_embed="joint"),
        EMBEDDING + TWO_ATTENTIONS + MLP + HEAD,
        """
        backbone.blocks.0.attn.time.kernel     backbone.blocks.0.temporal_attn.kernel
        backbone.blocks.0.attn.space.kernel    backbone.blocks.0.attn.kernel
        """,
    ),
    "xvit, factorized, cooperative fixation": (
        lambda: xvit("factorized", COOPERATIVE, kernel="relu", consensus="avg"),
        EMBEDDING + TIME + TWO_ATTENTIONS + MLP + HEAD,
        """
        backbone.blocks.0.attn.time.fixation   backbone.blocks.0.temporal_attn.fixation
        backbone.blocks.0.attn.space.fixation  backbone.blocks.0.attn.fixation
        """,
    ),
    "xvit, mixing, separate fixation, consensus": (
        lambda: xvit("mixing", FixationOptions(mode="separate")),
        EMBEDDING + TIME + BLOCK + BLOCK.replace("backbone.", "backbone.consensus.") + HEAD,
        """
        backbone.blocks.0.attn.layer.fixation.phi_q  backbone.blocks.0.attn.fixation.phi_q
        backbone.blocks.0.attn.layer.fixation.phi_k  backbone.blocks.0.attn.fixation.phi_k
        backbone.consensus.cls_token           backbone.consensus.cls_token
        backbone.consensus.norm                backbone.consensus.norm
        backbone.consensus.fc                  backbone.consensus.fc
        """,
    ),
    "uniformer, joint, layer scale": (
        lambda: uniformer("joint", layer_scale=0.1),
        CONVOLUTIONS + in_stages(BLOCK) + HEAD,
        in_stages(
            """
            backbone.blocks.0.attn.scale           backbone.blocks.0.ls1
            backbone.blocks.0.mlp.scale            backbone.blocks.0.ls2
            """
        ),
    ),
    "uniformer, split": (
        lambda: uniformer("split"),
        CONVOLUTIONS + in_stages(TWO_ATTENTIONS + MLP) + HEAD,
        "",
    ),
    "uniformer, emim": (
        lambda: uniformer("emim"),
        CONVOLUTIONS + in_stages(BLOCK) + HEAD,
        in_stages(
            """
            backbone.blocks.0.attn.layer.position_bias  backbone.blocks.0.attn.position_bias
            backbone.blocks.0.attn.layer.motion         backbone.blocks.0.attn.motion
            """
        ),
    ),
    "uniformer, struct": (
        lambda: uniformer("struct"),
        CONVOLUTIONS + in_stages(BLOCK) + HEAD,
        in_stages(
            """
            backbone.blocks.0.attn.layer.keys      backbone.blocks.0.attn.keys
            backbone.blocks.0.attn.layer.values    backbone.blocks.0.attn.values
            """
        ),
    ),
}


def old_names(state, *tables):
    """The state under the names that its modules and tensors had; each row of the tables is needed."""
    words = [table.split() for table in tables]
    today = {new: old for row in words for old, new in zip(row[::2], row[1::2], strict=True)}
    used, result = set(), {}
    for key, tensor in state.items():
        parts = key.split(".")
        prefixes = (".".join(parts[:end]) for end in range(len(parts), 0, -1))
        found = next(prefix for prefix in prefixes if prefix in today)
        used.add(found)
        result[today[found] + key.removeprefix(found)] = tensor
    assert used == today.keys()
    assert len(result) == len(state)
    return result


@pytest.mark.parametrize("family", FAMILIES)
def test_every_tensor_has_its_name_of_today(family):
    build, *tables = FAMILIES[family]
    ours = build().state_dict()
    old = old_names(ours, *tables)
    found = current_names(old)
    assert found.keys() == ours.keys()
    assert all(torch.equal(found[key], ours[key]) for key in ours)


@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: {"model_state": x, "epoch": 3}])
@pytest.mark.parametrize("source", ["auto", "ours", "motionformer"])
@pytest.mark.parametrize("family", FAMILIES)
def test_an_old_checkpoint_fills_the_model(family, source, wrap):
    """Our names are known, whatever source the configuration names."""
    build, *tables = FAMILIES[family]
    trained, fresh = build().eval(), build().eval()
    old = old_names(trained.state_dict(), *tables)
    report = load_weights(fresh, wrap(old), LoadOptions(source=source))
    assert report.source == "ours"
    assert not report.differences()
    assert set(report.loaded) == fresh.state_dict().keys()
    clip = torch.randn(1, 3, 4, 32, 32)
    torch.testing.assert_close(fresh(clip), trained(clip), rtol=0, atol=0)


def test_prefixes_of_wrapping_modules_are_dropped():
    build, *tables = FAMILIES["vit, trajectory, two heads"]
    old = old_names(build().state_dict(), *tables)
    wrapped = {"model_state": {f"module.{key}": tensor for key, tensor in old.items()}}
    assert not load_weights(build(), wrapped).differences()


@pytest.mark.parametrize("name", attention_names())
@pytest.mark.parametrize("backbone", BACKBONES.names())
def test_names_of_today_stay(backbone, name):
    parts = (FixationOptions(mode="separate"),)
    state = small_model(backbone, attention(name, parts=parts, kernel="performer")).state_dict()
    assert list(current_names(state)) == list(state)


def test_heads_of_another_task_start_anew():
    """They count as other classes, in both directions; what the model needs is new."""
    build, *tables = FAMILIES["vit, trajectory, two heads"]
    two, one = build(), vit("trajectory", TrajectoryOptions(values="projected"), pre_logits="tanh")
    old = old_names(two.state_dict(), *tables)
    with pytest.raises(CheckpointError, match=r"(?s)head: head\.verb\.weight.*new: head\.weight"):
        load_weights(one, old)
    options = LoadOptions(changed=("head", "new"))
    _, report = fit_weights(old, one, options)
    parts = [f"head.{part}" for part in ("verb.weight", "verb.bias", "noun.weight", "noun.bias")]
    assert (report.head, report.new) == (parts, ["head.weight", "head.bias"])
    _, report = fit_weights(one.state_dict(), two, options)
    assert (report.head, report.new) == (["head.weight", "head.bias"], parts)
    assert not report.unused
