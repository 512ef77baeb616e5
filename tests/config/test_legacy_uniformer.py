"""YAML files and overrides of UniFormer and EMIM, as users have them."""

import logging

import pytest

from slowfast_ext.config import load_config
from slowfast_ext.config.explain import changed_keys
from slowfast_ext.errors import ConfigError
from slowfast_ext.models import check_model

UNIFORMER = """
TRAIN:
  ENABLE: True
  DATASET: kinetics
  BATCH_SIZE: 8
DATA:
  USE_OFFSET_SAMPLING: True
  DECODING_BACKEND: decord
  NUM_FRAMES: 16
  SAMPLING_RATE: 4
  TRAIN_JITTER_SCALES: [256, 320]
  TRAIN_CROP_SIZE: 224
  TEST_CROP_SIZE: 224
  INPUT_CHANNEL_NUM: [3]
  TRAIN_JITTER_SCALES_RELATIVE: [0.08, 1.0]
  TRAIN_JITTER_ASPECT_RELATIVE: [0.75, 1.3333]
UNIFORMER:
  EMBED_DIM: [64, 128, 320, 512]
  DEPTH: [3, 4, 8, 3]
  HEAD_DIM: 64
  MLP_RATIO: 4
  QKV_SCALE: null
  DROPOUT_RATE: 0
  ATTENTION_DROPOUT_RATE: 0
  DROP_DEPTH_RATE: 0.1
  SPLIT: False
  STD: False
  PRUNE_RATIO: [[], [], [1, 0.5], [0.5]]
  PRETRAIN_NAME: 'uniformer_small_in1k'
AUG:
  NUM_SAMPLE: 2
  COLOR_JITTER: 0.4
  AA_TYPE: rand-m7-n4-mstd0.5-inc1
  RE_SPLIT: False
BN:
  USE_PRECISE_STATS: False
  NUM_BATCHES_PRECISE: 200
SOLVER:
  BASE_LR: 1e-4
  CLIP_GRADIENT: 20
MODEL:
  NUM_CLASSES: 400
  ARCH: uniformer
  MODEL_NAME: Uniformer
  LOSS_FUNC: soft_cross_entropy
  DROPOUT_RATE: 0.5
  USE_CHECKPOINT: True
  CHECKPOINT_NUM: [0, 0, 4, 0]
TEST:
  DATASET: kinetics
  NUM_SPATIAL_CROPS: 1
"""
EMIM = """
TRAIN:
  DATASET: sth
TEST:
  DATASET: sth
UNIFORMER:
  DROP_DEPTH_RATE: 0.1
  SPLIT: False
  PRETRAIN_NAME: 'uniformer_small_in1k'
  ATTN_TYPE: ['extra_attn64', 'extra_attn64']
  ATTN_MAX_DISP: [7, 7]
  CONTINUOUS_ATTN: 'lg'
  LAYER_SCALE: False
  EXTRA_ATTN: none
MODEL:
  ARCH: uniformer
  USE_CHECKPOINT: False
  CHECKPOINT_NUM: [5, 8, 20, 0]
"""


@pytest.fixture
def load(tmp_path):
    def load(text, *pairs):
        file = tmp_path / "config.yaml"
        file.write_text(text)
        return load_config([file], pairs, [check_model])

    return load


def test_uniformer_file(load, caplog):
    with caplog.at_level(logging.WARNING):
        changed = changed_keys(load(UNIFORMER))
    expected = {
        "MODEL.BACKBONE": "uniformer",
        "MODEL.DROP_PATH": 0.1,
        "MODEL.CHECKPOINT_BLOCKS": [0, 0, 4, 0],
        "SOLVER.CLIP_GRAD_L2NORM": 20.0,
        "DATA.FRAME_SPACING": "linspace",
        "TEST.ENSEMBLE": "logits",
        "TRAIN.CHECKPOINT_FILE_PATH": "path_to_models/uniformer_small_in1k.pth",
        "TRAIN.CHECKPOINT_INFLATE": "mean",
        "TRAIN.CHECKPOINT_CHANGED": ["head"],
    }
    assert {key: changed[key] for key in expected} == expected
    assert not {"MODEL.DROPOUT_RATE", "AUG.COLOR_JITTER", "UNIFORMER.TEMPORAL_STRIDE"} & set(
        changed
    )
    for key in ("MODEL.DROPOUT_RATE", "AUG.COLOR_JITTER", "UNIFORMER.PRUNE_RATIO"):
        assert key in caplog.text


