"""UniFormer against the published models, its fast parts against plain ones."""

import pytest
import torch
from golden_uniformer import case_config, load_case
from torch import nn

from slowfast_ext.config import get_cfg
from slowfast_ext.errors import ConfigError
from slowfast_ext.models import build_model
from slowfast_ext.models.attention import Grid
from slowfast_ext.models.backbones.uniformer import recomputed_blocks
from slowfast_ext.models.backbones.uniformer_blocks import norm_linear


def tiny_config(**changes):
    """A model of one block or two a stage on 32-pixel frames."""
    cfg = get_cfg()
    cfg.MODEL.BACKBONE, cfg.MODEL.NUM_CLASSES = "uniformer", 5
    cfg.DATA.NUM_FRAMES = 4
    cfg.DATA.TRAIN_CROP_SIZE = cfg.DATA.TEST_CROP_SIZE = 32
    cfg.UNIFORMER.EMBED_DIM, cfg.UNIFORMER.DEPTH = [8, 16, 24, 32], [1, 2, 2, 1]
    cfg.UNIFORMER.HEAD_DIM = 8
    for dotted, value in changes.items():
        section, key = dotted.split("__")
        cfg[section][key] = value
    return cfg


def relative(a, b):
    return ((a - b).abs().max() / b.abs().max()).item()


@pytest.mark.parametrize("name", ["uniformer_joint", "uniformer_split"])
def test_golden_model(golden_dir, name):
    model, tensors = load_case(golden_dir, name, case_config(golden_dir, name))
    clip = tensors["input"].requires_grad_()
    (logits,) = model(clip)
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
    model = build_model(tiny_config(UNIFORMER__DEPTH=[1, 1, 1, 1])).double()
    clip = torch.randn(batch, 3, 4, 32, 32, dtype=torch.double)
    direction = torch.randn_like(clip)

    def loss(step):
        return model(clip + step * direction)[0].sin().sum()

    step = torch.zeros((), dtype=torch.double, requires_grad=True)
    (slope,) = torch.autograd.grad(loss(step), step)
    with torch.no_grad():
        difference = (loss(1e-5) - loss(-1e-5)) / 2e-5
    torch.testing.assert_close(slope, difference, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("size", [(1, 32, 32), (5, 48, 36), (7, 33, 65)])
def test_takes_any_frames_and_sizes(size):
    model = build_model(tiny_config()).eval()
    assert model(torch.randn(2, 3, *size))[0].shape == (2, 5)


def test_image_model_equals_video_model_with_central_kernels():
    image = build_model(tiny_config(UNIFORMER__IMAGE=True, DATA__NUM_FRAMES=1)).eval()
    video = build_model(tiny_config()).eval()
    state = video.state_dict()
    for name, tensor in image.state_dict().items():
        if state[name].shape == tensor.shape:
            state[name].copy_(tensor)
        else:
            state[name].normal_()
            state[name][:, :, state[name].shape[2] // 2] = tensor[:, :, 0]
    clip = torch.randn(2, 3, 1, 32, 32)
    torch.testing.assert_close(image(clip)[0], video(clip)[0])


def test_recomputed_blocks_give_the_same_gradients():
    kept = build_model(tiny_config())
    recomputed = build_model(tiny_config(MODEL__CHECKPOINT_BLOCKS=[1, 1, 2, 1]))
    recomputed.load_state_dict(kept.state_dict())
    clip = torch.randn(2, 3, 4, 32, 32)
    for model in (kept, recomputed):
        model(clip)[0].logsumexp(-1).sum().backward()
    for a, b in zip(kept.parameters(), recomputed.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad)


@pytest.mark.parametrize(
    ("wanted", "expected"), [([0], [0, 0, 0, 0]), ([9], [3, 4, 2, 0]), ([0, 0, 5, 0], [0, 0, 5, 0])]
)
def test_recomputed_blocks_of_each_stage(wanted, expected):
    assert recomputed_blocks(wanted, [3, 4, 8, 3]) == expected


def test_stochastic_depth_rises_through_all_stages():
    model = build_model(tiny_config(MODEL__DROP_PATH=0.5))
    blocks = [block for stage in model.backbone.stages for block in stage]
    rates = [getattr(m, "p", 0.0) for b in blocks for n, m in b.named_modules() if n == "drop_path"]
    rates += [b.block.mlp.drop_path.p for b in blocks if hasattr(b, "block")]
    torch.testing.assert_close(rates, torch.linspace(0, 0.5, 6).tolist())


def test_split_starts_as_spatial_attention_alone_and_learns_the_rest():
    cfg = tiny_config()
    cfg.ATTENTION.CYCLE = ["split"]
    model = build_model(cfg)
    branch = model.backbone.stages[2][0].block.attn.time
    tokens = torch.randn(2, 4 * 4, 24)
    assert not branch(tokens, Grid(4, 2, 2)).any()
    model(torch.randn(2, 3, 4, 32, 32))[0].square().sum().backward()
    assert branch.proj.weight.grad.abs().max() > 1e-8


def test_every_parameter_has_a_layer_index():
    backbone = build_model(tiny_config()).backbone
    indices = {name: backbone.layer_index(name) for name, _ in backbone.named_parameters()}
    assert indices["embeds.0.proj.weight"] == 0
    assert indices["stages.0.0.pos.weight"] == 1
    assert indices["stages.3.0.pos.weight"] == 6
    assert indices["norm.weight"] == backbone.num_layers - 1 == 7
    assert set(indices.values()) == set(range(8))


def test_layer_scale_is_on_attention_blocks_alone():
    model = build_model(tiny_config(UNIFORMER__LAYER_SCALE=0.5))
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
        (
            {"UNIFORMER__LAYER_SCALE": 1.0, "ATTENTION__CYCLE": ["split"]},
            "does not reach into 'split'",
        ),
    ],
)
def test_what_cannot_be_built_is_named(changes, message):
    with pytest.raises(ConfigError, match=message):
        build_model(tiny_config(**changes))


@pytest.mark.parametrize(
    ("changes", "parameters"),
    [
        ({}, 21_400_400),
        ({"UNIFORMER__DEPTH": [5, 8, 20, 7]}, 49_813_200),
        ({"ATTENTION__CYCLE": ["split"]}, 27_847_504),
        ({"ATTENTION__CYCLE": ["struct"]}, 22_285_136),
        ({"ATTENTION__CYCLE": ["emim", "joint"]}, 21_536_612),
        ({"UNIFORMER__IMAGE": True, "MODEL__NUM_CLASSES": 1000}, 21_545_256),
    ],
)
def test_published_parameter_counts(changes, parameters):
    cfg = get_cfg()
    cfg.MODEL.BACKBONE = "uniformer"
    for dotted, value in changes.items():
        section, key = dotted.split("__")
        cfg[section][key] = value
    with torch.device("meta"):
        model = build_model(cfg)
    assert sum(p.numel() for p in model.parameters()) == parameters
