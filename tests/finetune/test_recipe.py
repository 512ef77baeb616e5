"""What is chosen, by the number of videos, their form, their names and the weights."""

import pytest
import torch

from slowfast_ext.config import load_config, options_of
from slowfast_ext.engine.checks import CHECKS
from slowfast_ext.engine.optim import SolverOptions, freeze
from slowfast_ext.finetune.recipe import (
    SCRATCH,
    Material,
    Wishes,
    base_settings,
    choose,
    timing,
    trained_part,
    training,
)
from slowfast_ext.finetune.start import Start, find_start, frozen_patterns
from slowfast_ext.models import build_model

NOTHING = Start("nothing", {})


def material(per_class=20, classes=("a", "b"), height=144, width=192, seconds=3.0, training=None):
    training = training or (per_class,) * len(classes)
    return Material(tuple(classes), tuple(training), 5, height, width, seconds)


def settings(found, start=NOTHING, **wishes):
    merged = {}
    for choice in choose(found, start, Wishes(**wishes)):
        merged |= choice.settings
    return merged


@pytest.mark.parametrize(
    ("height", "width", "sides"),
    [
        (144, 192, [80, 112]),
        (1080, 1920, [64, 128]),
        (1920, 1080, [128, 64]),
        (200, 200, [96, 96]),
        (50, 900, [64, 128]),
    ],
)
def test_pictures_have_the_form_of_the_videos(height, width, sides):
    found = settings(material(height=height, width=width))
    assert found["DATA.TRAIN_CROP_SIZE"] == found["DATA.TEST_CROP_SIZE"] == sides


def test_long_videos_are_seen_in_pieces():
    assert "DATA.SAMPLING" not in settings(material(seconds=10))
    found = settings(material(seconds=60))
    assert (found["DATA.SAMPLING"], found["DATA.SAMPLING_RATE"]) == ("dense", 8)


def test_classes_with_a_direction_are_not_mirrored():
    for names in (("Push left", "b"), ("turn_RIGHT", "b")):
        assert settings(material(classes=names))["DATA.RANDOM_FLIP"] is False
    assert "DATA.RANDOM_FLIP" not in settings(material(classes=("bright", "leftover")))


def test_unequal_classes_are_balanced():
    assert settings(material(training=(30, 10)))["TRAIN.BALANCED_SAMPLING"] is True
    assert settings(material(training=(12, 10)))["TRAIN.BALANCED_SAMPLING"] is False


@pytest.mark.parametrize(
    ("per_class", "wished", "part"),
    [(5, "auto", "head"), (20, "auto", "last"), (80, "auto", "all"), (5, "all", "all")],
)
def test_what_is_trained_of_weights(per_class, wished, part):
    start = Start("weights", {}, weights="some.pth")
    assert trained_part(material(per_class), start, Wishes(wished))[0] == part
    assert trained_part(material(per_class), NOTHING, Wishes(wished))[0] == "all"


def test_epochs():
    assert settings(material(5))["SOLVER.MAX_EPOCH"] == 100
    assert settings(material(5000))["SOLVER.MAX_EPOCH"] == 30
    assert settings(material(5), epochs=7)["SOLVER.MAX_EPOCH"] == 7
    for epochs in (1, 2, 10, 300):
        values = timing(epochs)
        assert values["SOLVER.WARMUP_EPOCHS"] < epochs
        assert min(values["TRAIN.EVAL_PERIOD"], values["TRAIN.CHECKPOINT_PERIOD"]) >= 1


@pytest.mark.parametrize("name", ["uniformer_s", "vit_s", "xvit_b16", "uniformerv2_b"])
def test_last_blocks_and_head_stay_free(name):
    cfg = load_config([SCRATCH.parents[1] / "zoo" / f"{name}.yaml"])
    with torch.device("meta"):
        model = build_model(cfg)
    everything = sum(p.requires_grad for p in model.parameters())
    frozen = freeze(model, frozen_patterns(cfg, 2))
    free = {n for n, p in model.named_parameters() if p.requires_grad}
    assert 0.5 * everything < frozen < everything
    layers = {
        model.backbone.layer_index(n.removeprefix("backbone.")) for n in free if "backbone." in n
    }
    assert min(layers) == model.backbone.num_layers - 3
    assert {"head.weight", "head.bias"} <= free
    freeze(model, frozen_patterns(cfg, 0))
    assert {n for n, p in model.named_parameters() if p.requires_grad} == {
        "head.weight",
        "head.bias",
    }


def test_a_model_of_the_zoo_brings_its_inputs_but_not_its_training():
    start = find_start("", "uniformer_s")
    base = base_settings(start)
    assert base["DATA.NUM_FRAMES"] == 16
    assert not any(
        key.startswith(("TRAIN.", "SOLVER.")) or key == "MODEL.NUM_CLASSES" for key in base
    )
    part = training("all", "", start, ())
    assert part.settings["SOLVER.BASE_LR"] > 0


def test_own_videos_as_yaml_is_the_recipe_without_weights():
    experiment = load_config([SCRATCH.parents[3] / "exp/own_videos/config.yaml"], (), CHECKS)
    recipe = load_config([SCRATCH])
    assert options_of(experiment, SolverOptions) == options_of(recipe, SolverOptions)
    assert experiment.TRAIN.DATASET == experiment.TEST.DATASET == "class_folders"
    assert experiment.UNIFORMER == recipe.UNIFORMER
