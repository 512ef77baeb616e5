"""UniFormer against the published models, its fast parts against plain ones."""

from dataclasses import replace

import pytest
import torch
from model_cases import TINY_SPEC, TINY_UNIFORMER, attention, tiny_uniformer, tree, with_head
from torch import nn
from uniformer_cases import load_golden_model

from slowfast_ext.errors import ConfigError
from slowfast_ext.models import build_model
from slowfast_ext.models.attention import Grid
from slowfast_ext.models.backbones import BackboneSpec
from slowfast_ext.models.backbones.uniformer import UniFormer, UniformerOptions, recomputed_blocks
from slowfast_ext.models.backbones.uniformer_blocks import norm_linear
from slowfast_ext.models.build import ModelOptions
from slowfast_ext.models.layers import DropPath


def relative(a, b):
    return ((a - b).abs().max() / b.abs().max()).item()


@pytest.mark.parametrize("name", ["uniformer_joint", "uniformer_split"])
def test_golden_model(golden_dir, name):
    model, tensors = load_golden_model(golden_dir, name)
    clip = tensors["input"].requires_grad_()
    logits = model(clip)
    assert relative(logits, tensors["logits"]) < 1e-4
    (grad,) = torch.autograd.grad((logits * tensors["grad_logits"]).sum(), clip)
    assert relative(grad, tensors["grad_input"]) < 1e-4
    for stage, output in enumerate(model.backbone.stage_outputs(clip), start=1):
        assert relative(output.permute(0, 4, 1, 2, 3), tensors[f"stage{stage}"]) < 1e-4


def test_norm_folded_in_evaluation_equals_norm_then_linear():
    norm, layer = nn.BatchNorm1d(6).double(), nn.Linear(6, 4).double()
    for parameter in (*norm.parameters(), norm.running_mean):
        nn.init.normal_(parameter)
    nn.init.uniform_(norm.running_var, 0.5, 2)
    norm.eval()
    x = torch.randn(10, 6, dtype=torch.double)
    torch.testing.assert_close(norm_linear(norm, layer, x), layer(norm(x)))


