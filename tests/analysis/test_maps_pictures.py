"""Every variant is drawn or says why not; the scene; the command."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from layer_cases import build_layer
from torch import nn

from slowfast_ext.analysis.maps import record
from slowfast_ext.analysis.maps_pictures import chosen, draw, strongest
from slowfast_ext.analysis.maps_scene import Scene, load_clip, make_scene
from slowfast_ext.cli import visualize
from slowfast_ext.config import load_config
from slowfast_ext.data.motion import write_video
from slowfast_ext.errors import ConfigError, DataError
from slowfast_ext.models.attention import KERNELS, Attention, Grid
from slowfast_ext.models.blocks import attention_names

GRID = Grid(2, 3, 4, prefix=2, framewise=True)
KINDS = {
    "emim": {"displacement"},
    "struct": {"structures", "kernels"},
    "trajectory": {"trajectory"},
}


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def scene(**changes):
    frames = np.random.default_rng(0).integers(0, 256, (4, 24, 32, 3), dtype=np.uint8)
    return Scene(frames, **{"query": (3, 12, 8), **changes})


class Holder(nn.Module):
    """A layer as a model of one clip of tokens."""

    def __init__(self, layer, grid):
        super().__init__()
        self.layer, self.grid = layer, grid

    def forward(self, x):
        return self.layer(x, self.grid)


def seen_of(name, grid=GRID, **keys):
    return record(Holder(build_layer(name, grid, **keys), grid), torch.randn(1, grid.tokens, 48))


@pytest.mark.parametrize("name", attention_names())
def test_every_variant_is_drawn(name, tmp_path):
    seen = seen_of(name)
    assert seen
    for item in seen:
        found = dict(draw(item, scene()))
        assert set(found) == KINDS.get(name, {"map"})
        for kind, figure in found.items():
            figure.savefig(tmp_path / f"{kind}.png")
            bars = [ax for ax in figure.axes if "weight" in ax.get_ylabel()]
            assert bars or name == "emim"  # whose pictures are arrows and paths
            assert item.name in figure.get_suptitle()


@pytest.mark.parametrize("pattern", ["joint", "space", "trajectory"])
@pytest.mark.parametrize("kernel", [name for name in KERNELS.names() if name != "softmax"])
def test_other_kernels_are_compared_with_softmax(kernel, pattern):
    (item,) = seen_of(pattern, Grid(2, 3, 4), KERNEL=kernel)
    figure = dict(draw(item, scene()))["concentration"]
    titles = [ax.get_title() for ax in figure.axes if ax.get_title()]
    assert len(titles) == 2
    assert titles[0].startswith(kernel)
    assert titles[1].startswith("softmax: ")
    assert all("bits" in text or "signed" in text for text in titles)


def test_a_single_frame_can_be_drawn():
    for name in ("emim", "struct", "trajectory", "joint"):
        assert draw(seen_of(name, Grid(1, 3, 4))[0], scene(query=(0, 0, 0)))


def test_layers_without_places_say_so():
    (item,) = seen_of("joint", Grid.placeless(5))
    with pytest.raises(ConfigError, match="no positions"):
        draw(item, scene())


def test_a_variant_that_is_no_weighted_sum_says_so():
    class Own(Attention):
        def forward(self, x, grid):
            return x * 2

    layer = build_layer("joint", GRID)
    layer.__class__ = Own
    seen = record(Holder(layer, GRID), torch.randn(1, GRID.tokens, 48))
    with pytest.raises(ConfigError, match="Own"):
        draw(seen[0], scene())


@pytest.mark.parametrize("head", [-1, 3])
@pytest.mark.parametrize("name", ["joint", "struct"])
def test_a_head_that_is_not_there(name, head):
    with pytest.raises(ConfigError, match="0 to 2"):
        draw(seen_of(name)[0], scene(head=head))


def test_a_head_of_its_own():
    (item,) = seen_of("joint")
    alone, together = draw(item, scene(head=1))[0][1], draw(item, scene())[0][1]
    assert "head 1" in alone.get_suptitle()
    pixels = [figure.axes[0].images[1].get_array() for figure in (alone, together)]
    assert not np.allclose(*pixels)


def test_the_map_lies_where_the_weights_are():
    grid = Grid(2, 3, 4)
    (item,) = seen_of("joint", grid)
    with torch.no_grad():
        item.layer.qkv.weight.zero_()
    item.layer.qkv.bias.data.zero_()
    figure = draw(item, scene())[0][1]
    np.testing.assert_allclose(figure.axes[0].images[1].get_array(), 1 / grid.patches, rtol=1e-5)
    assert figure.axes[1].get_title() == "frame 1: 50%"


def test_last_layer_of_each_kind_is_chosen_or_those_named():
    grid = Grid(2, 3, 4)
    model = nn.ModuleDict({name: Holder(build_layer(kind, grid), grid) for name, kind in
                           (("a", "joint"), ("b", "joint"), ("c", "emim"))})  # fmt: skip
    x = torch.randn(1, grid.tokens, 48)
    seen = [part for name in model for part in record(nn.Sequential(model[name]), x)]
    seen = [replace(s, name=f"{name}.layer") for name, s in zip("abc", seen, strict=True)]
    assert [item.name for item in chosen(seen, [])] == ["b.layer", "c.layer"]
    assert [item.name for item in chosen(seen, ["a.layer"])] == ["a.layer"]
    with pytest.raises(ConfigError, match=r"a\.layer, b\.layer, c\.layer"):
        chosen(seen, ["z"])


def test_the_query_finds_its_token():
    assert scene().token(Grid(2, 3, 4)) == (1, 1, 1)
    assert scene().row(Grid(2, 3, 4)) == 17
    assert scene(query=(3, 23, 31)).token(Grid(4, 3, 4)) == (3, 2, 3)
    frames = scene().frames_THWC
    assert np.array_equal(scene().frame(Grid(2, 3, 4), 1), frames[3])
    assert np.array_equal(scene().frame(Grid(4, 3, 4), 1), frames[1])


def test_strongest_places():
    maps = torch.zeros(2, 3, 2)
    maps[1, 2] = 5.0
    maps[0, 1, 0] = 3.0
    assert strongest(maps)[:2] == [(1, 2), (0, 1)]


@pytest.fixture
def video(tmp_path):
    ramp = np.arange(8, dtype=np.uint8)[:, None, None, None] * 20
    path = tmp_path / "ramp.mp4"
    write_video(path, np.broadcast_to(ramp, (8, 32, 48, 3)).copy())
    return path


SETTINGS = {
    "DATA.NUM_FRAMES": 4, "DATA.SAMPLING": "segment", "DATA.TRAIN_CROP_SIZE": 32, "DATA.TEST_CROP_SIZE": 32,
    "MODEL.BACKBONE": "vit", "MODEL.NUM_CLASSES": 5, "DEVICE": "cpu", "ATTENTION.CYCLE": ["emim", "divided"],
    "VIT.EMBED_DIM": 32, "VIT.DEPTH": 2, "VIT.NUM_HEADS": 2, "VIT.PATCH_SIZE": [1, 16, 16],
}  # fmt: skip
PAIRS = [str(part) for item in SETTINGS.items() for part in item]


def test_the_clip_is_the_central_test_view(video):
    cfg = load_config([], PAIRS)
    clip = load_clip(cfg, str(video))
    assert clip.shape == (4, 3, 32, 32)
    levels = clip.float().mean((1, 2, 3))
    assert (levels.diff() > 10).all()
    assert make_scene(clip).query == (2, 16, 16)
    with pytest.raises(ConfigError, match="4 frames of 32 x 32"):
        make_scene(clip, (4, 0, 0))


def test_a_missing_video_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.mp4"):
        load_clip(load_config([], PAIRS), str(tmp_path / "none.mp4"))


def run_command(*arguments):
    return visualize.main([str(argument) for argument in arguments])


def test_command_writes_and_names_its_pictures(video, tmp_path, capsys):
    out = tmp_path / "pictures"
    common = ("--video", video, "--out", out, "--opts", *PAIRS)
    assert run_command("--query", "1,5,30", *common) == 0
    named = capsys.readouterr().out.split()
    assert sorted(named) == sorted(str(path) for path in out.iterdir())
    assert [Path(name).name for name in named] == [
        "backbone.blocks.0.attn.displacement.png",
        "backbone.blocks.1.temporal_attn.map.png",
        "backbone.blocks.1.attn.map.png",
    ]


def test_command_says_what_is_wrong(video, tmp_path, capsys):
    common = ("--video", video, "--out", tmp_path, "--opts", *PAIRS)
    assert run_command("--query", "9,0,0", *common) == 2
    assert "--query 9,0,0" in capsys.readouterr().err
    assert run_command("--weights", tmp_path / "none.pyth", *common) == 2
    assert "none.pyth" in capsys.readouterr().err


def test_command_takes_weights(video, tmp_path, capsys):
    from slowfast_ext.models import build_model

    model = build_model(load_config([], PAIRS))
    torch.save({"model_state": model.state_dict()}, tmp_path / "w.pyth")
    common = ("--video", video, "--out", tmp_path / "p", "--opts", *PAIRS)
    layer = "backbone.blocks.0.attn"
    assert run_command("--weights", tmp_path / "w.pyth", "--layer", layer, *common) == 0
    assert [path.name for path in (tmp_path / "p").iterdir()] == [f"{layer}.displacement.png"]
