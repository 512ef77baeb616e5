"""A tree of class folders with rendered clips, and the command with settings that take seconds."""

import pytest

from slowfast_ext.cli import finetune
from slowfast_ext.data.motion import CLASS_NAMES, MotionOptions, render_clip, write_video

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


@pytest.fixture(scope="session")
def clips(tmp_path_factory):
    """Three classes of 6, 5 and 3 clips; do not write into it."""
    root = tmp_path_factory.mktemp("clips") / "moves"
    for label, count in ((0, 6), (1, 5), (2, 3)):
        for index in range(count):
            write_clip(root / CLASS_NAMES[label] / f"clip {index}.mp4", label, index)
    return root


@pytest.fixture
def run(capfd, monkeypatch):
    """Runs the command, without its report; (exit code, output, errors)."""
    monkeypatch.setattr(finetune, "_report", lambda out: None)

    def go(*arguments):
        code = finetune.main([*map(str, arguments), *QUICK])
        out, errors = capfd.readouterr()
        return code, out, errors

    return go
