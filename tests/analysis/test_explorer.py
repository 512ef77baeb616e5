"""The attention page: its bytes are the layers' weights, what fits into it, and what a click does."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from browser import opened, overflow
from layer_cases import build_layer
from result_files import unpacked
from torch import nn

from slowfast_ext.analysis.explorer import build_explorer, predictions
from slowfast_ext.analysis.explorer.layers import layer_payload, query_rows
from slowfast_ext.analysis.explorer.plan import plan
from slowfast_ext.analysis.explorer.quantise import in_bytes
from slowfast_ext.analysis.maps import attention_map, record
from slowfast_ext.analysis.maps_emim import window_weights
from slowfast_ext.analysis.maps_scene import make_scene
from slowfast_ext.analysis.maps_struct import structure_maps
from slowfast_ext.analysis.maps_trajectory import time_weights, trajectory_map
from slowfast_ext.cli import visualize
from slowfast_ext.data.motion import MotionSettings, render_clip, write_video
from slowfast_ext.errors import ConfigError
from slowfast_ext.models.attention import Grid
from slowfast_ext.models.blocks import attention_names

GRID = Grid(3, 4, 4, prefix=1)
SETTINGS = [
    "VIT.EMBED_DIM", "24", "VIT.NUM_HEADS", "3", "VIT.DEPTH", "4", "VIT.PATCH_SIZE", "[1, 8, 8]", "MODEL.NUM_CLASSES", "7",
    "ATTENTION.CYCLE", "['emim', 'struct', 'trajectory', 'joint']", "DATA.NUM_FRAMES", "4", "DATA.TEST_CROP_SIZE", "32",
    "DATA.TRAIN_CROP_SIZE", "32", "DATA.SAMPLING", "segment", "DEVICE", "cpu",
]  # fmt: skip


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


class Holder(nn.Module):
    """A layer as a model of one clip of tokens."""

    def __init__(self, layer, grid):
        super().__init__()
        self.layer, self.grid = layer, grid

    def forward(self, x):
        return self.layer(x, self.grid)


def seen_of(name, grid=GRID, **keys):
    return record(Holder(build_layer(name, grid, **keys), grid), torch.randn(1, grid.tokens, 48))


def scene(grid=GRID, **changes):
    frames = torch.randint(0, 256, (grid.t, 3, 32, 32), dtype=torch.uint8)
    return make_scene(frames, **changes)


def numbers(stored, shape):
    """Weights from a payload's bytes."""
    values = stored["values"].astype(np.float64).reshape(shape)
    highest = 127 if stored["signed"] else 255
    return stored["scale"].reshape(*shape[:-1], 1) * values * np.abs(values) / highest**2


def close(stored, weights):
    weights = weights.numpy()
    error = np.abs(numbers(stored, weights.shape) - weights)
    assert (error <= 0.01 * np.abs(weights).max(-1, keepdims=True) + 1e-9).all()


@pytest.mark.parametrize("low", [0.0, -1.0])
def test_bytes_are_within_one_percent(low):
    weights = torch.rand(2, 5, 300) ** 6 * (1 - low) + low
    stored = in_bytes(weights)
    assert stored["signed"] == (low < 0)
    close(stored, weights)
    assert numbers(in_bytes(torch.zeros(1, 1, 4)), (1, 1, 4)).max() == 0


def test_maps_are_those_of_the_layer():
    (item,) = seen_of("joint")
    found = layer_payload(item, 1)
    whole = attention_map(item.layer, item.x_BNC, GRID).detach()[0, :, :, 1:]
    close(found["weights"], torch.cat([whole[:, 1:], whole[:, :1]], 1))
    assert (found["kind"], found["classToken"], found["heads"]) == ("map", True, [0, 1, 2])


def test_trajectories_are_those_of_the_layer():
    (item,) = seen_of("trajectory")
    found = layer_payload(item, 2)
    rows = query_rows(GRID, 2)
    close(
        found["weights"],
        trajectory_map(item.layer, item.x_BNC, GRID).detach()[0][:, rows].flatten(2),
    )
    close(found["time"], time_weights(item.layer, item.x_BNC, GRID).detach()[0][:, rows])


