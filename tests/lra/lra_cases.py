"""Small configurations of Long Range Arena."""

from pathlib import Path

from slowfast_ext.config import load_config

RECIPES = Path(__file__).resolve().parents[2] / "projects/lra/configs"
SMALL = ["LRA.LISTOPS.MIN_LENGTH", "4", "LRA.LISTOPS.MAX_LENGTH", "32", "LRA.NUM_TRAIN", "40",
         "LRA.NUM_VAL", "8", "LRA.NUM_TEST", "8", "LRA.DIM", "16", "LRA.HIDDEN", "32",
         "ATTENTION.NYSTROM.LANDMARKS", "4", "ATTENTION.ORTHOFORMER.LANDMARKS", "4",
         "ATTENTION.PERFORMER.FEATURES", "16", "ATTENTION.LINFORMER.DIM", "8", "DEVICE", "cpu",
         "TRAIN.PRECISION", "fp32", "TRAIN.BATCH_SIZE", "8", "TENSORBOARD.ENABLE", "False"]  # fmt: skip


def recipe(task="listops", *pairs, small=True):
    return load_config([RECIPES / f"{task}.yaml"], [*(SMALL if small else []), *map(str, pairs)])
