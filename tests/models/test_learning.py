"""Every kernel in every pattern on every backbone learns a batch of MotionShapes."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from slowfast_ext.config import load_config
from slowfast_ext.data.annotations import read_videos
from slowfast_ext.data.decode.source import VideoSource
from slowfast_ext.data.motion import CLASS_NAMES
from slowfast_ext.models import build_model
from slowfast_ext.models.attention import ATTENTION, KERNELS
from slowfast_ext.models.backbones import BACKBONES

CLIPS, FRAMES, SIDE, STEPS = 12, 8, 32, 16

SETTINGS = {
    "TRAIN.DATASET": "motionshapes",
    "MOTION.NUM_TRAIN": CLIPS,
    "MOTION.NUM_FRAMES": FRAMES,
    "MOTION.SIZE": SIDE,
    "MODEL.NUM_CLASSES": len(CLASS_NAMES),
    "DATA.NUM_FRAMES": FRAMES,
    "DATA.TRAIN_CROP_SIZE": SIDE,
    "DATA.TEST_CROP_SIZE": SIDE,
    "VIT.PATCH_SIZE": [2, 8, 8],
    "VIT.EMBED_DIM": 24,
    "VIT.DEPTH": 1,
    "VIT.NUM_HEADS": 3,
    "XVIT.CONSENSUS": "avg",
    "UNIFORMER.EMBED_DIM": [8, 8, 16, 16],
    "UNIFORMER.DEPTH": [1, 1, 1, 1],
    "UNIFORMER.HEAD_DIM": 8,
    "ATTENTION.FIXATION.MODE": "cooperative",
    "ATTENTION.NEIGHBOUR.TEMPORAL": True,
    "ATTENTION.NEIGHBOUR.SPATIAL": True,
    "ATTENTION.LARA.LANDMARKS": 4,
    "ATTENTION.LINFORMER.DIM": 8,
    "ATTENTION.NYSTROM.LANDMARKS": 8,
    "ATTENTION.ORTHOFORMER.LANDMARKS": 8,
    "ATTENTION.PERFORMER.FEATURES": 32,
}
WITHOUT_KERNEL = ("emim", "struct")
MODELS = [
    (backbone, attention, kernel)
    for backbone in BACKBONES.names()
    for attention in ATTENTION.names()
    for kernel in (["softmax"] if attention in WITHOUT_KERNEL else KERNELS.names())
]


def settings(**more):
    pairs = SETTINGS | more
    return load_config([], [str(part) for pair in pairs.items() for part in pair])


@pytest.fixture(scope="session")
def motion_batch(tmp_path_factory):
    """A clip of each class from its rendered file, [B, 3, T, H, W], and the classes."""
    folder = tmp_path_factory.mktemp("motion")
    cfg = settings(
        **{"DATA.PATH_TO_DATA_DIR": folder, "OUTPUT_DIR": folder, "DATA.DECODE_TIMEOUT": 0}
    )
    videos, source = read_videos(cfg, "train"), VideoSource.from_cfg(cfg)
    clips_BTHWC = torch.stack([source.frames(video, range(FRAMES)) for video in videos])
    labels = torch.tensor([video.labels[0] for video in videos])
    return (clips_BTHWC.permute(0, 4, 1, 2, 3).float() - 128) / 64, labels


def build_learner(backbone, attention, kernel):
    """A narrow model, whose weights start accordingly wide."""
    names = {"MODEL.BACKBONE": backbone, "ATTENTION.CYCLE": [attention], "ATTENTION.KERNEL": kernel}
    names["MODEL.INIT_STD"] = 0.16
    if kernel == "linformer":  # takes windows of one length only
        names["ATTENTION.WINDOW.REACH"] = FRAMES
    torch.manual_seed(0)
    return build_model(settings(**names))


@pytest.mark.slow
@pytest.mark.parametrize(("backbone", "attention", "kernel"), MODELS)
def test_the_loss_falls(backbone, attention, kernel, motion_batch):
    """A few steps on one batch, with feature fixation and neighbourhood association."""
    model = build_learner(backbone, attention, kernel)
    optimizer = torch.optim.AdamW(model.parameters(), 5e-3)
    clips, labels = motion_batch
    losses = []
    for _ in range(STEPS):
        loss = cross_entropy(model(clips)[0], labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    # Above the noise of kernels that draw features or proposals at every step.
    assert sum(losses[-3:]) < 0.9 * sum(losses[:3])
