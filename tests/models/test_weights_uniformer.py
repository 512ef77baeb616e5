"""Import and export of UniFormer's family: every key, both ways; class order; EMIM's 32 channels."""

import json

import pytest
import torch
from golden_uniformer import case_config
from safetensors.torch import load_file

from slowfast_ext.config import get_cfg
from slowfast_ext.errors import CheckpointError
from slowfast_ext.models import build_model
from slowfast_ext.models.weights import WEIGHTS, import_state, unwrap
from slowfast_ext.models.weights.base import recognise
from slowfast_ext.models.weights.classes import class_permutation, reorder_classes
from slowfast_ext.models.weights.emim_context import context_channels

UNIFORMER = WEIGHTS.get("uniformer")
DEPTHS = {"s": [3, 4, 8, 3], "b": [5, 8, 20, 7]}
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


def manifest_config(name):
    cfg = get_cfg()
    cfg.MODEL.BACKBONE = "uniformer"
    family, size = name.split("_")[:2]
    cfg.UNIFORMER.DEPTH = DEPTHS[size]
    cfg.UNIFORMER.IMAGE = "image2d" in name
    cfg.MODEL.NUM_CLASSES = 174 if "ssv" in name else 1000 if "in1k" in name else 400
    cfg.ATTENTION.CYCLE = ["emim", "joint"] if family == "emim" else ["joint"]
    if "split" in name:
        cfg.ATTENTION.CYCLE = ["split"]
    return cfg


def empty_model(cfg):
    with torch.device("meta"):
        return build_model(cfg)


def shapes(state):
    return {key: tuple(value.shape) for key, value in state.items()}


def small_config(**attention):
    cfg = get_cfg()
    cfg.MODEL.BACKBONE, cfg.MODEL.NUM_CLASSES = "uniformer", 5
    cfg.UNIFORMER.EMBED_DIM, cfg.UNIFORMER.DEPTH = [8, 16, 64, 128], [1, 1, 2, 1]
    cfg.DATA.NUM_FRAMES, cfg.DATA.TRAIN_CROP_SIZE = 4, 32
    for key, value in attention.items():
        cfg.ATTENTION[key] = value
    return cfg


@pytest.mark.parametrize("name", MANIFESTS)
def test_every_key_of_the_published_files(manifest_dir, name):
    state, cfg = manifest_state(manifest_dir, name), manifest_config(name)
    model = empty_model(cfg).state_dict()
    assert recognise(state) == "uniformer"
    fitted, report = import_state(state, cfg, model)
    assert not report.differences()
    assert shapes(fitted) == shapes(model)
    assert shapes(UNIFORMER.to_theirs(fitted, cfg)) == shapes(state)


@pytest.mark.parametrize("name", ["uniformer_joint", "uniformer_split", "emim"])
def test_round_trip_is_the_identity(golden_dir, name):
    tensors, cfg = load_file(golden_dir / f"{name}.safetensors"), case_config(golden_dir, name)
    state = {key[3:]: value for key, value in tensors.items() if key.startswith("sd.")}
    back = UNIFORMER.to_theirs(UNIFORMER.to_ours(state, cfg), cfg)
    assert back.keys() == state.keys()
    assert all(torch.equal(back[key], state[key]) for key in state)


def test_layer_scale_has_its_published_names():
    cfg = small_config()
    cfg.UNIFORMER.LAYER_SCALE = 1e-6
    state = build_model(cfg).state_dict()
    theirs = UNIFORMER.to_theirs(state, cfg)
    assert {"blocks3.0.gamma_1", "blocks3.0.gamma_2", "blocks4.0.gamma_1"} <= set(theirs)
    assert UNIFORMER.to_ours(theirs, cfg).keys() == state.keys()


def test_image_weights_start_a_video_model(manifest_dir):
    state = manifest_state(manifest_dir, "uniformer_s_in1k_image2d")
    cfg = manifest_config("emim_s_ssv_174")
    cfg.TRAIN.CHECKPOINT_INFLATE = "mean"
    cfg.TRAIN.CHECKPOINT_CHANGED = ["head", "new"]
    fitted, report = import_state(state, cfg, empty_model(cfg).state_dict())
    assert report.head == ["head.classifiers.0.weight", "head.classifiers.0.bias"]
    assert len(report.inflated) == 1 + 2 * 7 + 11
    assert all(".position_bias" in name or ".motion." in name for name in report.new)
    assert len(report.loaded) + len(report.inflated) == len(fitted) == len(state) - 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"NUM_CLASSES": 7}, "head: head.classifiers.0"),
        ({"CYCLE": ["emim"]}, "new: .*position_bias"),
        ({"DEPTH": [1, 1, 1, 1]}, "unused: blocks3.1"),
        ({"IMAGE": True}, "another architecture"),
        ({"HEAD_DIM": 32, "EMBED_DIM": [8, 16, 32, 64]}, "another architecture"),
    ],
)
def test_differences_that_are_not_allowed_are_errors(change, message):
    cfg = small_config()
    state = UNIFORMER.to_theirs(build_model(cfg).state_dict(), cfg)
    for key, value in change.items():
        node = next(node for node in (cfg.MODEL, cfg.ATTENTION, cfg.UNIFORMER) if key in node)
        node[key] = value
    with pytest.raises(CheckpointError, match=message):
        import_state(state, cfg, build_model(cfg).state_dict())


def test_inflation_has_to_be_asked_for():
    cfg = small_config()
    cfg.UNIFORMER.IMAGE = True
    state = UNIFORMER.to_theirs(build_model(cfg).state_dict(), cfg)
    cfg.UNIFORMER.IMAGE = False
    with pytest.raises(CheckpointError, match="CHECKPOINT_INFLATE to mean or centre"):
        import_state(state, cfg, build_model(cfg).state_dict())


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
    state = {"head.classifiers.0.bias": torch.arange(400), "backbone.norm.bias": torch.ones(3)}
    reordered = reorder_classes(state, theirs, alphabetical)
    assert reordered["head.classifiers.0.bias"][maps["map"]].equal(torch.arange(400))
    assert reordered["backbone.norm.bias"] is state["backbone.norm.bias"]


def test_class_names_match_whatever_their_spelling():
    order = class_permutation(["Riding a bike", "Marching"], ["marching", '"riding_a_bike"'])
    assert order.tolist() == [1, 0]
    with pytest.raises(CheckpointError, match="jumping"):
        class_permutation(["marching"], ["jumping"])


def trained_emim(channels, head_dim=64):
    """An EMIM model before and after three steps of AdamW, and the optimizer."""
    cfg = small_config(CYCLE=["emim", "joint"])
    cfg.ATTENTION.EMIM.CONTEXT_CHANNELS, cfg.UNIFORMER.HEAD_DIM = channels, head_dim
    torch.manual_seed(0)
    model = build_model(cfg)
    start = UNIFORMER.to_theirs({k: v.clone() for k, v in model.state_dict().items()}, cfg)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(3):
        model(torch.randn(2, 3, 4, 32, 32))[0].square().sum().backward()
        optimizer.step()
    return start, UNIFORMER.to_theirs(model.state_dict(), cfg), optimizer.state_dict()


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
    cfg = small_config()
    with pytest.raises(CheckpointError, match="no EMIM block"):
        context_channels(build_model(cfg).state_dict())
