"""What the programs of public weights train and test with, read in their scripts, against the experiments that follow them.

The tables stand by themselves: they repeat the programs' files, not ours. Rates are in test_recipe_rates.py and test_exp.py.
"""

import pytest
from recipe_values import values

RANDAUGMENT = {
    "DATA.TRAIN_JITTER_SCALES_RELATIVE": [0.08, 1.0],
    "DATA.TRAIN_JITTER_ASPECT_RELATIVE": [0.75, 1.3333],
    "AUG.AA_TYPE": "rand-m7-n4-mstd0.5-inc1",
    "AUG.INTERPOLATION": "bicubic",
    "AUG.COLOR_JITTER": 0.0,  # where it is set, AA_TYPE switches it off
}
IMAGENET = {"DATA.MEAN": [0.485, 0.456, 0.406], "DATA.STD": [0.229, 0.224, 0.225]}
FINETUNING = RANDAUGMENT | IMAGENET | {
    # defaults of run_class_finetuning.py (VideoMAE) and run_finetuning.py (InternVideo2), kinetics.py:189-192
    "AUG.NUM_SAMPLE": 2,
    "AUG.RE_PROB": 0.25,
    "AUG.RE_MODE": "pixel",
    "MIXUP.ENABLE": True,
    "MIXUP.ALPHA": 0.8,
    "MIXUP.CUTMIX_ALPHA": 1.0,
    "MIXUP.PROB": 1.0,
    "MIXUP.SWITCH_PROB": 0.5,
    "MIXUP.LABEL_SMOOTH_VALUE": 0.1,
    "MODEL.DROP_PATH": 0.1,
    "MODEL.DROPOUT_RATE": 0.0,
    "SOLVER.OPTIMIZING_METHOD": "adamw",
    "SOLVER.BETAS": [0.9, 0.999],
    "SOLVER.WEIGHT_DECAY": 0.05,
    "SOLVER.ZERO_WD_1D_PARAM": True,
    "SOLVER.LAYER_DECAY": 0.75,
    "SOLVER.LAYER_DECAY_FROM": "norm",
    "SOLVER.CLIP_GRAD_L2NORM": 0.0,
    "SOLVER.COSINE_AFTER_WARMUP": True,
    "TEST.NUM_SPATIAL_CROPS": 3,
    "TEST.ENSEMBLE": "probs",
}  # fmt: skip
VIDEOMAE = FINETUNING | {
    # scripts/{kinetics,ssv2}/*/finetune.sh: --num_frames 16, batch_size a GPU of 64; warmup_epochs and init_scale by default
    "DATA.NUM_FRAMES": 16,
    "MODEL.HEAD_INIT_SCALE": 0.001,
    "SOLVER.WARMUP_EPOCHS": 5.0,
}  # fmt: skip
INTERNVIDEO2 = FINETUNING | {
    # scripts/finetuning/full_tuning/k400/{S,B,L}14_ft_k710_ft_k400_f8.sh: 32 GPUs of batch_size 32, Kinetics_sparse
    "DATA.SAMPLING": "segment",
    "DATA.NUM_FRAMES": 8,
    "DATA.RANDOM_FLIP": True,
    "VIT.LAYER_SCALE": 1e-5,
    "SOLVER.ZERO_WD_POSITIONS": True,  # no_weight_decay of models/internvideo2.py:491
    "SOLVER.MAX_EPOCH": 5,
    "SOLVER.WARMUP_EPOCHS": 1.0,
    "TRAIN.BATCH_SIZE": 32 * 8,
    "TRAIN.PRECISION": "bf16",
    "TEST.NUM_ENSEMBLE_VIEWS": 4,
}  # fmt: skip
UNIFORMERV2 = RANDAUGMENT | {
    # exp/{k400,sthv2}/*/config.yaml and run.sh, CLIP_GRADIENT of slowfast/config/defaults.py
    "DATA.SAMPLING": "segment",
    "AUG.RE_PROB": 0.0,
    "MIXUP.ENABLE": False,
    "MIXUP.LABEL_SMOOTH_VALUE": 0.0,  # LOSS_FUNC cross_entropy
    "MODEL.DROPOUT_RATE": 0.5,  # CLS_DROPOUT
    "SOLVER.OPTIMIZING_METHOD": "adamw",
    "SOLVER.WEIGHT_DECAY": 0.05,
    "SOLVER.ZERO_WD_1D_PARAM": True,
    "SOLVER.COSINE_AFTER_WARMUP": True,
    "SOLVER.COSINE_END_LR": 1e-6,
    "SOLVER.WARMUP_START_LR": 1e-6,
    "SOLVER.CLIP_GRAD_L2NORM": 20.0,
    "TEST.ENSEMBLE": "probs",  # ADD_SOFTMAX
    "RNG_SEED": 6666,
}  # fmt: skip
UNIFORMERV2_K400 = UNIFORMERV2 | {
    "AUG.NUM_SAMPLE": 1, "MODEL.DROP_PATH": 0.0, "UNIFORMERV2.GLOBAL_DROP_PATH": 0.0, "DATA.RANDOM_FLIP": True,
    "TEST.NUM_ENSEMBLE_VIEWS": 4, "TEST.NUM_SPATIAL_CROPS": 3,
}  # fmt: skip
UNIFORMERV2_SSV2 = UNIFORMERV2 | {
    "AUG.NUM_SAMPLE": 2, "MODEL.DROP_PATH": 0.2, "UNIFORMERV2.GLOBAL_DROP_PATH": 0.4, "DATA.RANDOM_FLIP": False,
    "DATA.CHANNEL_ORDER": "bgr", "SOLVER.MAX_EPOCH": 22, "SOLVER.WARMUP_EPOCHS": 5.0,
    "TEST.NUM_ENSEMBLE_VIEWS": 1, "TEST.NUM_SPATIAL_CROPS": 3,
}  # fmt: skip

