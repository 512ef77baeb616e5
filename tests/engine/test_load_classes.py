"""Public heads in another order than the data's classes: stopped, or brought into their order."""

import pytest
import torch
from torch import nn

from slowfast_ext.data.records import VideoSet
from slowfast_ext.engine.load import (
    load_initial_weights,
    load_test_weights,
    load_trained_weights,
    start_weights,
)
from slowfast_ext.errors import CheckpointError
from slowfast_ext.models import VideoModel
from slowfast_ext.models.backbones import BackboneSpec
from slowfast_ext.models.backbones.vit import VisionTransformer, VitOptions
from slowfast_ext.models.weights import WEIGHTS, LoadOptions
from slowfast_ext.models.weights.classes import known_orders

VIT = VitOptions((2, 16, 16), 24, 1, 3, pos_embed="sincos", pool="mean_norm")


def model_of(classes):
    return VideoModel(VisionTransformer(BackboneSpec(4, 32), VIT), nn.Linear(24, classes))


@pytest.fixture
def weights(tmp_path):
    """A head of all Kinetics classes, each with its row number as its bias."""
    model = model_of(710)
    model.head.bias.data = torch.arange(710.0)
    torch.save(
        {"module": WEIGHTS.get("videomae").to_theirs(model.state_dict(), model)}, tmp_path / "w.pth"
    )
    return tmp_path / "w.pth"


def test_names_of_the_data_decide(weights):
    orders = known_orders()
    names = tuple(reversed(orders["k400"]))
    videos = VideoSet("kinetics", "test", [], class_names=(names,))
    model = model_of(400)
    load_test_weights(model, weights, LoadOptions(classes=("k710",)), videos)
    assert [orders["k710"][int(row)] for row in model.head.bias] == list(names)
    with pytest.raises(CheckpointError, match="head"):
        load_test_weights(model, weights, LoadOptions(), videos)
    with pytest.raises(CheckpointError, match="not in the order k400"):
        load_test_weights(model, weights, LoadOptions(classes=("k710", "k400")), videos)


ANEW = LoadOptions(changed=("head", "new", "unused", "time", "space"))


def spoilt(state, how):
    """A state that does not fill the model, in one of the ways that a training may start with."""
    if how == "head":
        return {name: x[:5] if name.startswith("head.") else x for name, x in state.items()}
    if how == "new":
        return {name: x for name, x in state.items() if "norm1" not in name}
    return {**state, "backbone.more": torch.zeros(3)}


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("head", "head is for other classes: head.weight.*NUM_CLASSES to 5, as the file has"),
        (
            "new",
            "the file lacks: backbone.blocks.0.norm1.*the configuration that the weights were trained",
        ),
        ("unused", "the model lacks: backbone.more"),
    ],
)
def test_a_test_starts_nothing_anew(tmp_path, how, words):
    state = model_of(12).state_dict()
    torch.save({"model_state": spoilt(state, how)}, tmp_path / "spoilt.pyth")
    torch.save({"model_state": state, "ema_state": spoilt(state, how)}, tmp_path / "average.pyth")
    load_initial_weights(model_of(12), tmp_path / "spoilt.pyth", ANEW)
    for name in ("spoilt.pyth", "average.pyth"):
        with pytest.raises(CheckpointError, match=f"(?s){name}: does not fill the model.*{words}"):
            load_test_weights(model_of(12), tmp_path / name, ANEW)
    torch.save({"model_state": state}, tmp_path / "sound.pyth")
    assert not load_test_weights(model_of(12), tmp_path / "sound.pyth", ANEW).changes()


def test_differences_are_shown_in_short(tmp_path):
    """Four names of each kind; the number of classes where the file has one head."""
    state, anew = model_of(12).state_dict(), LoadOptions()
    for count, more in ((4, "more3$"), (5, "more3 and 1 more$"), (9, "more3 and 5 more$")):
        extra = {f"backbone.more{i}": torch.zeros(3) for i in range(count)}
        torch.save({"model_state": state | extra}, tmp_path / "w.pyth")
        with pytest.raises(CheckpointError, match=f"(?m)lacks: backbone.more0, .*{more}"):
            load_test_weights(model_of(12), tmp_path / "w.pyth", anew)
    heads = {"head.verb.weight": torch.zeros(3, 24), "head.noun.weight": torch.zeros(4, 24)}
    torch.save({"model_state": spoilt(state, "head") | heads}, tmp_path / "w.pyth")
    with pytest.raises(CheckpointError, match="NUM_CLASSES to as the file has, or train"):
        load_test_weights(model_of(12), tmp_path / "w.pyth", anew)


def test_averaged_weights_are_taken_where_there_are_some(tmp_path):
    own, average, model = (model_of(12) for _ in range(3))
    torch.save(
        {"model_state": own.state_dict(), "ema_state": average.state_dict()}, tmp_path / "w.pyth"
    )
    for load, taken in ((load_initial_weights, own), (load_trained_weights, average)):
        load(model, tmp_path / "w.pyth", LoadOptions())
        assert torch.equal(model.head.weight, taken.head.weight)


def test_sizes_may_differ_in_a_test_where_that_is_allowed(tmp_path):
    """A table for two rows of frames at four: told, unless TRAIN.CHECKPOINT_CHANGED has it."""
    table = VitOptions((2, 16, 16), 24, 1, 3)
    short, long = (
        VideoModel(VisionTransformer(BackboneSpec(frames, 32), table), nn.Linear(24, 12))
        for frames in (4, 8)
    )
    torch.save({"model_state": short.state_dict()}, tmp_path / "w.pyth")
    with pytest.raises(CheckpointError, match=r"w.pyth: .*\n  time: backbone.temp_embed"):
        load_test_weights(long, tmp_path / "w.pyth", LoadOptions())
    report = load_test_weights(long, tmp_path / "w.pyth", LoadOptions(changed=("time", "new")))
    assert report.changes() == {"time": ["backbone.temp_embed"]}


@pytest.mark.parametrize(
    ("theirs", "first"),
    [
        ([["a", "c", "b"], ["x", "y"]], "head 0, first difference at class 1"),
        ([["a", "b", "c"], ["x", "y", "z"]], "head 1, first difference at class 2"),
        ([["a", "b"], ["x", "y"]], "head 0, first difference at class 2"),
    ],
)
def test_other_classes_than_the_test_set_s_stop(tmp_path, theirs, first):
    model = model_of(12)
    videos = VideoSet("toys", "test", [], class_names=(("a", "b", "c"), ("x", "y")))
    for names, message in ((theirs, first), ([["a", "b", "c"], ["x", "y"]], None), ([], None)):
        torch.save({"model_state": model.state_dict(), "class_names": names}, tmp_path / "w.pyth")
        if message is None:
            load_test_weights(model, tmp_path / "w.pyth", LoadOptions(), videos)
            assert model.class_names == videos.class_names
        else:
            with pytest.raises(CheckpointError, match=f"those of toys .{message}"):
                load_test_weights(model, tmp_path / "w.pyth", LoadOptions(), videos)


def test_weights_to_start_from_that_are_nowhere(tmp_path):
    path = tmp_path / "w.pyth"
    with pytest.raises(CheckpointError, match=r"start from: .*w\.pyth: no such file\. TRAIN"):
        start_weights(str(path), "")
    path.write_bytes(b"x")
    assert start_weights(str(path), "") == path
