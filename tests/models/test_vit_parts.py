"""Parts that the vision transformer is given: position rules, pooling, norms of queries and keys, rotary positions."""

import math
from dataclasses import replace

import pytest
import torch
from model_cases import TINY_SPEC, attention, tiny_vit

from slowfast_ext.config import load_config
from slowfast_ext.models import check_model
from slowfast_ext.models.attention import AttentionSpec, Grid, build_attention
from slowfast_ext.models.attention.rotary import Rotary
from slowfast_ext.models.attention.softmax import explicit_softmax
from slowfast_ext.models.backbones.vit_embed import PatchEmbed, resize_space, resize_time
from slowfast_ext.models.backbones.vit_pool import POOLS, PoolSpec
from slowfast_ext.models.backbones.vit_positions import POSITIONS, RESIZES, sine_cosine
from slowfast_ext.models.blocks import BlockSpec, build_block

CPU = (torch.device("cpu"), torch.float32)
CLIP = torch.randn(2, 3, 4, 32, 32)


def test_the_fixed_table_is_the_formula():
    grid, dim = Grid(2, 3, 2), 6
    table = sine_cosine(grid, dim, *CPU)[0]
    for index in range(grid.tokens):
        for channel in range(dim):
            angle = index / 10000 ** (2 * (channel // 2) / dim)
            expected = math.cos(angle) if channel % 2 else math.sin(angle)
            assert table[index, channel] == pytest.approx(expected, abs=1e-6)
    with_cls = sine_cosine(Grid(2, 3, 2, prefix=1), dim, *CPU)[0]
    assert not with_cls[0].any()
    assert torch.equal(with_cls[1:], table)


def test_a_fixed_table_is_computed_anew_or_resized():
    built, other, empty = Grid(8, 4, 4), Grid(4, 6, 6), torch.empty(0)
    anew = POSITIONS["sincos"](built, 12, RESIZES["smooth"])
    resized = POSITIONS["sincos_table"](built, 12, RESIZES["smooth"])
    assert torch.equal(anew.of(empty, empty, built), resized.of(empty, empty, built))
    assert torch.equal(anew.of(empty, empty, other), sine_cosine(other, 12, *CPU))
    table = sine_cosine(built, 12, *CPU)[0].unflatten(0, (8, 4, 4)).permute(0, 3, 1, 2)
    wide = torch.nn.functional.interpolate(table, (6, 6), mode="bicubic")
    rows = wide.flatten(2).permute(1, 2, 0).flatten(0, 1)[None]
    short = torch.nn.functional.interpolate(rows, 4, mode="linear")[0]
    expected = short.unflatten(0, (12, 36)).permute(2, 1, 0).flatten(0, 1)
    torch.testing.assert_close(resized.of(empty, empty, other)[0], expected)


@pytest.mark.parametrize("pos_embed", POSITIONS)
@pytest.mark.parametrize("pool", POOLS)
def test_every_rule_with_every_pooling_takes_other_clips(pos_embed, pool):
    model = tiny_vit(pos_embed=pos_embed, pool=pool, pool_depth=1)
    names = {name for name, _ in model.named_parameters()}
    assert ("backbone.cls_token" in names) == POOLS[pool].class_token
    assert ("backbone.pos_embed" in names) == (pos_embed in ("separate", "joint"))
    for clip in (CLIP, torch.randn(2, 3, 8, 40, 48)):
        logits = model(clip)
        assert logits.shape == (2, 5)
    logits.square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert all(model.backbone.layer_index(name.removeprefix("backbone.")) in range(4)
               for name in names if name.startswith("backbone."))  # fmt: skip


def test_a_table_may_be_made_for_other_frames():
    model = tiny_vit(pos_embed="separate", pos_frames=16)
    assert model.backbone.temp_embed.shape[1] == 8
    assert model(CLIP).shape == (2, 5)
    problems = check_model(load_config([], ["VIT.POS_FRAMES", "15"]))
    assert "VIT.POS_FRAMES" in {problem.key for problem in problems}


def test_queries_and_keys_are_normalised_over_all_heads():
    grid = Grid(2, 2, 2, prefix=1)
    spec = AttentionSpec(24, 3, grid, attention=attention("joint", qk_norm="rms"))
    layer = build_attention("joint", spec)
    q, k, v = layer.split_heads(torch.randn(2, grid.tokens, 24))
    q_norm, k_norm, same = layer.apply_steps(q, k, v, grid)
    assert same is v
    for x in (q_norm, k_norm):
        torch.testing.assert_close(x.square().mean(dim=(1, 3)), torch.ones(2, grid.tokens))
    ratio = (q_norm / q)[0, :, 3]
    torch.testing.assert_close(ratio, ratio[:1, :1].expand_as(ratio))


def test_rotary_positions_turn_pairs_of_channels():
    head_dim, grid = 16, Grid(2, 3, 4, prefix=1)
    rotary, part = Rotary(head_dim), 4
    q, k, v = torch.randn(3, 2, 5, grid.tokens, head_dim)
    turned, _, same = rotary(q, k, v, grid)
    assert same is v
    assert torch.equal(turned[:, :, 0], q[:, :, 0])
    assert torch.equal(turned[..., 3 * part :], q[..., 3 * part :])
    t, h, w = 1, 2, 3
    token = 1 + (t * grid.h + h) * grid.w + w
    for index, position in enumerate((t, h, w)):
        for channel in range(0, part, 2):
            even, odd = (q[0, 0, token, index * part + channel + i] for i in (0, 1))
            # The published quirk: both channels of a pair have frequencies of their own, tiled.
            angles = [
                position / 10000 ** (((channel + i) % (part // 2)) / (part // 2)) for i in (0, 1)
            ]
            expected = even * math.cos(angles[0]) - odd * math.sin(angles[0])
            assert turned[0, 0, token, index * part + channel] == pytest.approx(
                expected.item(), abs=1e-5
            )
            expected = odd * math.cos(angles[1]) + even * math.sin(angles[1])
            assert turned[0, 0, token, index * part + channel + 1] == pytest.approx(
                expected.item(), abs=1e-5
            )


def test_timesformers_time_does_not_see_the_class_token():
    grid = Grid(3, 2, 2, prefix=1)
    block = build_block("timesformer", BlockSpec(AttentionSpec(24, 3, grid))).eval()
    x = torch.randn(1, grid.tokens, 24)
    only_space = x + block.over_space(x, grid)
    block.init_weights()
    torch.testing.assert_close(block.attend(x, grid), only_space)
    torch.nn.init.normal_(block.temporal_fc.weight)
    other = x.clone()
    other[:, 0] += 1
    for p in block.attn.parameters():
        torch.nn.init.zeros_(p)
    assert torch.equal(block.attend(x, grid)[:, 1:], block.attend(other, grid)[:, 1:])


@pytest.mark.parametrize(
    "options", [{"norm": "rms"}, {"activation": "gelu_tanh"}, {"layer_scale": 0.1}]
)
def test_parts_change_the_numbers(options):
    torch.manual_seed(1)
    spec = replace(TINY_SPEC, init_std=0.5)
    plain = tiny_vit(spec).eval()
    torch.manual_seed(1)
    other = tiny_vit(spec, **options).eval()
    assert not torch.allclose(plain(CLIP), other(CLIP), atol=1e-6)


def test_position_tables_are_resized_with_their_pixels_as_areas():
    """align_corners False, as timm and Motionformer have it: ends are not kept, middles are means."""
    table = torch.tensor([0.0, 1.0]).view(1, 2, 1)
    expected = torch.tensor([0.0, 0.25, 0.75, 1.0]).view(1, 4, 1)
    torch.testing.assert_close(resize_time(table, 4), expected)
    torch.testing.assert_close(resize_time(table, 1), torch.tensor([[[0.5]]]))
    nearest = torch.tensor([0.0, 0.0, 1.0, 1.0]).view(1, 4, 1)
    torch.testing.assert_close(resize_time(table, 4, "nearest"), nearest)
    table = torch.randn(1, 2, 3, 4, 5)
    theirs = torch.nn.functional.interpolate(
        table[0].permute(0, 3, 1, 2), (6, 7), mode="bicubic", align_corners=False
    )
    torch.testing.assert_close(resize_space(table, 6, 7), theirs.permute(0, 2, 3, 1)[None])
    assert resize_space(table, 3, 4) is table
    assert (
        resize_space(table.half(), 6, 7).dtype
        == resize_time(table[:, :, 0, 0].half(), 5).dtype
        == torch.half
    )


def test_patches_start_as_wide_as_their_pixels_ask():
    """A sum over the 3 * 2 * 4 * 8 values of a tubelet keeps their deviation."""
    torch.manual_seed(0)
    embed = PatchEmbed((2, 4, 8), 512)
    assert embed.proj.weight.std().item() == pytest.approx((3 * 2 * 4 * 8) ** -0.5, rel=0.02)
    assert not embed.proj.bias.any()


def test_the_query_of_a_probe_reads_the_tokens_written_out():
    pool = POOLS["probe"](PoolSpec(24, 3, 24, 0, 2.0, 1e-6)).double()
    x_BNC = torch.randn(2, 7, 24, dtype=torch.double)
    k, v = pool.kv(pool.norm1(x_BNC)).chunk(2, dim=-1)
    q = pool.q(pool.query).expand(2, 1, 24)
    heads = (x.unflatten(-1, (3, 8)).transpose(1, 2) for x in (q, k, v))
    y_B1C = pool.query + explicit_softmax(*heads).transpose(1, 2).flatten(2)
    expected = (y_B1C + pool.mlp(pool.norm2(y_B1C))).squeeze(1)
    torch.testing.assert_close(pool(x_BNC), expected)
