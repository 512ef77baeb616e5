"""A tiny training with token labels: images of three classes, their label maps, and settings."""

import numpy as np
import torch
from PIL import Image

from slowfast_ext.config import load_config
from slowfast_ext.data.label_maps import write_label_map

TOKENS = {
    "TASK": "token_labelling", "TRAIN.DATASET": "imagenet", "TEST.DATASET": "imagenet", "MODEL.NUM_CLASSES": 3,
    "DATA.NUM_FRAMES": 1, "DATA.SAMPLING_RATE": 1, "DATA.TRAIN_CROP_SIZE": 64, "DATA.TEST_CROP_SIZE": 64,
    "DATA.TRAIN_JITTER_SCALES_RELATIVE": [0.4, 1.0], "AUG.AA_TYPE": "rand-m9-mstd0.5-inc1",
    "DATA_LOADER.NUM_WORKERS": 0, "MIXUP.LABEL_SMOOTH_VALUE": 0.1, "MODEL.BACKBONE": "uniformer",
    "UNIFORMER.IMAGE": True, "UNIFORMER.EMBED_DIM": [8, 8, 16, 16], "UNIFORMER.DEPTH": [1, 1, 1, 1],
    "UNIFORMER.HEAD_DIM": 8, "ATTENTION.CYCLE": ["joint"], "ATTENTION.STRUCTSA.KERNEL": [1, 3, 3],
    "TRAIN.BATCH_SIZE": 6, "SOLVER.MAX_EPOCH": 2, "SOLVER.BASE_LR": 0.002, "TRAIN.EVAL_PERIOD": 1,
    "TEST.NUM_ENSEMBLE_VIEWS": 1, "TEST.NUM_SPATIAL_CROPS": 1, "TEST.BATCH_SIZE": 4, "LOG_PERIOD": 1,
    "TENSORBOARD.ENABLE": False, "DEVICE": "cpu",
}  # fmt: skip


def configured(changes=(), checks=()):
    pairs = [str(part) for item in {**TOKENS, **dict(changes)}.items() for part in item]
    return load_config([], pairs, checks)


def coloured_squares(root):
    """Pictures with a bright square of the class's colour, and label maps that say where it is; returns `root`."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 8), ("val", 4)):
        for label, name in enumerate(("blue", "green", "red")):
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 90, (80, 96, 3), dtype=np.uint8)
                top, left = (int(x) for x in rng.integers(0, 40, 2))
                pixels[top : top + 40, left : left + 48, 2 - label] = 250
                Image.fromarray(pixels).save(root / split / name / f"{number}.png")
                logits = torch.zeros(3, 8, 8)
                logits[label, top // 10 : top // 10 + 4, left // 12 : left // 12 + 4] = 9
                if split == "train":
                    write_label_map(root / "maps" / name / f"{number}.pt", logits, 2)
    return root
