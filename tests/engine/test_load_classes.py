"""Public heads in another order than the data's classes: stopped, or brought into their order."""

import pytest
import torch
from torch import nn

from slowfast_ext.data.records import VideoSet
from slowfast_ext.engine.load import load_test_weights
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
