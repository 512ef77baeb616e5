"""A network that sees one decoded frame of a clip stays near chance; given all frames it does not."""

import av
import numpy as np
import pytest
import torch
from torch import nn

from slowfast_ext.data.motion import CLASS_NAMES, LEVELS, MotionSettings, ensure_rendered

FRAMES, SIZE = 6, 32
TRAINING, HELD_OUT = 840, 360


@pytest.fixture(scope="module", params=LEVELS)
def decoded(request, tmp_path_factory):
    """Clips [N, T, C, H, W] as decoded from the files, so that what compression adds is seen too."""
    settings = MotionSettings(request.param, SIZE, FRAMES)
    root = tmp_path_factory.mktemp("motion")
    clips = ensure_rendered(root, settings, "train", TRAINING + HELD_OUT)
    pixels = np.stack([decode(clip.path) for clip in clips])
    x = torch.from_numpy(pixels).permute(0, 1, 4, 2, 3).float() / 128 - 0.5
    return x, torch.tensor([clip.label for clip in clips])


def decode(path):
    with av.open(str(path)) as container:
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])


def held_out_accuracy(x, y, epochs=14):
    """Top-1 of a small network on clips it was not trained on. `x` [N, C, H, W]."""
    torch.manual_seed(0)
    layers = []
    for before, after in ((x.shape[1], 48), (48, 64), (64, 96)):
        layers += [nn.Conv2d(before, after, 3, 2, 1), nn.BatchNorm2d(after), nn.ReLU()]
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * 96, 12))
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=0.05)
    for _ in range(epochs):
        for batch in torch.randperm(TRAINING).split(32):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        return (model(x[TRAINING:]).argmax(1) == y[TRAINING:]).float().mean().item()


@pytest.mark.slow
def test_one_frame_says_nothing_of_the_class(decoded):
    x, y = decoded
    assert len(CLASS_NAMES) == 12
    single = {t: held_out_accuracy(x[:, t], y) for t in (0, FRAMES - 1)}
    assert max(single.values()) < 0.2, single


@pytest.mark.slow
@pytest.mark.parametrize("decoded", ["easy"], indirect=True)
def test_the_same_network_learns_from_all_frames(decoded):
    x, y = decoded
    assert held_out_accuracy(x.flatten(1, 2), y) > 0.25