def test_windows_are_those_of_the_layer():
    (item,) = seen_of("emim")
    found = layer_payload(item, 4)
    weights = window_weights(item.layer, item.x_BNC, GRID).detach()[0]
    close(found["weights"], weights.flatten(3).flatten(1, 2))
    assert found["window"] == list(weights.shape[-2:])


def test_structures_are_those_of_the_layer():
    (item,) = seen_of("struct")
    found = layer_payload(item, 1, head=1)
    maps = structure_maps(item.layer, item.x_BNC, GRID).detach()[0, 1:2]
    close(found["weights"], maps.flatten(2))
    assert found["keyGrid"] + [found["structures"]] == list(maps.shape[2:])
    assert found["patterns"].size == found["structures"] * np.prod(found["patternSize"])
    assert found["heads"] == [1]


@pytest.mark.parametrize("name", attention_names())
def test_every_variant_has_a_page(name):
    data = unpacked(build_explorer(seen_of(name), scene(), "clip"))
    assert data["layers"]
    assert data["leftOut"] == []
    assert len(data["frames"]["images"]) == GRID.t


def test_queries_are_the_middles_of_blocks():
    assert query_rows(Grid(1, 4, 5), 2).tolist() == [6, 8, 9, 16, 18, 19]
    assert query_rows(Grid(2, 2, 2), 1).tolist() == list(range(8))


