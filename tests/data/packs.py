"""A few loose files, a pack of them, and the frames that a source reads from either."""

import numpy as np
import video_makers
from PIL import Image

from slowfast_ext.data.curation import pack as packing
from slowfast_ext.data.decode.source import DecodeOptions, VideoSource
from slowfast_ext.data.records import VideoRecord, VideoSet

VIDEOS = ("b_frames.mp4", "sub.1/one_group.mp4", "Holding [x] 100%.webm")
FOLDER = "frames.v1"
INDICES = [3, 0, 11, 7, 7]


def make_loose(root):
    """Videos, a folder of images, and lists of them."""
    (root / "sub.1").mkdir()
    video_makers.b_frames(root)
    video_makers.one_group(root / "sub.1")
    video_makers.write(root / VIDEOS[2], "libvpx-vp9", {"deadline": "realtime"})
    (root / FOLDER).mkdir()
    rng = np.random.default_rng(0)
    for number in range(1, 13):
        pixels = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / FOLDER / f"{number:05d}.jpg")
    (root / "train.csv").write_text("".join(f"{name} 1\n" for name in (*VIDEOS, FOLDER)))
    (root / "val.csv").write_text("b_frames.mp4 0\n")
    return root


def pack(root, out, shard_size=0.0, names=(*VIDEOS, FOLDER)):
    """The job when it is done, and what could not be packed; `shard_size` in MiB, 0: a shard a sample."""
    records = [VideoRecord(str(root / name), (1,), "list:1", name=name) for name in names]
    sets = [VideoSet("own", "train", records, (("rise", "fall"),))]
    with packing.Packing(sets, str(root), str(out), int(shard_size * 2**20)) as job:
        failed = [line for progress in job.run(1) for line in progress.failed]
        return job, failed


def frames(root, name, backend="auto", timeout=0.0, cache=()):
    source = VideoSource(
        DecodeOptions(decoding_backend=backend, decode_timeout=timeout), cache, str(root)
    )
    record = VideoRecord(f"{root}/{name}", (0,), "list:1")
    try:
        return source.info(record), source.frames(record, INDICES)
    finally:
        source.close()