def test_emim_file(load):
    cfg = load(EMIM)
    assert cfg.ATTENTION.CYCLE == ["emim", "joint"]
    assert cfg.ATTENTION.EMIM.WINDOW == [7, 7]
    assert cfg.UNIFORMER.TEMPORAL_STRIDE == 1
    assert cfg.UNIFORMER.LAYER_SCALE == 0.0
    assert cfg.MODEL.CHECKPOINT_BLOCKS == [0]
    assert cfg.TRAIN.CHECKPOINT_CHANGED == ["head", "new"]
    assert cfg.TRAIN.DATASET == cfg.TEST.DATASET == "frames"
    assert (cfg.DATA.SAMPLING, cfg.DATA.CHANNEL_ORDER) == ("segment", "bgr")


def test_old_overrides_beat_the_file(load):
    cfg = load(UNIFORMER, "UNIFORMER.DROP_DEPTH_RATE", "0.2", "TEST.TEST_BEST", "True")
    assert cfg.MODEL.DROP_PATH == 0.2
    assert cfg.TEST.CHECKPOINT_FILE_PATH == "best"


def test_old_overrides_beat_new_keys_of_a_file(load):
    cfg = load("MODEL:\n  DROP_PATH: 0.3\n", "UNIFORMER.DROP_DEPTH_RATE", "0.2")
    assert cfg.MODEL.DROP_PATH == 0.2


def test_todays_keys_beat_what_is_implied(load):
    text = EMIM + "DATA:\n  CHANNEL_ORDER: rgb\nATTENTION:\n  CYCLE: [joint]\n"
    cfg = load(text)
    assert cfg.DATA.CHANNEL_ORDER == "rgb"
    assert cfg.ATTENTION.CYCLE == ["joint"]


def test_split_and_scores(load):
    cfg = load("MODEL:\n  ARCH: uniformer\nUNIFORMER:\n  SPLIT: True\nTEST:\n  ADD_SOFTMAX: True\n")
    assert cfg.ATTENTION.CYCLE == ["split"]
    assert cfg.TEST.ENSEMBLE == "probs"


@pytest.mark.parametrize(("sides", "window"), [([7, 7], [7, 7]), ([7, 5], [[7, 7], [5, 5]])])
def test_windows_may_differ_between_the_stages(load, sides, window):
    cfg = load(f"MODEL:\n  ARCH: uniformer\nUNIFORMER:\n  ATTN_MAX_DISP: {sides}\n")
    assert window == cfg.ATTENTION.EMIM.WINDOW


def test_todays_files_are_left_alone(load, caplog):
    text = "MODEL:\n  BACKBONE: uniformer\n  DROPOUT_RATE: 0.5\nAUG:\n  COLOR_JITTER: 0.4\n"
    cfg = load(text)
    assert (cfg.MODEL.DROPOUT_RATE, cfg.AUG.COLOR_JITTER) == (0.5, 0.4)
    assert cfg.DATA.FRAME_SPACING == "stride"
    assert not caplog.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "UNIFORMER:\n  ATTN_TYPE: [extra_attn64, extra_attn7]\n",
            r":2: .*ATTN_TYPE.*extra_attn128",
        ),
        (
            "UNIFORMER:\n  ATTN_TYPE: [extra_attn64, extra_attn64]\n  CONTINUOUS_ATTN: gg\n",
            "CONTINUOUS_ATTN: lg",
        ),
        (
            "MODEL:\n  ARCH: uniformer\nUNIFORMER:\n  ATTN_TYPE: [extra_attn64, extra_attn64]\n"
            "  ATTN_MAX_DISP: [7, 4]\n",
            r"ATTN_MAX_DISP\).*\[\[7, 7\], \[4, 4\]\]: has no centre",
        ),
        ("UNIFORMER:\n  QKV_SCALE: 0.5\n", "not supported"),
        ("BN:\n  USE_PRECISE_STATS: True\n", "not supported"),
        ("MODEL:\n  ARCH: slowfast\n", "an architecture that is not here; there is uniformer"),
        ("MODEL:\n  LOSS_FUNC: hinge\n", "losses are"),
    ],
)
def test_what_cannot_be_meant_is_an_error_with_its_place(load, text, message):
    with pytest.raises(ConfigError, match=message):
        load(text)
