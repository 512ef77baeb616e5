"""Videos without files: frame i of video v is a pattern that tells both."""

from collections import Counter
from dataclasses import dataclass

import torch

from slowfast_ext.config import get_cfg, options_of
from slowfast_ext.data.records import VideoRecord, VideoSet
from slowfast_ext.data.sampling import ViewOptions, views
from slowfast_ext.errors import DataError


@dataclass(frozen=True)
class FakeInfo:
    length: int
    fps: float


class FakeSource:
    """Counts its calls; videos whose path starts with "bad" cannot be read."""

    def __init__(self, length=20, height=24, width=32):
        self.length, self.height, self.width = length, height, width
        self.decodes = 0
        self.counts = Counter()

    def info(self, record):
        if record.path.startswith("bad"):
            raise DataError(f"{record.path}: moov atom not found")
        return FakeInfo(self.length, 25.0)

    def frames(self, record, indices, short_side=0):
        self.decodes += 1
        generator = torch.Generator().manual_seed(int(record.name))
        noise = torch.randint(
            0, 200, (self.height, self.width, 3), generator=generator, dtype=torch.uint8
        )
        return torch.stack([noise + index for index in indices])


def make_videos(count, bad=(), classes=3, multi_label=False, heads=1):
    records = [
        VideoRecord(
            path=f"{'bad' if i in bad else 'good'}{i}.mp4",
            labels=(i % classes,) * heads if not multi_label else (i % classes, (i + 1) % classes),
            location=f"train.csv:{i + 1}",
            name=str(i),
        )
        for i in range(count)
    ]
    return VideoSet("fake", "train", records)


def make_cfg(**values):
    """Small clips without workers; keyword A_B=c sets the key whose dotted name has `__` for dots."""
    cfg = get_cfg()
    defaults = {
        "DATA__NUM_FRAMES": 4,
        "DATA__SAMPLING_RATE": 2,
        "DATA__TRAIN_CROP_SIZE": 16,
        "DATA__TEST_CROP_SIZE": 16,
        "DATA__TRAIN_JITTER_SCALES": [18, 22],
        "DATA_LOADER__NUM_WORKERS": 0,
        "TRAIN__BATCH_SIZE": 4,
        "TEST__BATCH_SIZE": 4,
        "MODEL__NUM_CLASSES": 3,
    }
    for name, value in (defaults | values).items():
        node = cfg
        *parents, leaf = name.split("__")
        for parent in parents:
            node = node[parent]
        assert leaf in node, name
        node[leaf] = value
    cfg.freeze()
    return cfg


def all_views(cfg):
    """The views of multi-view testing."""
    return views(options_of(cfg, ViewOptions))
