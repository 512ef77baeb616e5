"""Import and export of UniFormer's family: every key, both ways; class order; EMIM's 32 channels."""

import json
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from model_cases import TINY_SPEC, attention, with_head
from uniformer_cases import golden_model

from slowfast_ext.errors import CheckpointError
from slowfast_ext.models.attention.emim import EmimOptions
from slowfast_ext.models.backbones import BackboneSpec
from slowfast_ext.models.backbones.uniformer import UniFormer, UniformerOptions
from slowfast_ext.models.weights import WEIGHTS, LoadOptions, fit_weights, load_weights, unwrap
from slowfast_ext.models.weights.base import recognise
from slowfast_ext.models.weights.classes import class_permutation, reorder_classes
from slowfast_ext.models.weights.emim_context import context_channels

UNIFORMER = WEIGHTS.get("uniformer")
DEPTHS = {"s": (3, 4, 8, 3), "b": (5, 8, 20, 7)}
SMALL = UniformerOptions(embed_dim=(8, 16, 64, 128), depth=(1, 1, 2, 1))
MANIFESTS = [
    "uniformer_s_k400_16f",
    "uniformer_b_k400_16f",
    "uniformer_s_k400_split",
    "uniformer_s_ssv_174",
    "uniformer_s_in1k_image2d",
    "uniformer_b_in1k_image2d",
    "emim_s_k400_16f",
    "emim_b_k400_16f",
    "emim_s_ssv_174",
]


def manifest_state(folder, name):
    """Tensors without data in the published shapes."""
    keys = json.loads((folder / f"{name}.json").read_text())["keys"]
    return {key: torch.empty(shape, device="meta") for key, shape in keys.items()}


def manifest_model(name):
    """The model of a published file, without data."""
    family, size = name.split("_")[:2]
    options = UniformerOptions(depth=DEPTHS[size], image="image2d" in name)
    classes = 174 if "ssv" in name else 1000 if "in1k" in name else 400
    cycle = ("emim", "joint") if family == "emim" else ("joint",)
    if "split" in name:
        cycle = ("split",)
    with torch.device("meta"):
        return with_head(UniFormer(BackboneSpec(attention=attention(*cycle)), options), classes)


def shapes(state):
    return {key: tuple(value.shape) for key, value in state.items()}


def small(cycle=("joint",), parts=(), classes=5, **options):
    spec = replace(TINY_SPEC, attention=attention(*cycle, parts=parts))
    return with_head(UniFormer(spec, replace(SMALL, **options)), classes)


def exported(model):
    """The model's weights in UniFormer's names."""
    return UNIFORMER.to_theirs(model.state_dict(), model)


@pytest.mark.parametrize("name", MANIFESTS)
def test_every_key_of_the_published_files(manifest_dir, name):
    state, model = manifest_state(manifest_dir, name), manifest_model(name)
    assert recognise(state) == "uniformer"
    fitted, report = fit_weights(state, model)
    assert not report.differences()
    assert shapes(fitted) == shapes(model.state_dict())
    assert shapes(UNIFORMER.to_theirs(fitted, model)) == shapes(state)


@pytest.mark.parametrize("name", ["uniformer_joint", "uniformer_split", "emim"])
def test_round_trip_is_the_identity(golden_dir, name):
    model, state = golden_model(golden_dir, name)
    back = UNIFORMER.to_theirs(UNIFORMER.to_ours(state, model), model)
    assert back.keys() == state.keys()
    assert all(torch.equal(back[key], state[key]) for key in state)


def test_layer_scale_has_its_published_names():
    model = small(layer_scale=1e-6)
    theirs = exported(model)
    assert {"blocks3.0.gamma_1", "blocks3.0.gamma_2", "blocks4.0.gamma_1"} <= set(theirs)
    assert UNIFORMER.to_ours(theirs, model).keys() == model.state_dict().keys()