PROGRAMS = {
    "videomae_b_k400": VIDEOMAE | {
        "DATA.SAMPLING": "dense", "DATA.SAMPLING_RATE": 4, "DATA.RANDOM_FLIP": True, "SOLVER.MAX_EPOCH": 75,
        "TRAIN.BATCH_SIZE": 6 * 8, "TEST.NUM_ENSEMBLE_VIEWS": 5,
    },
    "videomae_l_k400": VIDEOMAE | {
        "DATA.SAMPLING": "dense", "DATA.SAMPLING_RATE": 4, "SOLVER.MAX_EPOCH": 35, "TRAIN.BATCH_SIZE": 2 * 8,
        "TEST.NUM_ENSEMBLE_VIEWS": 5,
    },
    "videomae_b_ssv2": VIDEOMAE | {
        "DATA.SAMPLING": "segment", "DATA.RANDOM_FLIP": False, "SOLVER.MAX_EPOCH": 30, "TRAIN.BATCH_SIZE": 6 * 8,
        "TEST.NUM_ENSEMBLE_VIEWS": 2,
    },
    # scripts/ssv2/*_epoch_800/pretrain.sh, defaults of run_mae_pretraining.py, datasets.py:13
    "videomae_pretrain_b_ssv2": IMAGENET | {
        "MASKED.RATIO": 0.9, "DATA.NUM_FRAMES": 16, "DATA.SAMPLING_RATE": 2,
        "DATA.TRAIN_MULTI_SCALE_CROP": [1.0, 0.875, 0.75, 0.66], "MODEL.DROP_PATH": 0.0,
        "SOLVER.OPTIMIZING_METHOD": "adamw", "SOLVER.BETAS": [0.9, 0.95], "SOLVER.WEIGHT_DECAY": 0.05,
        "SOLVER.WARMUP_EPOCHS": 40.0, "SOLVER.CLIP_GRAD_L2NORM": 0.0, "TRAIN.BATCH_SIZE": 32 * 8,
    },
    "internvideo2_s_k400": INTERNVIDEO2,
    "internvideo2_b_k400": INTERNVIDEO2,
    "internvideo2_l_k400": INTERNVIDEO2,
    "uniformerv2_b8_k400": UNIFORMERV2_K400 | {
        "SOLVER.MAX_EPOCH": 55, "SOLVER.WARMUP_EPOCHS": 5.0, "TRAIN.BATCH_SIZE": 256,
    },
    "uniformerv2_b8_k400_prek710": UNIFORMERV2_K400 | {
        "SOLVER.MAX_EPOCH": 5, "SOLVER.WARMUP_EPOCHS": 1.0, "TRAIN.BATCH_SIZE": 256,
    },
    "uniformerv2_l8_336_frozen_k400": UNIFORMERV2_K400 | {
        "DATA.TRAIN_CROP_SIZE": 336, "SOLVER.MAX_EPOCH": 50, "SOLVER.WARMUP_EPOCHS": 0.0, "TRAIN.BATCH_SIZE": 256,
        "TEST.NUM_ENSEMBLE_VIEWS": 3, "TEST.NUM_SPATIAL_CROPS": 1,
    },
    "uniformerv2_b16_ssv2": UNIFORMERV2_SSV2 | {"DATA.NUM_FRAMES": 16, "TRAIN.BATCH_SIZE": 128},
    "uniformerv2_l32_ssv2": UNIFORMERV2_SSV2 | {
        "DATA.NUM_FRAMES": 32, "TRAIN.BATCH_SIZE": 32, "MODEL.CHECKPOINT_BLOCKS": [15],
    },
    "vivit_b_k400": {
        # scenic, projects/vivit/configs/kinetics400/vivit_base_k400.py
        "DATA.MEAN": [0.5, 0.5, 0.5],  # zero_centering
        "DATA.NUM_FRAMES": 32,
        "DATA.SAMPLING_RATE": 2,
        "DATA.TRAIN_JITTER_SCALES": [230, 340],  # min_resize 256 x 0.9 to 1.33
        "DATA.TRAIN_JITTER_SCALES_RELATIVE": [],
        "DATA.RANDOM_FLIP": True,  # DMVR's default
        "DATA.TEST_CROP_RATIO": 224 / 256,
        "DATA.ANTIALIAS": False,  # tf.image.resize by default
        "AUG.AA_TYPE": "",
        "AUG.COLOR_JITTER": 0.4,  # DMVR's color_default_augm: saturation and contrast 0.6 to 1.4
        "AUG.COLOR_JITTER_PROB": 0.8,
        "AUG.GRAYSCALE": 0.1,
        "AUG.RE_PROB": 0.0,
        "MIXUP.ENABLE": False,
        "MIXUP.LABEL_SMOOTH_VALUE": 0.0,
        "MODEL.DROP_PATH": 0.0,
        "MODEL.DROPOUT_RATE": 0.0,
        "SOLVER.OPTIMIZING_METHOD": "sgd",
        "SOLVER.BASE_LR": 0.1,
        "SOLVER.MOMENTUM": 0.9,  # train_lib/optimizers.py:218
        "SOLVER.NESTEROV": False,
        "SOLVER.WEIGHT_DECAY": 0.0,
        "SOLVER.CLIP_GRAD_L2NORM": 1.0,
        "SOLVER.LR_POLICY": "cosine",
        "SOLVER.COSINE_AFTER_WARMUP": True,  # train_lib/lr_schedules.py:254-261
        "SOLVER.COSINE_END_LR": 0.0,
        "SOLVER.WARMUP_START_LR": 0.0,
        "SOLVER.WARMUP_EPOCHS": 2.5,
        "SOLVER.MAX_EPOCH": 30,
        "TRAIN.BATCH_SIZE": 64,
        "TRAIN.PRECISION": "fp32",
        "TRAIN.CHECKPOINT_FILE_PATH": "vit_base_patch16_224_in21k",
        "TRAIN.CHECKPOINT_INFLATE": "centre",  # central_frame_initializer
        "TEST.NUM_ENSEMBLE_VIEWS": 4,
        "TEST.NUM_SPATIAL_CROPS": 3,
        "TEST.ENSEMBLE": "logits",  # train_utils.py:315-324, softmax_logits False
    },
    "vjepa2_l_ssv2": RANDAUGMENT | IMAGENET | {
        # configs/eval/vitl/ssv2.yaml, evals/video_classification_frozen/eval.py:436-447 and utils.py:86-103
        "DATA.SAMPLING": "dense",
        "DATA.NUM_FRAMES": 16,
        "DATA.SAMPLING_RATE": 4,
        "DATA.FRAME_SPACING": "linspace",  # src/datasets/video_dataset.py:328
        "DATA.RANDOM_FLIP": False,
        "DATA.TRAIN_CROP_SIZE": 256,
        "DATA.TEST_CROP_RATIO": 1.0,
        "DATA.ANTIALIAS": False,
        "AUG.NUM_SAMPLE": 1,
        "AUG.RE_PROB": 0.25,
        "AUG.RE_MODE": "pixel",
        "MIXUP.ENABLE": False,
        "MIXUP.LABEL_SMOOTH_VALUE": 0.0,
        "SOLVER.OPTIMIZING_METHOD": "adamw",
        "SOLVER.ZERO_WD_1D_PARAM": False,  # all parameters in one group, eval.py:471
        "SOLVER.COSINE_END_LR": 0.0,
        "SOLVER.WARMUP_EPOCHS": 0.0,
        "SOLVER.MAX_EPOCH": 20,
        "TRAIN.BATCH_SIZE": 4 * 8,
        "TRAIN.PRECISION": "fp16",  # eval.py:306, whatever use_bfloat16 is called
        "TEST.NUM_ENSEMBLE_VIEWS": 2,
        "TEST.NUM_SPATIAL_CROPS": 3,
        "TEST.ENSEMBLE": "probs",
    },
}  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS)
def test_values_of_the_program(name):
    assert values(name, PROGRAMS[name]) == PROGRAMS[name]


def test_the_probe_is_one_of_the_published_twenty():
    tried = values("vjepa2_l_ssv2", ["SOLVER.BASE_LR", "SOLVER.WEIGHT_DECAY"])
    assert tried["SOLVER.BASE_LR"] in (5e-3, 3e-3, 1e-3, 3e-4, 1e-4)
    assert tried["SOLVER.WEIGHT_DECAY"] in (0.01, 0.1, 0.4, 0.8)
