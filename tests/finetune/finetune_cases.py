"""Settings that take seconds, and clips to finetune on."""

from slowfast_ext.data.motion import MotionOptions, render_clip, write_video

SMALL = {
    "UNIFORMER.EMBED_DIM": "[8,8,16,16]", "UNIFORMER.HEAD_DIM": 8, "UNIFORMER.DEPTH": "[1,1,1,1]",
    "DATA.NUM_FRAMES": 4, "DATA.TRAIN_CROP_SIZE": "[32,32]", "DATA.TEST_CROP_SIZE": "[32,32]",
    "TEST.NUM_ENSEMBLE_VIEWS": 1, "DATA_LOADER.NUM_WORKERS": 0, "TENSORBOARD.ENABLE": False, "LOG_PERIOD": 1,
    "DEVICE": "cpu",
}  # fmt: skip
QUICK = [str(part) for setting in SMALL.items() for part in setting]

SETTINGS = MotionOptions(size=32, num_frames=8).settings


def write_clip(path, label, index):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, render_clip(index, "train", label, SETTINGS))
