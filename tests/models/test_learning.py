"""Every attention with every kernel, and both on every backbone, learn a batch of MotionShapes."""

import pytest
import torch
from model_cases import attention, small_options, with_head
from torch.nn.functional import cross_entropy

from slowfast_ext.config import load_config
from slowfast_ext.data.annotations import read_videos
from slowfast_ext.data.decode.source import VideoSource
from slowfast_ext.data.motion import CLASS_NAMES
from slowfast_ext.models.attention import KERNELS
from slowfast_ext.models.attention.fixation import FixationOptions
from slowfast_ext.models.attention.lara import LaraOptions
from slowfast_ext.models.attention.linformer import LinformerOptions
from slowfast_ext.models.attention.neighbour import NeighbourOptions
from slowfast_ext.models.attention.nystrom import NystromOptions
from slowfast_ext.models.attention.orthoformer import OrthoformerOptions
from slowfast_ext.models.attention.performer import PerformerOptions
from slowfast_ext.models.attention.window import WindowOptions
from slowfast_ext.models.backbones import BACKBONES, BackboneSpec
from slowfast_ext.models.backbones.vit import VitOptions
from slowfast_ext.models.backbones.xvit import XvitOptions
from slowfast_ext.models.blocks import attention_names

CLIPS, FRAMES, SIDE, STEPS = 12, 8, 32, 16
MORE_STEPS = {"timesformer": 30}  # its attention over time starts at zero

DATA = {
    "TRAIN.DATASET": "motionshapes",
    "MOTION.NUM_TRAIN": CLIPS,
    "MOTION.NUM_FRAMES": FRAMES,
    "MOTION.SIZE": SIDE,
    "MODEL.NUM_CLASSES": len(CLASS_NAMES),
    "DATA.NUM_FRAMES": FRAMES,
    "DATA.TRAIN_CROP_SIZE": SIDE,
    "DATA.TEST_CROP_SIZE": SIDE,
    "DATA.DECODE_TIMEOUT": 0,
}
VIT = VitOptions(patch_size=(2, 8, 8), embed_dim=24, depth=1, num_heads=3)
NARROW = {"vit": (VIT,), "xvit": (VIT, XvitOptions(consensus="avg"))}
PARTS = (
    FixationOptions(mode="cooperative"),
    NeighbourOptions(temporal=True, spatial=True),
    LaraOptions(landmarks=4),
    LinformerOptions(dim=8),
    NystromOptions(landmarks=8),
    OrthoformerOptions(landmarks=8),
    PerformerOptions(features=32),
)
WITHOUT_KERNEL = ("emim", "struct")
MODELS = [
    (backbone, name, kernel)
    for backbone in BACKBONES.names()
    for name in attention_names()
    for kernel in (["softmax"] if name in WITHOUT_KERNEL else KERNELS.names())
    if backbone == "vit" or name == "joint" or kernel == "softmax"
]
"""Attention and kernel in every pair on the ViT; on the other backbones every attention, and every kernel."""


@pytest.fixture(scope="session")
def motion_batch(tmp_path_factory):
    """A clip of each class from its rendered file, [B, 3, T, H, W], and the classes."""
    folder = tmp_path_factory.mktemp("motion")
    pairs = {**DATA, "DATA.PATH_TO_DATA_DIR": folder, "OUTPUT_DIR": folder}
    cfg = load_config([], [str(part) for pair in pairs.items() for part in pair])
    videos, source = read_videos(cfg, "train"), VideoSource.from_cfg(cfg)
    clips_BTHWC = torch.stack([source.frames(video, range(FRAMES)) for video in videos])
    labels = torch.tensor([video.labels[0] for video in videos])
    return (clips_BTHWC.permute(0, 4, 1, 2, 3).float() - 128) / 64, labels


def build_learner(backbone, name, kernel):
    """A narrow model, whose weights start accordingly wide."""
    # linformer takes windows of one length only
    reach = FRAMES if kernel == "linformer" else WindowOptions().reach
    own = attention(name, kernel=kernel, parts=(*PARTS, WindowOptions(reach=reach)))
    torch.manual_seed(0)
    spec = BackboneSpec(FRAMES, SIDE, own, init_std=0.16)
    model = BACKBONES.get(backbone)(spec, *(NARROW.get(backbone) or small_options(backbone)))
    return with_head(model, len(CLASS_NAMES), init_std=0.16)


@pytest.mark.slow
@pytest.mark.parametrize(("backbone", "name", "kernel"), MODELS)
def test_the_loss_falls(backbone, name, kernel, motion_batch):
    """A few steps on one batch, with feature fixation and neighbourhood association."""
    model = build_learner(backbone, name, kernel)
    optimizer = torch.optim.AdamW(model.parameters(), 5e-3)
    clips, labels = motion_batch
    losses = []
    for _ in range(MORE_STEPS.get(name, STEPS)):
        loss = cross_entropy(model(clips), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    # Above the noise of kernels that draw features or proposals at every step.
    assert sum(losses[-3:]) < 0.9 * sum(losses[:3])