@pytest.mark.parametrize("batch", [1, 2])
def test_gradients_in_training_mode_equal_finite_differences(batch):
    """Batch 1 is where BatchNorm3d of some torch versions is wrong on channels-last input."""
    model = tiny_uniformer(depth=(1, 1, 1, 1)).double()
    clip = torch.randn(batch, 3, 4, 32, 32, dtype=torch.double)
    direction = torch.randn_like(clip)

    def loss(step):
        return model(clip + step * direction).sin().sum()

    step = torch.zeros((), dtype=torch.double, requires_grad=True)
    (slope,) = torch.autograd.grad(loss(step), step)
    with torch.no_grad():
        difference = (loss(1e-5) - loss(-1e-5)) / 2e-5
    torch.testing.assert_close(slope, difference, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("size", [(1, 32, 32), (5, 48, 36), (7, 33, 65)])
def test_takes_any_frames_and_sizes(size):
    model = tiny_uniformer().eval()
    assert model(torch.randn(2, 3, *size)).shape == (2, 5)


def test_image_model_equals_video_model_with_central_kernels():
    image = tiny_uniformer(replace(TINY_SPEC, num_frames=1), image=True).eval()
    video = tiny_uniformer().eval()
    state = video.state_dict()
    for name, tensor in image.state_dict().items():
        if state[name].shape == tensor.shape:
            state[name].copy_(tensor)
        else:
            state[name].normal_()
            state[name][:, :, state[name].shape[2] // 2] = tensor[:, :, 0]
    clip = torch.randn(2, 3, 1, 32, 32)
    torch.testing.assert_close(image(clip), video(clip))


def test_recomputed_blocks_give_the_same_gradients():
    saved = tiny_uniformer()
    recomputed = tiny_uniformer(replace(TINY_SPEC, checkpoint_blocks=(1, 1, 2, 1)))
    recomputed.load_state_dict(saved.state_dict())
    clip = torch.randn(2, 3, 4, 32, 32)
    for model in (saved, recomputed):
        model(clip).logsumexp(-1).sum().backward()
    for a, b in zip(saved.parameters(), recomputed.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad)


def test_every_second_block_counts_from_the_first_of_a_stage():
    spec = replace(TINY_SPEC, checkpoint_blocks=(1, 3, 2, 0), checkpoint_every=2)
    recomputed = tiny_uniformer(spec, depth=(1, 3, 2, 1)).backbone.recomputed
    assert [list(of_stage) for of_stage in recomputed] == [[0], [0, 2], [0], []]


def test_tokens_are_mixed_behind_the_first_patch_embedding_alone():
    backbone, seen = tiny_uniformer().backbone.eval(), []
    clip = torch.randn(2, 3, 4, 32, 64)

    def mix(x_BTHWC):
        seen.append(x_BTHWC)
        return x_BTHWC.flip(0)

    mixed = backbone.dense(clip, mix)
    (first,) = seen
    assert first.shape == (2, 2, 8, 16, 8)
    torch.testing.assert_close(first, backbone.patch_embeds[0](clip.permute(0, 2, 3, 4, 1)))
    torch.testing.assert_close(mixed, tuple(x.flip(0) for x in backbone.dense(clip)))
    assert mixed[1].shape == (2, 2, 1, 2, 32)


@pytest.mark.parametrize(("stride", "frames"), [(1, 5), (2, 3)])
def test_attention_is_built_for_the_grid_of_its_stage(stride, frames):
    """Linformer has a column for every token: 5 frames of 64 x 96 px."""
    spec = BackboneSpec(5, (64, 96), attention("joint", kernel="linformer"))
    backbone = tiny_uniformer(spec, temporal_stride=stride).backbone
    columns = [stage[0].block.attn.kernel.key_mix.shape[1] for stage in backbone.stages[2:]]
    assert columns == [frames * 4 * 6, frames * 2 * 3]
    assert backbone(torch.randn(2, 3, 5, 64, 96)).shape == (2, 32)


@pytest.mark.parametrize(
    ("wanted", "expected"), [([0], [0, 0, 0, 0]), ([9], [3, 4, 2, 0]), ([0, 0, 5, 0], [0, 0, 5, 0])]
)
def test_recomputed_blocks_of_each_stage(wanted, expected):
    assert recomputed_blocks(wanted, [3, 4, 8, 3]) == expected


def test_stochastic_depth_rises_through_all_stages():
    model = tiny_uniformer(replace(TINY_SPEC, drop_path=0.5))
    blocks = [block for stage in model.backbone.stages for block in stage]
    rates = [{m.rate for m in b.modules() if isinstance(m, DropPath)} for b in blocks]
    assert all(len(of_block) == 1 for of_block in rates)
    found = [rate for of_block in rates for rate in of_block]
    torch.testing.assert_close(found, torch.linspace(0, 0.5, 6).tolist())


def test_split_starts_as_spatial_attention_alone_and_learns_the_rest():
    model = tiny_uniformer(replace(TINY_SPEC, attention=attention("split")))
    branch = model.backbone.stages[2][0].block.temporal_attn
    tokens = torch.randn(2, 4 * 4, 24)
    assert not branch(tokens, Grid(4, 2, 2)).any()
    model(torch.randn(2, 3, 4, 32, 32)).square().sum().backward()
    assert branch.proj.weight.grad.abs().max() > 1e-8


def test_every_parameter_has_a_layer_index():
    backbone = tiny_uniformer().backbone
    indices = {name: backbone.layer_index(name) for name, _ in backbone.named_parameters()}
    assert indices["patch_embeds.0.proj.weight"] == 0
    assert indices["stages.0.0.pos_embed.weight"] == 1
    assert indices["stages.3.0.pos_embed.weight"] == 6
    assert indices["norm.weight"] == backbone.num_layers - 1 == 7
    assert set(indices.values()) == set(range(8))


def test_layer_scale_is_on_attention_blocks_alone():
    model = tiny_uniformer(layer_scale=0.5)
    scales = {name: p for name, p in model.named_parameters() if name.endswith("gamma")}
    assert len(scales) == 2 * 3
    assert all(name.startswith(("backbone.stages.2", "backbone.stages.3")) for name in scales)
    assert all((scale == 0.5).all() for scale in scales.values())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"UNIFORMER__HEAD_DIM": 7}, "does not divide the width 24"),
        ({"DATA__TRAIN_CROP_SIZE": 30}, "patches are 4 px wide"),
        ({"DATA__TEST_CROP_SIZE": 16}, "no tokens"),
        ({"MODEL__CHECKPOINT_BLOCKS": [1, 2]}, "one value or four"),
        ({"UNIFORMER__DEPTH": []}, "each of the four stages"),
    ],
)
def test_what_cannot_be_built_is_named(changes, message):
    with pytest.raises(ConfigError, match=message):
        build_model(tree(ModelOptions("uniformer"), TINY_UNIFORMER, **changes))


@pytest.mark.parametrize(
    ("cycle", "options", "classes", "parameters"),
    [
        (["joint"], UniformerOptions(), 400, 21_400_400),
        (["joint"], UniformerOptions(depth=(5, 8, 20, 7)), 400, 49_813_200),
        (["split"], UniformerOptions(), 400, 27_847_504),
        (["struct"], UniformerOptions(), 400, 22_285_136),
        (["emim", "joint"], UniformerOptions(), 400, 21_536_612),
        (["joint"], UniformerOptions(image=True), 1000, 21_545_256),
    ],
)
def test_published_parameter_counts(cycle, options, classes, parameters):
    with torch.device("meta"):
        model = with_head(UniFormer(BackboneSpec(attention=attention(*cycle)), options), classes)
    assert sum(p.numel() for p in model.parameters()) == parameters