def test_what_does_not_fit_is_left_out_and_said():
    (item,) = seen_of("joint")
    layers = [replace(item, name=f"layer {i}") for i in range(8)]
    whole, half = 3 * 49 * 48, 3 * 13 * 48
    assert strides(plan(layers, 8 * whole)) == [1] * 8
    assert plan(layers, 8 * whole).left_out == ()
    sparse = plan(layers, 8 * half + 2 * (whole - half))
    assert strides(sparse) == [1, 1] + [2] * 6
    assert "second row" in sparse.left_out[0]
    few = plan(layers, 3 * half)
    assert [seen.name for seen, _ in few.layers] == ["layer 1", "layer 4", "layer 7"]
    assert "layer 0, layer 2" in few.left_out[0]
    assert strides(plan(layers, 10)) == [8]
    assert strides(plan(layers, 8 * whole // 3, heads=1)) == [1] * 8


def strides(found):
    return [stride for _, stride in found.layers]


def test_layers_without_positions_are_named():
    grid = Grid.placeless(5)
    (item,) = record(Holder(build_layer("joint", grid), grid), torch.randn(1, 5, 48))
    with pytest.raises(ConfigError, match="no positions"):
        build_explorer([item], scene(), "clip")


def test_a_head_that_is_not_there():
    with pytest.raises(ConfigError, match="0 to 2"):
        build_explorer(seen_of("joint"), scene(head=3), "clip")


def test_names_of_the_best_classes():
    class Fixed(nn.Module):
        def forward(self, clip):
            return torch.tensor([[0.0, 2.0, 1.0]])

    (found,) = predictions(Fixed(), torch.zeros(1), False, [["a", "b", "c"]])
    assert [name for name, _ in found.best] == ["b", "c", "a"]
    assert sum(prob for _, prob in found.best) == pytest.approx(1)
    assert predictions(Fixed(), torch.zeros(1), True)[0].best[0][0] == "class 1"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explorer")
    write_video(folder / "clip.mp4", render_clip(1, "val", 1, MotionSettings(size=48)))
    command = ["--video", str(folder / "clip.mp4"), "--html", str(folder / "page.html"), *SETTINGS]
    assert visualize.main(command) == 0
    return folder / "page.html"


def test_the_command_writes_a_page_alone(page, capsys):
    assert [path.name for path in page.parent.iterdir() if path.suffix == ".png"] == []
    with pytest.raises(SystemExit):
        visualize.main(["--video", "x.mp4"])
    assert "--html" in capsys.readouterr().err


def test_the_command_takes_a_checkpoint_alone(page, tmp_path):
    from slowfast_ext.config import load_config
    from slowfast_ext.models import build_model

    cfg = load_config([], SETTINGS)
    state = {
        "model_state": build_model(cfg).state_dict(),
        "cfg": cfg.dump(),
        "class_names": [list("abcdefg")],
    }
    torch.save(state, tmp_path / "w.pyth")
    out = tmp_path / "p.html"
    command = [
        "--video",
        str(page.parent / "clip.mp4"),
        "--weights",
        str(tmp_path / "w.pyth"),
        "--html",
        str(out),
    ]
    assert visualize.main([*command, "DEVICE", "cpu"]) == 0
    data = unpacked(out.read_text(encoding="utf-8"))
    assert {name for name, _ in data["predictions"][0]["best"]} <= set("abcdefg")
    assert data["note"] == "w.pyth"


def test_a_full_disk(page, monkeypatch, capsys):
    before = page.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    command = ["--video", str(page.parent / "clip.mp4"), "--html", str(page), *SETTINGS]
    assert visualize.main(command) == 74
    assert "No space left" in capsys.readouterr().err
    assert page.read_bytes() == before


def shares(tab):
    return [
        int(text.split()[0]) for text in tab.locator("#explore .share").all_text_contents() if text
    ]


def test_a_click_looks_from_that_patch(page):
    data = unpacked(page.read_text(encoding="utf-8"))
    joint = data["layers"][-1]
    with opened(page) as tab:
        big = tab.locator("canvas.big")
        box = big.bounding_box()
        big.click(position={"x": box["width"] * 0.1, "y": box["height"] * 0.9})
        assert "row 3, column 0 of 4 " in tab.locator(".told").text_content()
        tab.get_by_role("button", name="1", exact=True).click()
        frame = int(tab.locator(".told").text_content().split("frame ")[1].split(",")[0])
        count = joint["t"] * 16 + 1
        weights = numbers(joint["weights"], (3, count, joint["t"] * 16))[1, frame * 16 + 12]
        expected = weights.reshape(joint["t"], 16).sum(-1) * 100
        np.testing.assert_allclose(shares(tab), expected, atol=0.51)
        tab.locator("canvas.small").first.click(position={"x": 2, "y": 2})
        assert "frame 0, row 0, column 0" in tab.locator(".told").text_content()
        tab.keyboard.press("Tab")
        big.focus()
        tab.keyboard.press("ArrowRight")
        assert "row 0, column 1" in tab.locator(".told").text_content()
        tab.get_by_role("button", name="class token").click()
        assert "class token" in tab.locator(".told").text_content()


def test_each_kind_shows_what_is_its_own(page):
    with opened(page) as tab:
        layers = tab.locator("#explore select").first
        assert layers.locator("option").count() == 4
        own = {
            "emim": "Displacement",
            "struct": "Structures and kernels",
            "trajectory": "The trajectory",
        }
        for index, (kind, title) in enumerate(own.items()):
            layers.select_option(index=index)
            assert tab.locator("#more h2").text_content() == title
            if kind == "emim":
                tab.get_by_role("button", name="strongest cell").click()
                assert tab.locator("#more canvas.small").count() == 3
            if kind == "struct":
                tab.locator("#more canvas.pickable").first.click(position={"x": 3, "y": 3})
                assert "row 0, column 0" in tab.locator("#more h3").text_content()
            if kind == "trajectory":
                assert sum(shares(tab)) == pytest.approx(100, abs=2)
        layers.select_option(index=3)
        assert not tab.locator("#more").is_visible()
        tab.locator("#theme").click()


def test_on_a_phone(page):
    with opened(page, 390, 844, dark=True, touch=True) as tab:
        for index in range(4):
            tab.locator("#explore select").first.select_option(index=index)
            assert overflow(tab) <= 0
        tab.locator("canvas.big").tap(position={"x": 5, "y": 5})
        assert "row 0, column 0" in tab.locator(".told").text_content()
