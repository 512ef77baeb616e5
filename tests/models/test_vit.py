"""The plain vision transformer: any grid, any pooling, image mode, what cannot be built."""

import pytest
import torch
from vit_cases import tiny_cfg

from slowfast_ext.errors import ConfigError
from slowfast_ext.models import build_model
from slowfast_ext.models.attention import Grid
from slowfast_ext.models.backbones.vit_embed import Embedding


@pytest.mark.parametrize("cycle", [["joint"], ["divided"], ["divided", "joint"]])
@pytest.mark.parametrize("pool", ["cls", "mean"])
@pytest.mark.parametrize("positions", ["separate", "joint"])
def test_any_grid_and_every_parameter_learns(cycle, pool, positions):
    cfg = tiny_cfg(ATTENTION__CYCLE=cycle, VIT__POOL=pool, VIT__POS_EMBED=positions)
    cfg.MODEL.NUM_CLASSES, cfg.VIT.PRE_LOGITS = [5, 3], "tanh"
    model = build_model(cfg)
    for size in [(4, 32, 32), (2, 32, 32), (6, 40, 24)]:
        logits = model(torch.randn(2, 3, *size))
        assert [x.shape for x in logits] == [(2, 5), (2, 3)]
    sum(x.square().sum() for x in logits).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_image_mode_is_one_frame():
    model = build_model(tiny_cfg(VIT__PATCH_SIZE=[1, 8, 8], DATA__NUM_FRAMES=1))
    assert model(torch.randn(2, 3, 1, 32, 32))[0].shape == (2, 5)


def test_positions_are_resized_in_space_and_time():
    table = Grid(2, 4, 4, prefix=1)
    for joint in (False, True):
        embed = Embedding((2, 8, 8), 6, table, joint=joint, dropout=0.0)
        torch.nn.init.constant_(embed.pos_embed, 0.5)
        if not joint:
            torch.nn.init.constant_(embed.time_embed, 0.25)
        resized = embed.positions(Grid(3, 5, 2, prefix=1))
        assert resized.shape == (1, 31, 6)
        expected = torch.full((30, 6), 0.5 if joint else 0.75)
        torch.testing.assert_close(resized[0, 1:], expected)
        torch.testing.assert_close(resized[0, 0], torch.full((6,), 0.5))


def test_joint_table_equals_separate_tables_summed():
    table, odd = Grid(2, 4, 4, prefix=1), Grid(3, 6, 5, prefix=1)
    separate = Embedding((2, 8, 8), 6, table, joint=False, dropout=0.0)
    torch.nn.init.normal_(separate.time_embed)
    joint = Embedding((2, 8, 8), 6, table, joint=True, dropout=0.0)
    joint.pos_embed.data = separate.positions(table).detach()
    torch.testing.assert_close(joint.positions(odd), separate.positions(odd))


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"DATA__NUM_FRAMES": 5}, "DATA.NUM_FRAMES"),
        ({"DATA__TRAIN_CROP_SIZE": 30}, "DATA.TRAIN_CROP_SIZE"),
        ({"DATA__TEST_CROP_SIZE": 30}, "DATA.TEST_CROP_SIZE"),
        ({"VIT__POS_CROP_SIZE": 30}, "VIT.POS_CROP_SIZE"),
        ({"VIT__NUM_HEADS": 5}, "VIT.EMBED_DIM"),
        ({"MODEL__CHECKPOINT_BLOCKS": [3]}, "MODEL.CHECKPOINT_BLOCKS"),
        ({"MODEL__CHECKPOINT_BLOCKS": [1, 1]}, "MODEL.CHECKPOINT_BLOCKS"),
    ],
)
def test_what_cannot_be_built_is_said(options, key):
    with pytest.raises(ConfigError, match=key):
        build_model(tiny_cfg(**options))


def test_indivisible_clip_is_an_error():
    with pytest.raises(ConfigError, match="4x30x32"):
        build_model(tiny_cfg())(torch.randn(1, 3, 4, 30, 32))


def test_recomputed_blocks_give_the_same_gradients():
    clip, gradients = torch.randn(2, 3, 4, 32, 32), []
    for count in (0, 2):
        torch.manual_seed(0)
        model = build_model(tiny_cfg(MODEL__CHECKPOINT_BLOCKS=[count]))
        model(clip)[0].square().sum().backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    torch.testing.assert_close(*gradients)


def test_layer_groups_cover_the_depth():
    backbone = build_model(tiny_cfg(VIT__PRE_LOGITS="gelu")).backbone
    groups = [backbone.layer_index(name) for name, _ in backbone.named_parameters()]
    assert groups == sorted(groups)
    assert set(groups) == set(range(backbone.num_layers))


def test_learns_from_scratch():
    """A dozen clips, two classes told apart by which half of the frame is bright."""
    torch.manual_seed(0)
    model = build_model(tiny_cfg(MODEL__NUM_CLASSES=2))
    label_B = torch.arange(12) % 2
    clip = 0.3 * torch.randn(12, 3, 4, 32, 32)
    clip[label_B == 0, ..., :16] += 1
    clip[label_B == 1, ..., 16:] += 1
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(30):
        loss = torch.nn.functional.cross_entropy(model(clip)[0], label_B)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.05
