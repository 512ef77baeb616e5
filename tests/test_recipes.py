"""What the published programs train and test with, as facts read in their code, against the experiments that follow them.

Each table stands by itself: it repeats the programs' files, not ours.
"""

import pytest
from recipe_values import EXP, values

from paper_tables.table import read_published
from slowfast_ext.config import load_config

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
SMALL_SETS = {
    # config.yaml and run.sh of uniformer_s16x4_{ucf101,hmdb51}_prek400
    "DATA.NUM_FRAMES": 16,
    "DATA.SAMPLING_RATE": 4,
    "DATA.USE_OFFSET_SAMPLING": True,
    "DATA.RANDOM_FLIP": True,
    "AUG.AA_TYPE": "rand-m5-n2-mstd0.25",
    "MODEL.DROP_PATH": 0.2,
    "SOLVER.MAX_EPOCH": 25,
    "SOLVER.WARMUP_EPOCHS": 5.0,
    "TRAIN.BATCH_SIZE": 128,
    "TEST.NUM_ENSEMBLE_VIEWS": 5,
    "TEST.NUM_SPATIAL_CROPS": 3,
}
EMIM = {
    "AUG.AA_TYPE": "rand-m7-n4-mstd0.5-inc1",
    "ATTENTION.CYCLE": ["emim", "joint"],  # CONTINUOUS_ATTN lg
    "ATTENTION.EMIM.WINDOW": [7, 7],  # ATTN_MAX_DISP
    "UNIFORMER.TEMPORAL_STRIDE": 1,
}
EMIM_SSV = {
    "DATA.SAMPLING": "segment",
    "DATA.CHANNEL_ORDER": "bgr",
    "DATA.RANDOM_FLIP": False,
    "SOLVER.WARMUP_EPOCHS": 5.0,
}
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
MOTIONFORMER_SSV = {
    "DATA.RANDOM_FLIP": False,
    "DATA.INV_UNIFORM_SAMPLE": True,
    "AUG.AA_TYPE": "rand-m20-mstd0.5-inc1",
    "AUG.COLOR_JITTER": 0.0,
    "SOLVER.STEPS": [0, 20, 30],
    "SOLVER.MAX_EPOCH": 35,
    "TEST.NUM_ENSEMBLE_VIEWS": 1,
}
HIGH_RESOLUTION = {
    "DATA.TRAIN_JITTER_SCALES": [384, 480],
    "DATA.TRAIN_CROP_SIZE": 336,
    "DATA.TEST_CROP_SIZE": 336,
}
LONG = {"DATA.NUM_FRAMES": 32, "DATA.SAMPLING_RATE": 3}
ABLATION = {"SOLVER.STEPS": [0, 20, 30], "SOLVER.MAX_EPOCH": 35, "TRAIN.BATCH_SIZE": 32}
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
    # run.sh of uniformer_{s16x4,b32x4}_k600
    "uniformer_s16x4_k600": UNIFORMER | DENSE | {
        "MODEL.DROP_PATH": 0.1, "MODEL.NUM_CLASSES": 600, "SOLVER.MAX_EPOCH": 110, "TRAIN.BATCH_SIZE": 96,
    },
    "uniformer_b32x4_k600": UNIFORMER | DENSE | {
        "DATA.NUM_FRAMES": 32, "MODEL.DROP_PATH": 0.3, "MODEL.NUM_CLASSES": 600, "SOLVER.MAX_EPOCH": 110,
        "SOLVER.WARMUP_EPOCHS": 10.0, "TRAIN.BATCH_SIZE": 32,
    },
    "uniformer_s16x4_ucf101_prek400": UNIFORMER | DENSE | SMALL_SETS | {"DATA.CHANNEL_ORDER": "rgb"},  # decord
    # slowfast/datasets/hmdb.py:213 reads pictures with cv2.imdecode (utils.py:36), and REVERSE_INPUT_CHANNEL is False
    "uniformer_s16x4_hmdb51_prek400": UNIFORMER | DENSE | SMALL_SETS | {"DATA.CHANNEL_ORDER": "bgr"},
    # config.yaml and run.sh of EMIM
    "uniformer_s16x4_k400_uniformer_extra_attn64_ATTN_ATTN_7_7_LG_ok": UNIFORMER | DENSE | EMIM | {
        "MODEL.DROP_PATH": 0.0875, "SOLVER.MAX_EPOCH": 110, "TRAIN.BATCH_SIZE": 32,
    },
    "uniformer_b16x4_k400_uniformer_extra_attn64_ATTN_ATTN_7_7_LG": UNIFORMER | DENSE | EMIM | {
        "MODEL.DROP_PATH": 0.3, "SOLVER.MAX_EPOCH": 110, "TRAIN.BATCH_SIZE": 40, "RNG_SEED": 666,
        "SOLVER.CLIP_GRAD_L2NORM": 5.0, "MODEL.CHECKPOINT_BLOCKS": [0, 0, 20, 0],
    },
    "uniformer_b32x4_k400_uniformer_extra_attn128_ATTN_ATTN_7_7_LG": UNIFORMER | DENSE | EMIM | {
        "DATA.NUM_FRAMES": 32, "MODEL.DROP_PATH": 0.4, "SOLVER.MAX_EPOCH": 110, "TRAIN.BATCH_SIZE": 32,
        "MODEL.CHECKPOINT_BLOCKS": [5, 8, 20, 0],
    },
    "uniformer_s16_sthv1_pre1k_uniformer_extra_attn64_ATTN_ATTN_7_7_LG": UNIFORMER | EMIM | EMIM_SSV | {
        "MODEL.DROP_PATH": 0.2, "SOLVER.MAX_EPOCH": 60, "TRAIN.BATCH_SIZE": 32,
    },
    "uniformer_s16_sthv1_prek400_uniformer_extra_attn64_ATTN_ATTN_7_7_LG": UNIFORMER | EMIM | EMIM_SSV | {
        "MODEL.DROP_PATH": 0.25, "SOLVER.MAX_EPOCH": 60, "TRAIN.BATCH_SIZE": 32,
    },
    "uniformer_s16_sthv2_prek400_uniformer_extra_attn64_ATTN_ATTN_7_7_LG": UNIFORMER | EMIM | EMIM_SSV | {
        "MODEL.DROP_PATH": 0.3, "SOLVER.MAX_EPOCH": 50, "TRAIN.BATCH_SIZE": 32,
    },
    "uniformer_b16_sthv2_prek400_uniformer_extra_attn64_ATTN_ATTN_7_7_LG": UNIFORMER | EMIM | EMIM_SSV | {
        "MODEL.DROP_PATH": 0.4, "SOLVER.MAX_EPOCH": 50, "TRAIN.BATCH_SIZE": 40,
    },
    "uniformer_b32_sthv1_prek400_uniformer_extra_attn64_ATTN_ATTN_7_7_LG": UNIFORMER | EMIM | EMIM_SSV | {
        "DATA.NUM_FRAMES": 32, "MODEL.DROP_PATH": 0.55, "SOLVER.MAX_EPOCH": 60, "TRAIN.BATCH_SIZE": 32,
    },
    "uniformer_b32_sthv2_prek400_uniformer_extra_attn128_ATTN_ATTN_7_7_LG": UNIFORMER | EMIM | EMIM_SSV | {
        "DATA.NUM_FRAMES": 32, "MODEL.DROP_PATH": 0.45, "SOLVER.MAX_EPOCH": 50, "TRAIN.BATCH_SIZE": 32,
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
    "structvit_l_4_1_tl_in1k": TOKENS_224
    | {"MODEL.DROP_PATH": 0.4, "SOLVER.BASE_LR": 1.2e-3, "TRAIN.BATCH_SIZE": 512},  # 2 nodes
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
    # configs/{K400,SSV2,EK}/motionformer_{336_16x*,224_32x3}.yaml; 12 videos a node there (recipes/motionformer_hr.yaml)
    "motionformer_hr_k400": MOTIONFORMER | HIGH_RESOLUTION | {
        "DATA.SAMPLING_RATE": 8, "AUG.AA_TYPE": "", "AUG.COLOR_JITTER": 0.4, "SOLVER.STEPS": [0, 20, 30],
        "SOLVER.MAX_EPOCH": 35, "TEST.NUM_ENSEMBLE_VIEWS": 10,
    },
    "motionformer_hr_ssv2": MOTIONFORMER | HIGH_RESOLUTION | MOTIONFORMER_SSV,
    "motionformer_l_k400": MOTIONFORMER | LONG | {
        # USE_RANDOM_RESIZE_CROPS, in this file alone; its numbers: slowfast/datasets/transform.py:487
        "DATA.TRAIN_JITTER_SCALES_RELATIVE": [0.08, 1.0], "DATA.TRAIN_JITTER_ASPECT_RELATIVE": [0.75, 1.3333],
        "AUG.AA_TYPE": "", "AUG.COLOR_JITTER": 0.4, "SOLVER.STEPS": [0, 20, 30], "SOLVER.MAX_EPOCH": 35,
        "TEST.NUM_ENSEMBLE_VIEWS": 10,
    },
    "motionformer_l_ssv2": MOTIONFORMER | LONG | MOTIONFORMER_SSV,
    "motionformer_l_epic": MOTIONFORMER | LONG | {
        "AUG.AA_TYPE": "rand-m15-mstd0.5-inc1", "AUG.COLOR_JITTER": 0.0, "SOLVER.STEPS": [0, 30, 40],
        "SOLVER.MAX_EPOCH": 50, "TEST.NUM_ENSEMBLE_VIEWS": 10,
    },
    # Table 7 and Figure 3 name no training of their own: that of configs/{K400,SSV2}/motionformer_224_16x4.yaml
    "motionformer_one_frame_k400": MOTIONFORMER | ABLATION | {
        "DATA.NUM_FRAMES": 1, "ATTENTION.CYCLE": ["joint"], "AUG.AA_TYPE": "", "AUG.COLOR_JITTER": 0.4,
    },
    "motionformer_one_frame_ssv2": MOTIONFORMER | ABLATION | MOTIONFORMER_SSV | {
        "DATA.NUM_FRAMES": 1, "ATTENTION.CYCLE": ["joint"],
    },
    **{
        f"motionformer_strides_{how}_k400": MOTIONFORMER | ABLATION | {
            "DATA.SAMPLING": "dense", "DATA.SAMPLING_RATE": 8, "AUG.AA_TYPE": "", "AUG.COLOR_JITTER": 0.4,
        }
        for how in ("trajectory", "divided", "joint")
    },
    **{
        f"motionformer_strides_{how}_ssv2": MOTIONFORMER | ABLATION | {
            "DATA.SAMPLING": "dense", "DATA.SAMPLING_SHARE": 0.5, "DATA.RANDOM_FLIP": False,
            "AUG.AA_TYPE": "" if how == "joint" else "rand-m20-mstd0.5-inc1", "AUG.COLOR_JITTER": 0.0,
        }
        for how in ("trajectory", "divided", "joint")
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
}  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS)
def test_values_of_the_program(name):
    assert values(name, PROGRAMS[name]) == PROGRAMS[name]


def test_structvit_4x1_is_tested_with_room_and_4x3_without():
    """MViT's loader: 256 px under the crop where there is one crop, the crop's own size for three."""
    file = EXP / "structvit_b_4_1_k400/config.yaml"
    assert load_config([file]).DATA.TEST_CROP_RATIO == 0.875
    rows = read_published(EXP.parent / "paper_tables/published.csv")
    three = [row for row in rows if row.exp == file.parent.name and row.crops == "3"]
    assert [(row.clips, row.top1) for row in three] == [("4", "83.4")]
    tested = load_config([file], three[0].pairs)
    assert (tested.TEST.NUM_ENSEMBLE_VIEWS, tested.TEST.NUM_SPATIAL_CROPS) == (4, 3)
    assert tested.DATA.TEST_CROP_RATIO == 1.0
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
