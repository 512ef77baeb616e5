"""The plain vision transformer: any grid, any pooling, image mode, what cannot be built."""

from dataclasses import replace

import pytest
import torch
from model_cases import TINY_SPEC, TINY_VIT, attention, tiny_vit, tree

from slowfast_ext.errors import ConfigError
from slowfast_ext.models import build_model
from slowfast_ext.models.attention import Grid
from slowfast_ext.models.backbones.vit import VisionTransformer
from slowfast_ext.models.backbones.xvit import XViT


@pytest.mark.parametrize("cycle", [["joint"], ["divided"], ["divided", "joint"]])
@pytest.mark.parametrize("pool", ["cls", "mean"])
@pytest.mark.parametrize("positions", ["separate", "joint"])
def test_any_grid_and_every_parameter_learns(cycle, pool, positions):
    spec = replace(TINY_SPEC, attention=attention(*cycle))
    model = tiny_vit(spec, (5, 3), pool=pool, pos_embed=positions, pre_logits="tanh")
    for size in [(4, 32, 32), (2, 32, 32), (6, 40, 24)]:
        logits = model(torch.randn(2, 3, *size))
        assert [x.shape for x in logits] == [(2, 5), (2, 3)]
    sum(x.square().sum() for x in logits).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_image_mode_is_one_frame():
    model = tiny_vit(replace(TINY_SPEC, num_frames=1), patch_size=(1, 8, 8))
    assert model(torch.randn(2, 3, 1, 32, 32)).shape == (2, 5)


def test_positions_are_resized_in_space_and_time():
    for joint in (False, True):
        backbone = tiny_vit(pos_embed="joint" if joint else "separate").backbone
        assert backbone.table == Grid(2, 4, 4, prefix=1)
        torch.nn.init.constant_(backbone.pos_embed, 0.5)
        if not joint:
            torch.nn.init.constant_(backbone.temp_embed, 0.25)
        resized = backbone.positions(Grid(3, 5, 2, prefix=1))
        assert resized.shape == (1, 31, 24)
        expected = torch.full((30, 24), 0.5 if joint else 0.75)
        torch.testing.assert_close(resized[0, 1:], expected)
        torch.testing.assert_close(resized[0, 0], torch.full((24,), 0.5))


def test_joint_table_equals_separate_tables_summed():
    table, odd = Grid(2, 4, 4, prefix=1), Grid(3, 6, 5, prefix=1)
    separate = tiny_vit().backbone
    torch.nn.init.normal_(separate.temp_embed)
    joint = tiny_vit(pos_embed="joint").backbone
    joint.pos_embed.data = separate.positions(table).detach()
    torch.testing.assert_close(joint.positions(odd), separate.positions(odd))


@pytest.mark.parametrize("changes", [{"img_size": (32, 48)}, {"pos_crop_size": (32, 48)}])
@pytest.mark.parametrize("build", [VisionTransformer, XViT])
def test_tables_that_are_no_squares_are_rows_of_columns(build, changes):
    """Columns stay where rows are resized, and rows where columns are."""
    spec = replace(TINY_SPEC, img_size=changes.get("img_size", 32))
    vit = replace(TINY_VIT, pos_crop_size=changes.get("pos_crop_size", 0))
    backbone = build(spec, vit)
    assert (backbone.table.h, backbone.table.w) == (4, 6)
    assert backbone.pos_embed.shape == (1, 1 + 24, 24)
    row, column = torch.meshgrid(torch.arange(4.0), torch.arange(6.0), indexing="ij")
    for values, grid, expected in (
        (row, backbone.token_grid(2, 4, 9), torch.arange(4.0)[:, None].expand(4, 9)),
        (column, backbone.token_grid(2, 7, 6), torch.arange(6.0).expand(7, 6)),
    ):
        backbone.pos_embed.data[0, 1:] = values.flatten()[:, None]
        found = backbone.positions(grid)[0, grid.prefix :, 0].unflatten(0, (2, grid.h, grid.w))
        torch.testing.assert_close(found, expected.expand(2, -1, -1), rtol=0, atol=1e-5)


def test_a_joint_table_that_is_no_square():
    backbone = tiny_vit(replace(TINY_SPEC, img_size=(32, 48)), pos_embed="joint").backbone
    assert backbone.pos_embed.shape == (1, 1 + 2 * 4 * 6, 24)
    assert backbone.temp_embed is None
    assert backbone.positions(Grid(3, 6, 4, prefix=1)).shape == (1, 1 + 3 * 6 * 4, 24)


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
        build_model(tree(TINY_VIT, **options))


def test_indivisible_clip_is_an_error():
    with pytest.raises(ConfigError, match="4x30x32"):
        tiny_vit()(torch.randn(1, 3, 4, 30, 32))


def test_recomputed_blocks_give_the_same_gradients():
    clip, gradients = torch.randn(2, 3, 4, 32, 32), []
    for count in (0, 2):
        torch.manual_seed(0)
        model = tiny_vit(replace(TINY_SPEC, checkpoint_blocks=(count,)))
        model(clip).square().sum().backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    torch.testing.assert_close(*gradients)


def test_every_second_block_counts_from_the_first():
    spec = replace(TINY_SPEC, checkpoint_blocks=(4,), checkpoint_every=2)
    assert list(tiny_vit(spec, depth=5).backbone.recomputed) == [0, 2]


@pytest.mark.parametrize("pool", ["cls", "mean"])
def test_tokens_are_mixed_as_frames_of_rows_of_columns(pool):
    """The first tokens, channels last; what is put in their place is what the blocks read."""
    backbone, seen = tiny_vit(pool=pool).backbone.eval(), []
    clip = torch.randn(2, 3, 4, 32, 48)

    def mix(x_BTHWC):
        seen.append(x_BTHWC)
        return x_BTHWC.flip(0)

    feature, tokens = backbone.dense(clip, mix)
    torch.testing.assert_close(seen[0], backbone.patch_embed(clip).permute(0, 2, 3, 4, 1))
    assert seen[0].shape == tokens.shape == (2, 2, 4, 6, 24)
    torch.testing.assert_close([feature, tokens], [x.flip(0) for x in backbone.dense(clip)])
    torch.testing.assert_close(feature, backbone(clip).flip(0))


def test_layer_groups_cover_the_depth():
    backbone = tiny_vit(pre_logits="gelu").backbone
    groups = [backbone.layer_index(name) for name, _ in backbone.named_parameters()]
    assert groups == sorted(groups)
    assert set(groups) == set(range(backbone.num_layers))


def test_learns_from_scratch():
    """A dozen clips, two classes told apart by which half of the frame is bright."""
    torch.manual_seed(0)
    model = tiny_vit(classes=2)
    label_B = torch.arange(12) % 2
    clip = 0.3 * torch.randn(12, 3, 4, 32, 32)
    clip[label_B == 0, ..., :16] += 1
    clip[label_B == 1, ..., 16:] += 1
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(30):
        loss = torch.nn.functional.cross_entropy(model(clip), label_B)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.05
