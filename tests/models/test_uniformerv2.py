"""UniFormerV2: the fast forms beside the reference, what it starts as, clips of other sizes, published costs."""

from dataclasses import replace

import pytest
import torch
from model_cases import attention, tree, with_head

from slowfast_ext.analysis.cost import cost_of
from slowfast_ext.analysis.maps import attention_map, record
from slowfast_ext.errors import ConfigError
from slowfast_ext.models import build_model
from slowfast_ext.models.activations import QuickGELU
from slowfast_ext.models.attention import AttentionOptions
from slowfast_ext.models.attention.frames import by_frame, prefix_first
from slowfast_ext.models.attention.grid import Grid
from slowfast_ext.models.backbones import BackboneSpec
from slowfast_ext.models.backbones.uniformerv2 import UniFormerV2, UniformerV2Options
from slowfast_ext.models.backbones.uniformerv2_blocks import GlobalBlock
from slowfast_ext.models.build import ModelOptions
from slowfast_ext.models.layers import DropPath

OPTIONS = UniformerV2Options(
    patch_size=8, embed_dim=24, depth=3, num_heads=3, global_layers=(1, 2), global_heads=2
)
SPACE = attention("space")
SPEC = BackboneSpec(num_frames=4, img_size=32, attention=SPACE)
SSV2 = {"local_attention": "double", "temporal_stride": 2}


def tiny(spec=SPEC, **options):
    """A model whose zeros at the start are random numbers instead."""
    torch.manual_seed(0)
    model = with_head(UniFormerV2(spec, replace(OPTIONS, **options)))
    for parameter in model.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.2)
    return model.eval()


