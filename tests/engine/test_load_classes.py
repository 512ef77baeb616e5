"""Public heads in another order than the data's classes: stopped, or brought into their order."""

import pytest
import torch
from torch import nn

from slowfast_ext.data.records import VideoSet
from slowfast_ext.engine.load import load_initial_weights, load_test_weights
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
