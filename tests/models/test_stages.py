"""Options with a value for each stage of UniFormer: windows of EMIM, kernels and strides of StructSA, the cycle."""

from dataclasses import replace

import pytest
import torch
from model_cases import (
    TINY_SPEC,
    TINY_UNIFORMER,
    TINY_VIT,
    attention,
    tiny_uniformer,
    tiny_vit,
    tree,
)

from slowfast_ext.config import load_config
from slowfast_ext.errors import ConfigError
from slowfast_ext.models import build_model, check_model
from slowfast_ext.models.attention import AttentionOptions
from slowfast_ext.models.attention.emim import Emim, EmimOptions
from slowfast_ext.models.attention.joint import Joint
from slowfast_ext.models.attention.structsa import Struct, StructsaOptions
from slowfast_ext.models.blocks.divided import Split
from slowfast_ext.models.build import ModelOptions
from slowfast_ext.options import OptionError


def layers(model, stage):
    """The attention layers of a stage, counted as in the paper."""
    return [block.block.attn for block in model.backbone.stages[stage - 1]]


def with_attention(options):
    return tiny_uniformer(replace(TINY_SPEC, attention=options))


def assert_trains(model):
    model(torch.randn(2, 3, 4, 64, 64)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_windows_of_emim():
    model = with_attention(attention("emim", parts=(EmimOptions(window=((5, 5), (3, 3))),)))
    third, fourth = layers(model, 3), layers(model, 4)
    assert [layer.position_bias.shape for layer in third] == [(3, 5, 5)] * 2
    assert [layer.position_bias.shape for layer in fourth] == [(4, 3, 3)]
    assert [layer.motion[0].in_features for layer in (*third, *fourth)] == [25, 25, 9]
    assert_trains(model)


def test_kernels_and_strides_of_structsa():
    options = StructsaOptions(kernel=((3, 5, 5), (1, 3, 3)), stride=(2, 1))
    model = with_attention(attention("struct", parts=(options,)))
    for stage, kernel, stride in ((3, (3, 5, 5), (1, 2, 2)), (4, (1, 3, 3), (1, 1, 1))):
        for layer in layers(model, stage):
            assert tuple(layer.keys.weight.shape[2:]) == kernel
            assert tuple(layer.values.weight.shape[2:]) == kernel
            assert layer.keys.stride == layer.values.stride == stride
    assert_trains(model)


def test_one_option_for_all_stages_and_one_for_each():
    model = with_attention(attention("struct", parts=(StructsaOptions(stride=(2, 1)),)))
    kernels = {layer.keys.weight.shape[2:] for stage in (3, 4) for layer in layers(model, stage)}
    assert kernels == {(3, 3, 3)}


def test_a_cycle_for_each_stage():
    parts = (EmimOptions(window=((5, 5), (3, 3))),)
    model = with_attention(AttentionOptions(cycle=(("emim", "joint"), ("split",)), parts=parts))
    assert [type(layer) for layer in layers(model, 3)] == [Emim, Joint]
    assert [type(block.block) for block in model.backbone.stages[3]] == [Split]
    assert_trains(model)


def test_one_cycle_starts_anew_in_every_stage():
    model = with_attention(attention("struct", "joint"))
    assert [type(layer) for layer in layers(model, 3)] == [Struct, Joint]
    assert [type(layer) for layer in layers(model, 4)] == [Struct]


def test_values_of_each_stage_in_a_configuration():
    pairs = {
        "MODEL.BACKBONE": "uniformer",
        "UNIFORMER.EMBED_DIM": "[8, 16, 24, 32]",
        "UNIFORMER.DEPTH": "[1, 2, 2, 1]",
        "UNIFORMER.HEAD_DIM": "8",
        "ATTENTION.CYCLE": "[[emim], [emim, joint]]",
        "ATTENTION.EMIM.WINDOW": "[[5, 5], [3, 3]]",
    }
    model = build_model(load_config([], [part for pair in pairs.items() for part in pair]))
    assert [layer.position_bias.shape[1:] for layer in layers(model, 3)] == [(5, 5)] * 2
    assert [layer.position_bias.shape[1:] for layer in layers(model, 4)] == [(3, 3)]


THREE = {
    "ATTENTION.EMIM.WINDOW": ("emim", EmimOptions(window=((5, 5), (3, 3), (3, 3)))),
    "ATTENTION.STRUCTSA.KERNEL": ("struct", StructsaOptions(kernel=((3, 3, 3),))),
    "ATTENTION.STRUCTSA.STRIDE": ("struct", StructsaOptions(stride=(1, 2, 1))),
}


@pytest.mark.parametrize("key", THREE)
def test_another_number_of_stages_is_a_mistake(key):
    """Of UniFormer's two stages with attention, and of the one stage of a ViT."""
    name, part = THREE[key]
    with pytest.raises(OptionError, match="here 2") as caught:
        with_attention(attention(name, parts=(part,)))
    assert caught.value.key == key
    cfg = tree(ModelOptions("uniformer"), TINY_UNIFORMER, attention(name), part)
    assert [problem.key for problem in check_model(cfg)] == [key]
    with pytest.raises(ConfigError, match=key):
        build_model(cfg)


@pytest.mark.parametrize("cycle", [(("joint",),), (("joint",), ("split",), ("joint",))])
def test_a_cycle_for_another_number_of_stages_is_a_mistake(cycle):
    options = AttentionOptions(cycle=cycle)
    with pytest.raises(OptionError) as caught:
        with_attention(options)
    assert caught.value.key == "ATTENTION.CYCLE"
    cfg = tree(ModelOptions("uniformer"), TINY_UNIFORMER, options)
    assert [problem.key for problem in check_model(cfg)] == ["ATTENTION.CYCLE"]


def test_a_vit_is_one_stage():
    options = attention("emim", parts=(EmimOptions(window=((5, 5), (3, 3))),))
    with pytest.raises(OptionError, match="here 1") as caught:
        tiny_vit(replace(TINY_SPEC, attention=options))
    assert caught.value.key == "ATTENTION.EMIM.WINDOW"
    cfg = tree(TINY_VIT, options, *options.parts)
    assert [problem.key for problem in check_model(cfg)] == ["ATTENTION.EMIM.WINDOW"]
    one = replace(options, parts=(EmimOptions(window=((5, 3),)),))
    model = tiny_vit(replace(TINY_SPEC, attention=one))
    assert model.backbone.blocks[0].attn.position_bias.shape == (3, 5, 3)