def test_image_weights_start_a_video_model(manifest_dir):
    state = manifest_state(manifest_dir, "uniformer_s_in1k_image2d")
    options = LoadOptions(inflate="mean", changed=("head", "new"))
    fitted, report = fit_weights(state, manifest_model("emim_s_ssv_174"), options)
    assert report.head == ["head.weight", "head.bias"]
    assert len(report.inflated) == 1 + 2 * 7 + 11
    assert all(".position_bias" in name or ".motion." in name for name in report.new)
    assert len(report.loaded) + len(report.inflated) == len(fitted) == len(state) - 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": 7}, "head: head.weight"),
        ({"cycle": ("emim",)}, "new: .*position_bias"),
        ({"depth": (1, 1, 1, 1)}, r"unused: backbone\.stages\.2\.1"),
        ({"image": True}, "another architecture"),
        ({"head_dim": 32, "embed_dim": (8, 16, 32, 64)}, "another architecture"),
    ],
)
def test_differences_that_are_not_allowed_are_errors(change, message):
    state = exported(small())
    with pytest.raises(CheckpointError, match=message):
        load_weights(small(**change), state)


def test_inflation_has_to_be_asked_for():
    state = exported(small(image=True))
    with pytest.raises(CheckpointError, match="CHECKPOINT_INFLATE to mean or centre"):
        load_weights(small(), state)


def test_unknown_files_are_named():
    with pytest.raises(CheckpointError, match=r"no family.*layer1\.weight"):
        recognise({"layer1.weight": torch.zeros(1)})


@pytest.mark.parametrize("wrap", ["model_state", "model", "state_dict"])
def test_unwraps_what_trainers_write(wrap):
    state = {"head.weight": torch.zeros(1)}
    assert unwrap({wrap: state, "epoch": 3}) == state
    assert unwrap({wrap: {f"module.{key}": value for key, value in state.items()}}) == state
    assert unwrap(state) == state


def test_a_file_without_tensors_is_refused():
    with pytest.raises(CheckpointError, match="epoch"):
        unwrap({"epoch": 3})


def test_published_class_orders(manifest_dir):
    maps = json.loads((manifest_dir / "k400_label_maps.json").read_text())
    theirs = maps["names_uniformer"]
    alphabetical = [""] * len(theirs)
    for label, other in enumerate(maps["map"]):
        alphabetical[other] = theirs[label]
    state = {"head.bias": torch.arange(400), "backbone.norm.bias": torch.ones(3)}
    reordered = reorder_classes(state, theirs, alphabetical)
    assert reordered["head.bias"][maps["map"]].equal(torch.arange(400))
    assert reordered["backbone.norm.bias"] is state["backbone.norm.bias"]


def test_class_names_match_whatever_their_spelling():
    order = class_permutation(["Riding a bike", "Marching"], ["marching", '"riding_a_bike"'])
    assert order.tolist() == [1, 0]
    with pytest.raises(CheckpointError, match="jumping"):
        class_permutation(["marching"], ["jumping"])


def trained_emim(channels, head_dim=64):
    """An EMIM model before and after three steps of AdamW, and the optimizer."""
    torch.manual_seed(0)
    emim = EmimOptions(context_channels=channels)
    model = small(("emim", "joint"), (emim,), head_dim=head_dim)
    start = exported(deepcopy(model))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(3):
        model(torch.randn(2, 3, 4, 32, 32)).square().sum().backward()
        optimizer.step()
    return start, exported(model), optimizer.state_dict()


@pytest.mark.parametrize("channels", ["all", 32])
def test_context_channels_are_recognised(channels):
    start, end, optimizer = trained_emim(channels)
    assert context_channels(end, start).channels == channels
    assert context_channels({"model_state": end, "optimizer_state": optimizer}).channels == channels
    assert context_channels(end).channels is None
    assert context_channels(start, start).channels is None


def test_small_heads_are_aggregated_whole():
    _, end, _ = trained_emim(32, head_dim=32)
    assert context_channels(end).channels == "all"


def test_context_channels_need_an_emim_block():
    with pytest.raises(CheckpointError, match="no EMIM block"):
        context_channels(small().state_dict())
