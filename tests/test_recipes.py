"""What the published programs train and test with, as facts read in their code, against the experiments that follow them.

Each table stands by itself: it repeats the programs' files, not ours.
"""

import math
from pathlib import Path

import pytest

from slowfast_ext.config import load_config
from slowfast_ext.engine.run import Recipe

EXP = Path(__file__).resolve().parents[1] / "exp"

UNIFORMER = {
    "DATA.TRAIN_JITTER_SCALES_RELATIVE": [0.08, 1.0],
    "DATA.TRAIN_JITTER_ASPECT_RELATIVE": [0.75, 1.3333],
    "DATA.MEAN": [0.45, 0.45, 0.45],
    "DATA.STD": [0.225, 0.225, 0.225],
    "DATA.TEST_CROP_RATIO": 1.0,
    "DATA.ANTIALIAS": False,
    "AUG.NUM_SAMPLE": 2,
    "AUG.COLOR_JITTER": 0.0,  # AA_TYPE switches it off
    "AUG.RE_PROB": 0.25,
    "AUG.RE_MODE": "pixel",
    "MIXUP.ALPHA": 0.8,
    "MIXUP.CUTMIX_ALPHA": 1.0,
    "MIXUP.LABEL_SMOOTH_VALUE": 0.1,
    "SOLVER.OPTIMIZING_METHOD": "adamw",
    "SOLVER.WEIGHT_DECAY": 0.05,
    "SOLVER.ZERO_WD_1D_PARAM": True,
    "SOLVER.COSINE_AFTER_WARMUP": True,
    "SOLVER.CLIP_GRAD_L2NORM": 20.0,
    "MODEL.DROPOUT_RATE": 0.0,
    "TEST.ENSEMBLE": "logits",
}
DENSE = {"DATA.SAMPLING": "dense", "DATA.FRAME_SPACING": "linspace", "DATA.TARGET_FPS": 0.0}
MOTIONFORMER = {
    "DATA.MEAN": [0.5, 0.5, 0.5],
    "DATA.STD": [0.5, 0.5, 0.5],
    "DATA.NUM_FRAMES": 16,
    "DATA.TRAIN_JITTER_SCALES": [256, 320],
    "DATA.TRAIN_JITTER_SCALES_RELATIVE": [],
    "DATA.ANTIALIAS": False,
    "AUG.RE_PROB": 0.0,
    "AUG.NUM_SAMPLE": 1,
    "MIXUP.ENABLE": False,
    "MIXUP.LABEL_SMOOTH_VALUE": 0.2,
    "MODEL.DROP_PATH": 0.2,
    "MODEL.DROPOUT_RATE": 0.0,
    "SOLVER.OPTIMIZING_METHOD": "adamw",
    "SOLVER.LR_POLICY": "steps_with_relative_lrs",
    "SOLVER.LRS": [1, 0.1, 0.01],
    "SOLVER.WEIGHT_DECAY": 0.05,
    "SOLVER.ZERO_WD_1D_PARAM": False,
    "SOLVER.WARMUP_EPOCHS": 0.0,
    "TRAIN.PRECISION": "fp16",
    "TEST.NUM_SPATIAL_CROPS": 3,
    "TEST.ENSEMBLE": "probs",
}
XVIT = {
    "DATA.MEAN": [0.5, 0.5, 0.5],
    "DATA.STD": [0.5, 0.5, 0.5],
    "DATA.NUM_FRAMES": 16,
    "DATA.ANTIALIAS": False,
    "AUG.AA_TYPE": "v0",
    "MODEL.DROPOUT_RATE": 0.5,
    "SOLVER.OPTIMIZING_METHOD": "sgd",
    "SOLVER.MOMENTUM": 0.9,
    "SOLVER.NESTEROV": True,
    "SOLVER.LR_POLICY": "cosine",
    "SOLVER.COSINE_AFTER_WARMUP": False,
    "SOLVER.COSINE_END_LR": 0.0,
    "SOLVER.WARMUP_EPOCHS": 5.0,
    "SOLVER.ZERO_WD_1D_PARAM": False,
    "TRAIN.BATCH_SIZE": 64,
    "TRAIN.PRECISION": "fp32",  # no autocast in its train_net.py
    "TEST.NUM_SPATIAL_CROPS": 3,
}
DEIT = {
    "DATA.MEAN": [0.485, 0.456, 0.406],
    "DATA.TEST_CROP_RATIO": 0.875,
    "DATA.INTERPOLATION": "bicubic",
    "AUG.AA_TYPE": "rand-m9-mstd0.5-inc1",
    "AUG.RE_PROB": 0.25,
    "AUG.RE_MODE": "pixel",
    "MIXUP.ALPHA": 0.8,
    "MIXUP.CUTMIX_ALPHA": 1.0,
    "MIXUP.LABEL_SMOOTH_VALUE": 0.1,
    "SOLVER.WEIGHT_DECAY": 0.05,
    "SOLVER.MAX_EPOCH": 300,
    "SOLVER.WARMUP_EPOCHS": 5.0,
    "SOLVER.COSINE_AFTER_WARMUP": False,
    "SOLVER.CLIP_GRAD_L2NORM": 0.0,
    "TRAIN.BATCH_SIZE": 1024,
}
TOKEN_LABELS = {
    # main.py's defaults, timm 0.4.5 (crop_pct 0.9 of its _cfg; epochs + cooldown_epochs 10), and the run.sh of *_tl_224
    "TASK": "token_labelling",
    "DATA.MEAN": [0.485, 0.456, 0.406],
    "DATA.STD": [0.229, 0.224, 0.225],
    "DATA.TEST_CROP_RATIO": 0.9,
    "DATA.TRAIN_JITTER_SCALES_RELATIVE": [0.08, 1.0],
    "AUG.AA_TYPE": "rand-m9-mstd0.5-inc1",
    "AUG.RE_PROB": 0.25,
    "AUG.RE_MODE": "pixel",
    "AUG.REPEATED_DRAWS": 1,
    "MIXUP.ENABLE": False,  # mixup 0, cutmix 0
    "MIXUP.LABEL_SMOOTH_VALUE": 0.1,
    "TOKEN_LABELS.TOKEN_SIZE": 32,  # token-label-size 7 at 224 px, 12 at 384
    "TOKEN_LABELS.LOSS_WEIGHT": 1.0,  # dense-weight, cls-weight 1
    "TOKEN_LABELS.MIX_ALPHA": 1.0,  # beta of mix_token
    "SOLVER.OPTIMIZING_METHOD": "adamw",
    "SOLVER.ZERO_WD_1D_PARAM": True,
    "SOLVER.BASE_LR_BATCH": 0,
    "SOLVER.CLIP_GRAD_L2NORM": 0.0,
    "TRAIN.PRECISION": "fp16",
}
TOKENS_224 = TOKEN_LABELS | {
    "SOLVER.BASE_LR": 1.6e-3, "SOLVER.WEIGHT_DECAY": 0.05, "SOLVER.MAX_EPOCH": 310, "SOLVER.WARMUP_EPOCHS": 5.0,
    "TRAIN.BATCH_SIZE": 1024, "TRAIN.EMA_DECAY": 0.99992, "DATA.TRAIN_CROP_SIZE": 224,
}  # fmt: skip
TOKENS_384 = TOKEN_LABELS | {
    "SOLVER.BASE_LR": 5e-6, "SOLVER.COSINE_END_LR": 5e-6, "SOLVER.WEIGHT_DECAY": 1e-8, "SOLVER.MAX_EPOCH": 60,
    "SOLVER.WARMUP_EPOCHS": 0.0, "TRAIN.BATCH_SIZE": 512, "TRAIN.EMA_DECAY": 0.0, "DATA.TRAIN_CROP_SIZE": 384,
    "DATA.TEST_CROP_SIZE": 384,
}  # fmt: skip
KINETICS_XVIT = {
    "DATA.SAMPLING": "dense",
    "DATA.SAMPLING_RATE": 16,
    "DATA.FRAME_SPACING": "linspace",
    "DATA.USE_OFFSET_SAMPLING": False,
    "DATA.TRAIN_MULTI_SCALE_CROP": [1.0, 0.875, 0.75, 0.66],
    "DATA.RANDOM_FLIP": True,
    "AUG.RE_PROB": 0.0,
    "MIXUP.ALPHA": 0.4,
    "MIXUP.CUTMIX_ALPHA": 0.0,
    "MIXUP.LABEL_SMOOTH_VALUE": 0.3,
    "SOLVER.MAX_EPOCH": 30,
    "SOLVER.WEIGHT_DECAY": 1e-5,
    "ATTENTION.MIXING.SHIFT_DIV": 8,
    "TEST.NUM_ENSEMBLE_VIEWS": 1,
}

