"""Files of random encodings: whichever way they are read, the pixels of the frames that were asked for, to the bit."""

import random

import av
import numpy as np
import pytest
import video_makers as makers

from slowfast_ext.data.decode.base import read_frames
from slowfast_ext.data.decode.pyav_reader import PyAVReader
from slowfast_ext.data.decode.scan import scan_video

FRAMES = 80
CHOICES = {
    "bframes": (0, 1, 2, 3, 8),
    "b-pyramid": ("none", "strict", "normal"),
    "b-adapt": (0, 1, 2),
    "ref": (1, 2, 4),
    "open-gop": (0, 0, 1),
    "weightp": (0, 2),
    "slices": (1, 3),
    "cabac": (0, 1),
    "intra-refresh": (0, 0, 1),
}


def h264(rnd):
    values = [f"{name}={rnd.choice(values)}" for name, values in CHOICES.items()]
    return {"preset": rnd.choice(("ultrafast", "medium")), "x264-params": ":".join(values)}


def hevc(rnd):
    switches = [f"{name}={rnd.choice((0, 1))}" for name in ("open-gop", "temporal-layers")]
    bframes = f"bframes={rnd.choice((0, 3))}"
    return {"x265-params": ":".join(["log-level=none", bframes, *switches])}


def mpeg4(rnd):
    return {"bf": rnd.choice(("0", "1", "2"))}


def vp9(rnd):
    hidden = {"auto-alt-ref": rnd.choice(("0", "1")), "lag-in-frames": rnd.choice(("0", "16"))}
    return {"deadline": "realtime", "cpu-used": "8"} | hidden


KINDS = (("libx264", h264),) * 5 + (("libx265", hevc), ("mpeg4", mpeg4), ("libvpx-vp9", vp9))


def selections(rnd, length):
    for step in (1, 2, 4, 7):
        yield list(range(rnd.randrange(length), length, step))[:16]
    yield sorted(rnd.sample(range(length), 8))
    yield [rnd.randrange(length)]


@pytest.mark.parametrize("seed", range(60))
def test_a_random_encoding(seed, tmp_path):
    rnd = random.Random(seed)
    codec, options = rnd.choice(KINDS)
    if codec not in av.codecs_available:
        pytest.skip(f"PyAV has no {codec}")
    path = makers.write(
        tmp_path / f"clip.{rnd.choice(('mp4', 'mkv'))}",
        codec,
        options(rnd),
        range(FRAMES),
        gop=rnd.choice((1, 3, 7, 12, 25, 250)),
    )
    index = scan_video(path)
    with av.open(path) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(index) == len(frames) == FRAMES
    for wanted in selections(rnd, FRAMES):
        truth = np.stack([frames[i] for i in wanted])
        assert np.array_equal(read_frames(PyAVReader, path, index, wanted), truth), wanted
