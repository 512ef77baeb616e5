"""Named models: what their files say is what their experiments train."""

import re
from pathlib import Path

import pytest
import torch
import yaml

import slowfast_ext
from slowfast_ext.config import load_config
from slowfast_ext.config.schema import get_dotted, schema
from slowfast_ext.models import build_model, check_model

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = Path(slowfast_ext.__file__).parent / "configs"
ZOO = {path.stem: path for path in sorted((CONFIGS / "zoo").glob("*.yaml"))}
FOUND = {
    name: re.search(r"Trained by exp/(\w+)\.$", path.read_text(), re.MULTILINE)
    for name, path in ZOO.items()
}
TRAINED_BY = {name: found[1] for name, found in FOUND.items() if found}
SHAPE = ("VIT", "XVIT", "UNIFORMER", "UNIFORMERV2", "ATTENTION")
MODEL = ("BACKBONE", "DROPOUT_RATE", "NUM_CLASSES", "INIT_STD")
INPUT = (
    *("NUM_FRAMES", "SAMPLING", "SAMPLING_RATE", "FRAME_SPACING", "TARGET_FPS", "RANDOM_FLIP"),
    *("USE_OFFSET_SAMPLING", "MEAN", "STD", "CHANNEL_ORDER", "TRAIN_CROP_SIZE", "TEST_CROP_SIZE"),
    *("TEST_CROP_RATIO", "ANTIALIAS", "INTERPOLATION", "MULTI_LABEL"),
)
VIEWS = ("ENSEMBLE", "NUM_ENSEMBLE_VIEWS", "NUM_SPATIAL_CROPS")


def test_most_models_have_an_experiment():
    assert len(TRAINED_BY) >= 76


def is_of_a_model(key):
    section, _, name = key.partition(".")
    fixed = {"DATA": INPUT, "MODEL": MODEL, "TEST": VIEWS}
    if key == "UNIFORMERV2.GLOBAL_DROP_PATH":  # of training, as MODEL.DROP_PATH is
        return False
    return section in SHAPE or name in fixed.get(section, ())


@pytest.mark.parametrize("name", ZOO)
def test_builds(name):
    cfg = load_config(ZOO[name], checks=(check_model,))
    with torch.device("meta"):
        assert all(parameter.is_meta for parameter in build_model(cfg).parameters())


@pytest.mark.parametrize("name", TRAINED_BY)
def test_is_what_its_experiment_trains(name):
    experiment = TRAINED_BY[name]
    zoo, trained = (
        load_config(file) for file in (ZOO[name], ROOT / f"exp/{experiment}/config.yaml")
    )
    differ = {
        key: (get_dotted(zoo, key), get_dotted(trained, key))
        for key in filter(is_of_a_model, schema())
        if get_dotted(zoo, key) != get_dotted(trained, key)
    }
    if zoo.DATA.SAMPLING == "segment":  # where no frame has a distance
        differ.pop("DATA.SAMPLING_RATE", None)
    assert not differ


@pytest.mark.parametrize("name", ZOO)
def test_names_no_data_set(name):
    bases = yaml.safe_load(ZOO[name].read_text())["_BASE_"]
    assert {base.split("/")[1] for base in bases} <= {"inputs", "models"}
    cfg, default = load_config(ZOO[name]), load_config()
    training = [key for key in schema() if key.startswith(("TRAIN.", "SOLVER.", "AUG.", "MIXUP."))]
    for key in (*training, "TEST.DATASET"):
        assert get_dotted(cfg, key) == get_dotted(default, key)


def test_something_something_models_of_opencv_readers_see_bgr():
    """The programs of UniFormer, EMIM, UniFormerV2 and TimeSformer read frames with OpenCV and do not turn them round."""
    ssv2 = [name for name in ZOO if name.endswith(("_ssv2", "_ssv2_32"))]
    read_by_opencv = ("uniformer_", "emim_", "uniformerv2_", "timesformer_")
    found = {name: load_config(ZOO[name]).DATA.CHANNEL_ORDER for name in ssv2}
    assert {name for name, order in found.items() if order == "bgr"} == {
        name for name in ssv2 if name.startswith(read_by_opencv)
    }