PROGRAMS = {
    "uniformer_s16x4_k400": UNIFORMER | DENSE | {
        "AUG.AA_TYPE": "rand-m7-n4-mstd0.5-inc1", "DATA.USE_OFFSET_SAMPLING": True, "MODEL.DROP_PATH": 0.1,
        "SOLVER.MAX_EPOCH": 110, "SOLVER.WARMUP_EPOCHS": 10.0, "TRAIN.BATCH_SIZE": 32,
        "TEST.NUM_ENSEMBLE_VIEWS": 4, "TEST.NUM_SPATIAL_CROPS": 1,
    },
    "uniformer_b16x4_k400": UNIFORMER | DENSE | {
        "MODEL.DROP_PATH": 0.3, "SOLVER.MAX_EPOCH": 110, "TRAIN.BATCH_SIZE": 40,
    },
    "uniformer_s16_sthv2_prek400": UNIFORMER | {
        "DATA.SAMPLING": "segment", "DATA.RANDOM_FLIP": False, "DATA.CHANNEL_ORDER": "bgr", "MODEL.DROP_PATH": 0.3,
        "SOLVER.MAX_EPOCH": 50, "SOLVER.WARMUP_EPOCHS": 5.0, "TRAIN.BATCH_SIZE": 32,
        "TEST.NUM_ENSEMBLE_VIEWS": 1, "TEST.NUM_SPATIAL_CROPS": 3,
    },
    "uniformer_s_in1k": DEIT | {"AUG.REPEATED_DRAWS": 3, "MODEL.DROP_PATH": 0.1},
    "uniformer_b_in1k": DEIT | {"AUG.REPEATED_DRAWS": 3, "MODEL.DROP_PATH": 0.3},
    "deit_s_in1k": DEIT | {"AUG.REPEATED_DRAWS": 1, "MODEL.DROP_PATH": 0.1},
    "uniformer_s_tl_in1k": TOKENS_224 | {"MODEL.DROP_PATH": 0.1, "UNIFORMER.HEAD_DIM": 32},
    "uniformer_b_tl_in1k": TOKENS_224 | {"MODEL.DROP_PATH": 0.3, "UNIFORMER.HEAD_DIM": 32},
    "uniformer_l_tl_in1k": TOKENS_224 | {
        "MODEL.DROP_PATH": 0.4, "SOLVER.BASE_LR": 1.2e-3, "UNIFORMER.HEAD_DIM": 64, "UNIFORMER.LAYER_SCALE": 1e-6,
    },
    "uniformer_s_384_in1k": TOKENS_384 | {"MODEL.DROP_PATH": 0.1, "UNIFORMER.HEAD_DIM": 32},
    "uniformer_b_384_in1k": TOKENS_384 | {"MODEL.DROP_PATH": 0.3, "UNIFORMER.HEAD_DIM": 32},
    "uniformer_l_384_in1k": TOKENS_384 | {"MODEL.DROP_PATH": 0.3, "TRAIN.BATCH_SIZE": 256},
    # StructViT follows these programs; its stochastic depth is its own (Sec. 4.3)
    "structvit_s_4_1_tl_in1k": TOKENS_224 | {"MODEL.DROP_PATH": 0.1},
    "structvit_b_4_1_tl_in1k": TOKENS_224 | {"MODEL.DROP_PATH": 0.3},
    "structvit_l_4_1_tl_in1k": TOKENS_224 | {"MODEL.DROP_PATH": 0.4, "SOLVER.BASE_LR": 1.2e-3},
    "structvit_b_4_1_384_in1k": TOKENS_384 | {"MODEL.DROP_PATH": 0.3},
    "motionformer_k400": MOTIONFORMER | {
        "DATA.SAMPLING_RATE": 4, "DATA.TARGET_FPS": 30.0, "DATA.FRAME_SPACING": "linspace",
        "DATA.USE_OFFSET_SAMPLING": False, "AUG.AA_TYPE": "", "AUG.COLOR_JITTER": 0.4, "SOLVER.STEPS": [0, 20, 30],
        "SOLVER.MAX_EPOCH": 35, "TEST.NUM_ENSEMBLE_VIEWS": 10,
    },
    "motionformer_ssv2": MOTIONFORMER | {
        "DATA.SAMPLING": "segment", "DATA.RANDOM_FLIP": False, "DATA.INV_UNIFORM_SAMPLE": True,
        "AUG.AA_TYPE": "rand-m20-mstd0.5-inc1", "AUG.COLOR_JITTER": 0.0, "SOLVER.MAX_EPOCH": 35,
        "TEST.NUM_ENSEMBLE_VIEWS": 1,
    },
    "motionformer_divided_ssv2": {"AUG.AA_TYPE": "rand-m20-mstd0.5-inc1"},
    "motionformer_joint_ssv2": {"AUG.AA_TYPE": ""},  # USE_RAND_AUGMENT False in its file, and in this one only
    "motionformer_jointpos_ssv2": {"AUG.AA_TYPE": "rand-m20-mstd0.5-inc1"},
    "motionformer_epic": MOTIONFORMER | {
        "DATA.SAMPLING": "dense", "DATA.SAMPLING_RATE": 4, "DATA.TARGET_FPS": 30.0, "DATA.FRAME_SPACING": "linspace",
        "AUG.AA_TYPE": "rand-m15-mstd0.5-inc1", "AUG.COLOR_JITTER": 0.0, "SOLVER.STEPS": [0, 30, 40],
        "SOLVER.MAX_EPOCH": 50, "TEST.NUM_ENSEMBLE_VIEWS": 10, "MODEL.NUM_CLASSES": [97, 300],
    },
    "xvit_b16_k400": XVIT | KINETICS_XVIT,
    "xvit_b16_k600": XVIT | KINETICS_XVIT,
    "xvit_b16_ssv2": XVIT | {
        "DATA.SAMPLING": "segment", "DATA.RANDOM_FLIP": False, "DATA.TRAIN_JITTER_SCALES": [256, 320],
        "DATA.TRAIN_MULTI_SCALE_CROP": [], "AUG.RE_PROB": 0.5, "AUG.RE_MODE": "const", "MIXUP.ENABLE": False,
        "MIXUP.LABEL_SMOOTH_VALUE": 0.0, "SOLVER.MAX_EPOCH": 35, "SOLVER.WEIGHT_DECAY": 1e-4,
        "ATTENTION.MIXING.SHIFT_DIV": 4, "DATA.TEST_CLIPS": "parts",  # middle, first and last frames, by clip
    },
    "feature_fixation_ssv2": {
        "SOLVER.MAX_EPOCH": 35, "SOLVER.COSINE_AFTER_WARMUP": False, "AUG.RE_MODE": "const", "TRAIN.PRECISION": "fp32",
        "TEST.NUM_ENSEMBLE_VIEWS": 2, "TEST.NUM_SPATIAL_CROPS": 3,
    },
    "feature_fixation_k400": {
        "SOLVER.MAX_EPOCH": 35, "DATA.FRAME_SPACING": "linspace", "TEST.NUM_ENSEMBLE_VIEWS": 4,
        "TEST.NUM_SPATIAL_CROPS": 3,
    },
    "structvit_s_4_1_k400": {
        "SOLVER.MAX_EPOCH": 110, "SOLVER.WARMUP_EPOCHS": 10.0, "SOLVER.WEIGHT_DECAY": 0.05, "TRAIN.BATCH_SIZE": 64,
        "MODEL.DROP_PATH": 0.1, "MODEL.DROPOUT_RATE": 0.5, "SOLVER.CLIP_GRAD_L2NORM": 1.0,  # MViT's
        "DATA.TEST_CROP_RATIO": 224 / 256,
    },
    "structvit_s_4_1_ssv1": {
        "SOLVER.MAX_EPOCH": 60, "SOLVER.WARMUP_EPOCHS": 5.0, "DATA.RANDOM_FLIP": False, "DATA.SAMPLING": "segment",
        "DATA.TEST_CROP_RATIO": 1.0,
    },
    "timesformer_b_k400": {
        "SOLVER.OPTIMIZING_METHOD": "sgd", "SOLVER.STEPS": [0, 11, 14], "SOLVER.MAX_EPOCH": 15,
        "SOLVER.WEIGHT_DECAY": 1e-4, "SOLVER.MOMENTUM": 0.9, "TRAIN.BATCH_SIZE": 8, "TEST.NUM_SPATIAL_CROPS": 3,
    },
}  # fmt: skip


