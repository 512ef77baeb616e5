"""What TimeSformer's program trains and tests with, as facts read in its code and its files."""

import pytest
from recipe_values import values

TIMESFORMER = {
    "DATA.MEAN": [0.45, 0.45, 0.45],
    "DATA.STD": [0.225, 0.225, 0.225],
    "DATA.TRAIN_CROP_SIZE": 224,
    "DATA.TEST_CROP_SIZE": 224,
    "DATA.TRAIN_JITTER_SCALES": [256, 320],
    "AUG.AA_TYPE": "",
    "AUG.COLOR_JITTER": 0.0,
    "AUG.RE_PROB": 0.0,
    "MIXUP.ENABLE": False,
    "MIXUP.LABEL_SMOOTH_VALUE": 0.0,
    "MODEL.DROP_PATH": 0.1,  # drop_path_rate in models/vit.py; no key of its files
    "MODEL.DROPOUT_RATE": 0.0,  # its files say 0.5, and its model reads them not
    "SOLVER.OPTIMIZING_METHOD": "sgd",
    "SOLVER.BASE_LR": 0.005,
    "SOLVER.MOMENTUM": 0.9,
    "SOLVER.NESTEROV": True,
    "SOLVER.WEIGHT_DECAY": 1e-4,
    "SOLVER.LR_POLICY": "steps_with_relative_lrs",
    "SOLVER.STEPS": [0, 11, 14],
    "SOLVER.LRS": [1, 0.1, 0.01],
    "SOLVER.MAX_EPOCH": 15,
    "SOLVER.WARMUP_EPOCHS": 0.0,
    "SOLVER.CLIP_GRAD_L2NORM": 0.0,
    "TRAIN.BATCH_SIZE": 8,
    "TRAIN.PRECISION": "fp32",
    "TEST.NUM_ENSEMBLE_VIEWS": 1,
    "TEST.NUM_SPATIAL_CROPS": 3,
}
TIMESFORMER_KINETICS = {
    "DATA.SAMPLING": "dense", "DATA.CHANNEL_ORDER": "rgb", "DATA.TARGET_FPS": 30.0, "DATA.RANDOM_FLIP": True,
    "DATA.INV_UNIFORM_SAMPLE": False,
}  # fmt: skip
TIMESFORMER_SSV2 = {
    # REVERSE_INPUT_CHANNEL of its files is read in pack_pathway_output, which ssv2.py leaves out for a ViT
    "DATA.SAMPLING": "segment", "DATA.CHANNEL_ORDER": "bgr", "DATA.RANDOM_FLIP": False, "DATA.INV_UNIFORM_SAMPLE": True,
    "MODEL.NUM_CLASSES": 174,
}  # fmt: skip
TIMESFORMER_HR = {
    "DATA.NUM_FRAMES": 16, "DATA.TRAIN_CROP_SIZE": 448, "DATA.TEST_CROP_SIZE": 448, "DATA.TRAIN_JITTER_SCALES": [448, 512],
}  # fmt: skip

PROGRAMS = {
    "timesformer_b_k400": TIMESFORMER | TIMESFORMER_KINETICS | {
        "DATA.NUM_FRAMES": 8, "DATA.SAMPLING_RATE": 32, "MODEL.NUM_CLASSES": 400,
    },
    "timesformer_hr_k400": TIMESFORMER | TIMESFORMER_KINETICS | TIMESFORMER_HR | {"DATA.SAMPLING_RATE": 16},
    "timesformer_l_k400": TIMESFORMER | TIMESFORMER_KINETICS | {"DATA.NUM_FRAMES": 96, "DATA.SAMPLING_RATE": 4},
    "timesformer_l_k600": TIMESFORMER | TIMESFORMER_KINETICS | {
        "DATA.NUM_FRAMES": 96, "DATA.SAMPLING_RATE": 4, "MODEL.NUM_CLASSES": 600,
    },
    "timesformer_b_ssv2": TIMESFORMER | TIMESFORMER_SSV2 | {"DATA.NUM_FRAMES": 8},
    "timesformer_hr_ssv2": TIMESFORMER | TIMESFORMER_SSV2 | TIMESFORMER_HR,
    "timesformer_l_ssv2": TIMESFORMER | TIMESFORMER_SSV2 | {"DATA.NUM_FRAMES": 64},
}  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS)
def test_values_of_the_program(name):
    assert values(name, PROGRAMS[name]) == PROGRAMS[name]