def clip(*size):
    return torch.randn(2, 3, *(size or (4, 32, 32)), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("options", [{}, SSV2, {"balance": False}], ids=str)
def test_reference_computes_the_same(options):
    fast = tiny(**options)
    reference = tiny(replace(SPEC, attention=replace(SPACE, reference=True)), **options)
    grads = []
    for model in (fast, reference):
        x = clip().requires_grad_()
        logits = model(x)
        logits.logsumexp(-1).sum().backward()
        grads.append([logits, x.grad, *(p.grad for p in model.parameters())])
    torch.testing.assert_close(*grads, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("options", [{}, SSV2], ids=str)
def test_frames_as_rows_and_as_one_sequence_are_the_same(options, monkeypatch):
    """Attention within frames on rows, and as any other attention meets them."""
    model = tiny(**options)
    rows = model(clip())
    monkeypatch.setattr("slowfast_ext.models.backbones.uniformerv2_blocks.Space", type(None))
    torch.testing.assert_close(model(clip()), rows)


def test_a_sequence_of_frames_there_and_back():
    x_BTFC = torch.randn(2, 3, 5, 4)
    grid = Grid(3, 2, 2, prefix=3, framewise=True)
    assert prefix_first(x_BTFC)[:, 1].equal(x_BTFC[:, 1, 0])
    assert by_frame(prefix_first(x_BTFC), grid).equal(x_BTFC)


def test_quick_gelu():
    x = torch.linspace(-5, 5, 101)
    torch.testing.assert_close(QuickGELU()(x), x * torch.sigmoid(1.702 * x))


def test_it_starts_as_the_image_transformer():
    """Local attention and global blocks start as the identity, the balance in the middle."""
    torch.manual_seed(0)
    video = UniFormerV2(SPEC, replace(OPTIONS, local_attention="double")).eval()
    image = UniFormerV2(SPEC, OPTIONS).eval()
    image.load_state_dict(video.state_dict(), strict=False)
    x_BTFC, grid = image.embed(clip())
    for block in image.blocks:
        x_BTFC = block(x_BTFC, grid)
    token = torch.zeros(2, 24)
    torch.testing.assert_close(video.pool(token, x_BTFC), 0.5 * x_BTFC[:, :, 0].mean(1))
    torch.testing.assert_close(video(clip()), image(clip()))
    assert video.global_blocks[0](token, x_BTFC, grid).equal(token)


def test_global_block_learns_from_its_start():
    block, grid = GlobalBlock(24, 3, 4.0), Grid(4, 2, 2, prefix=4, framewise=True)
    block(torch.zeros(2, 24), torch.randn(2, 4, 5, 24), grid).square().sum().backward()
    block.zero_grad()
    block(torch.randn(2, 24), torch.randn(2, 4, 5, 24), grid).square().sum().backward()
    assert block.attn.proj.weight.grad.abs().max() > 1e-4
    assert block.mlp.fc2.weight.grad.abs().max() > 1e-4


@pytest.mark.parametrize("size", [(1, 32, 32), (5, 48, 24), (7, 8, 64)])
@pytest.mark.parametrize("options", [{}, SSV2], ids=str)
def test_takes_any_frames_and_sizes(options, size):
    assert tiny(**options)(clip(*size)).shape == (2, 5)


def test_built_for_a_clip_that_is_no_square():
    model = tiny(replace(SPEC, img_size=(16, 48)))
    assert model.backbone.pos_embed.shape == (1 + 2 * 6, 24)
    assert model(clip(4, 16, 48)).shape == (2, 5)


def test_positions_follow_their_patch():
    """Rows of the table are rows of the frame: those of a wide frame are stretched from the square's."""
    backbone = tiny().backbone
    with torch.no_grad():
        backbone.pos_embed[1:] = torch.arange(4.0).repeat_interleave(4)[:, None]
    wide = backbone.positions(4, 8)
    torch.testing.assert_close(wide[1:, 0].view(4, 8), torch.arange(4.0)[:, None].expand(4, 8))
    assert wide[0].equal(backbone.pos_embed[0])


def test_frames_without_local_attention_have_no_order():
    """But for the positions that global blocks see; a single frame more or less is seen."""
    model, x = tiny(), clip()
    for block in model.backbone.global_blocks:
        torch.nn.init.zeros_(block.pos_embed.weight)
    torch.testing.assert_close(model(x), model(x.flip(2)))
    ordered = tiny(local_attention="single")
    assert not torch.allclose(ordered(x), ordered(x.flip(2)))


def test_stride_in_time_halves_the_frames():
    x_BTFC, grid = tiny(**SSV2).backbone.embed(clip(8, 32, 32))
    assert (grid.t, x_BTFC.shape) == (4, (2, 4, 17, 24))
    assert tiny(**SSV2).backbone.embed(clip(5, 32, 32))[1].t == 3


def test_recomputed_blocks_give_the_same_gradients():
    saved, recomputed = tiny(**SSV2), tiny(replace(SPEC, checkpoint_blocks=(2,)), **SSV2)
    for model in (saved, recomputed):
        model.train().backbone.global_blocks.eval()
        model(clip()).logsumexp(-1).sum().backward()
    for a, b in zip(saved.parameters(), recomputed.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad)


@pytest.mark.parametrize(("stride", "frames"), [(1, 5), (2, 3)])
def test_attention_is_built_for_the_frames_behind_the_embedding(stride, frames):
    """Linformer has a column for every token, of 5 frames of 4 x 2 patches here."""
    spec = BackboneSpec(5, (32, 16), attention("joint", kernel="linformer"))
    model = tiny(spec, temporal_stride=stride)
    assert model.backbone.blocks[0].block.attn.kernel.key_mix.shape[1] == frames * (1 + 4 * 2)
    assert model(clip(5, 32, 16)).shape == (2, 5)


def test_every_second_block_counts_from_the_first():
    spec = replace(SPEC, checkpoint_blocks=(4,), checkpoint_every=2)
    assert list(tiny(spec, depth=5).backbone.recomputed) == [0, 2]


def test_stochastic_depth_rises_in_both_branches():
    spec = replace(SPEC, drop_path=0.2)
    backbone = tiny(spec, local_attention="double", global_drop_path=0.4).backbone
    for blocks, last in ((backbone.blocks, 0.2), (backbone.global_blocks, 0.4)):
        rates = [{m.rate for m in block.modules() if isinstance(m, DropPath)} for block in blocks]
        assert all(len(rate) == 1 for rate in rates)
        expected = torch.linspace(0, last, len(blocks)).tolist()
        torch.testing.assert_close([rate.pop() for rate in rates], expected)


def test_every_parameter_has_a_layer_index():
    backbone = tiny(**SSV2).backbone
    indices = {name: backbone.layer_index(name) for name, _ in backbone.named_parameters()}
    assert indices["pos_embed"] == indices["patch_embed.proj.weight"] == 0
    assert indices["blocks.0.local1.fc1.weight"] == 1
    assert indices["blocks.2.block.attn.qkv.weight"] == 3
    assert indices["global_blocks.0.attn.qkv.weight"] == indices["balance"] == 4
    assert set(indices.values()) == set(range(backbone.num_layers))


def test_attention_maps_are_of_whole_clips():
    """Frames that are rows of a layer are shown as the tokens of their clip."""
    seen = record(tiny(**SSV2), clip(8, 32, 32)[:1])
    assert [item.name for item in seen] == [f"backbone.blocks.{n}.block.attn" for n in range(3)]
    grid = Grid(4, 4, 4, prefix=4, framewise=True)
    assert {item.grid for item in seen} == {grid}
    weights = attention_map(seen[0].layer, seen[0].x_BNC, grid)
    assert weights.shape == (1, 3, grid.tokens, grid.tokens)
    torch.testing.assert_close(weights.sum(-1), torch.ones(1, 3, grid.tokens))
    assert not weights[:, :, 4:20, 20:].any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_heads": 5}, "UNIFORMERV2.NUM_HEADS does not divide the width 24"),
        ({"global_heads": 5}, "GLOBAL_HEADS does not divide"),
        ({"global_layers": (2, 1)}, "rising numbers of the 3 blocks"),
        ({"global_layers": (1, 3)}, "rising numbers"),
        ({"global_layers": ()}, "rising numbers"),
    ],
)
def test_options_that_do_not_fit(options, message):
    with pytest.raises(ConfigError, match=message):
        replace(OPTIONS, **options)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"DATA__TRAIN_CROP_SIZE": 36}, "DATA.TRAIN_CROP_SIZE"),
        ({"DATA__TEST_CROP_SIZE": [32, 44]}, r"not divisible by 8 \(UNIFORMERV2.PATCH_SIZE\)"),
        ({"MODEL__CHECKPOINT_BLOCKS": [4]}, "one stage of 3 blocks"),
        ({"UNIFORMERV2__GLOBAL_LAYERS": [7]}, "UNIFORMERV2.GLOBAL_LAYERS"),
    ],
)
def test_what_cannot_be_built_is_named(changes, message):
    cfg = tree(ModelOptions(backbone="uniformerv2"), OPTIONS, SPACE, **changes)
    with pytest.raises(ConfigError, match=message):
        build_model(cfg)


def test_clips_that_the_patches_do_not_divide_are_refused():
    with pytest.raises(ConfigError, match="36x32 px cannot be cut into patches of 8 px"):
        tiny()(clip(4, 36, 32))


def test_global_blocks_are_cheap_in_the_fast_form():
    """Keys and values of all tokens are not formed: four global blocks of B/16 cost a tenth of the published ones."""
    macs = {}
    for reference in (True, False):
        spec = BackboneSpec(8, 224, AttentionOptions(("space",), reference=reference))
        with torch.device("meta"):
            model = with_head(UniFormerV2(spec))
        counts = cost_of(model, torch.empty(1, 3, 8, 224, 224, device="meta")).by_module
        macs[reference] = sum(counts[f"backbone.global_blocks.{n}"] for n in range(4))
    assert 0 < macs[False] < 0.1 * macs[True]