def value_at(cfg, key):
    for part in key.split("."):
        cfg = cfg[part]
    return list(cfg) if isinstance(cfg, tuple) else cfg


@pytest.mark.parametrize("name", PROGRAMS)
def test_values_of_the_program(name):
    cfg = load_config([EXP / name / "config.yaml"])
    found = {key: value_at(cfg, key) for key in PROGRAMS[name]}
    assert found == PROGRAMS[name]


def cosine(base, end, epoch, epochs, warmup=0.0, start=0.0, after=False):
    """PySlowFast's get_lr_at_epoch, and timm's cosine, whose warm-up covers the beginning of the fall."""

    def fall(at):
        offset = warmup if after else 0.0
        return end + (base - end) * (1 + math.cos(math.pi * (at - offset) / (epochs - offset))) / 2

    if epoch >= warmup:
        return fall(epoch)
    return start + epoch * (fall(warmup) - start) / warmup


KINETICS = {"end": 1e-6, "start": 1e-6, "epochs": 110, "warmup": 10, "after": True}
SSV = KINETICS | {"epochs": 50, "warmup": 5}
SCHEDULES = {
    # name: nodes, then the numbers of the program's run.sh, its scaling of them by nodes done
    "uniformer_s16x4_k400": (1, KINETICS | {"base": 1e-4}),
    "uniformer_s8x8_k400": (1, KINETICS | {"base": 4e-4, "epochs": 100}),
    "uniformer_b16x4_k400": (1, KINETICS | {"base": 1.25e-4}),
    "uniformer_s16_sthv2_prek400": (1, SSV | {"base": 2e-4}),
    # run.sh of b32x4_k600: 4 nodes, and the only one that leaves BASE_LR_SCALE_NUM_SHARDS True (config.yaml)
    "uniformer_b32x4_k600": (4, KINETICS | {"base": 4e-4, "end": 4e-6, "start": 4e-6}),
    # EMIM's run.sh on several nodes set BASE_LR_SCALE_NUM_SHARDS False: BASE_LR is the rate, the ends stay
    "uniformer_s16x4_k400_uniformer_extra_attn64_ATTN_ATTN_7_7_LG_ok": (2, KINETICS | {"base": 2e-4}),
    "uniformer_b16x4_k400_uniformer_extra_attn64_ATTN_ATTN_7_7_LG": (4, KINETICS | {"base": 5e-4}),
    "uniformer_b32x4_k400_uniformer_extra_attn128_ATTN_ATTN_7_7_LG": (8, KINETICS | {"base": 8e-4}),
    "uniformer_b32_sthv1_prek400_uniformer_extra_attn64_ATTN_ATTN_7_7_LG": (
        2,
        SSV | {"base": 4e-4, "epochs": 60},
    ),
    "uniformer_b32_sthv2_prek400_uniformer_extra_attn128_ATTN_ATTN_7_7_LG": (4, SSV | {"base": 8e-4}),
    "uniformer_b_in1k": (
        1,
        {"base": 4e-4 * 1024 / 512, "end": 1e-5, "start": 1e-6, "epochs": 300, "warmup": 5},
    ),
    "uniformer_b_tl_in1k": (
        1,
        {"base": 1.6e-3, "end": 1e-5, "start": 1e-6, "epochs": 300, "warmup": 5},
    ),
    "xvit_b16_k400": (1, {"base": 0.03, "end": 0, "start": 0.01, "epochs": 30, "warmup": 5}),
    "xvit_b16_ssv2": (1, {"base": 0.03, "end": 0, "start": 0.003, "epochs": 35, "warmup": 5}),
    # 32 GPUs x 32 videos x 2 clips; run_finetuning.py:537-539 multiplies lr, min_lr and warmup_lr by clips / 256
    "internvideo2_b_k400": (
        4,
        {"base": 1.6e-4, "end": 8e-6, "start": 8e-6, "epochs": 5, "warmup": 1, "after": True},
    ),
    "videomae_b_k400": (
        8,
        {"base": 5e-4 * 1.5, "end": 1.5e-6, "start": 1.5e-6, "epochs": 75, "warmup": 5, "after": True},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SCHEDULES)
def test_rate_over_the_training(name):
    nodes, numbers = SCHEDULES[name]
    recipe = Recipe.from_cfg(load_config([EXP / name / "config.yaml"], ["NUM_SHARDS", str(nodes)]))
    warmup, epochs = numbers["warmup"], numbers["epochs"]
    for epoch in (0.0, 0.3 * warmup, warmup, 0.6 * epochs, epochs - 0.5):
        rate = cosine(epoch=epoch, **numbers)
        assert recipe.learning_rate(epoch) == pytest.approx(rate, rel=1e-9)


def test_token_labels_end_with_ten_epochs_at_the_last_rate():
    """timm counts its cooldown beyond `epochs`, and LV-ViT's program trains through it."""
    recipe = Recipe.from_cfg(load_config([EXP / "uniformer_s_tl_in1k/config.yaml"]))
    assert recipe.learning_rate(299) > 1e-5
    for epoch in (300, 305, 309.9):
        assert recipe.learning_rate(epoch) == 1e-5


def test_the_audited_point_of_xvits_schedule():
    recipe = Recipe.from_cfg(load_config([EXP / "xvit_b16_k400/config.yaml"]))
    assert recipe.learning_rate(15) == pytest.approx(0.015)


@pytest.mark.parametrize("frames", [8, 64, 640])
def test_rates_of_a_small_batch_never_rise_at_the_end(frames):
    cfg = load_config(
        [EXP / "uniformerv2_b8_k400_prek710/config.yaml"], ["TRAIN.BATCH_SIZE", str(frames)]
    )
    recipe = Recipe.from_cfg(cfg)
    rates = [recipe.learning_rate(epoch) for epoch in (1.0, 2.0, 3.0, 4.0, 5.0)]
    assert rates == sorted(rates, reverse=True)


def test_structvit_4x1_is_tested_with_room_and_4x3_without():
    """MViT's loader: 256 px under the crop where there is one crop, the crop's own size for three."""
    file = EXP / "structvit_b_4_1_k400/config.yaml"
    assert load_config([file]).DATA.TEST_CROP_RATIO == 0.875
    assert load_config([EXP / "structvit_b_4_1_ssv2/config.yaml"]).DATA.TEST_CROP_RATIO == 1.0


def test_guesses_are_called_guesses():
    recipes = EXP.parent / "slowfast_ext/configs/recipes"
    for file in (
        recipes / "structvit_kinetics.yaml",
        recipes / "structvit_crop_only.yaml",
        EXP / "motionformer_joint_square_ssv2/config.yaml",
        EXP / "motionformer_joint_jointpos_ssv2/config.yaml",
    ):
        assert "guess" in file.read_text(), file
