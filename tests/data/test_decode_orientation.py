"""Every display matrix: the picture as players show it, by every way to pixels."""

import itertools
import struct
from pathlib import Path

import numpy as np
import pytest
import video_makers as makers

from slowfast_ext.data.curation.transcode import decoded_frames, upright
from slowfast_ext.data.decode.base import read_frames
from slowfast_ext.data.decode.orientation import Orientation
from slowfast_ext.data.decode.scan import scan_video
from slowfast_ext.data.decode.source import DECODERS
from slowfast_ext.data.decode.watchdog import Watchdog

ONE = 1 << 16
UNIT = (ONE, 0, 0, ONE)
EIGHT = [
    corners
    for a, b in itertools.product((-ONE, ONE), repeat=2)
    for corners in ((a, 0, 0, b), (0, a, b, 0))
]
ODD = {
    "zero": (0, 0, 0, 0),
    "half a matrix": (ONE, 0, 0, 0),
    "one column": (ONE, ONE, 0, 0),
    "tilted by 45 degrees": (46341, -46341, 46341, 46341),
    "tilted by 30 degrees": (56756, -32768, 32768, 56756),
    "largest": (2**31 - 1, 2**31 - 1, -(2**31), -(2**31)),
}


def with_matrix(path, corners):
    """The file, its display matrix (a, b, c, d) overwritten (ISO 14496-12, tkhd)."""
    a, b, c, d = corners
    content = bytearray(Path(path).read_bytes())
    at = content.index(b"tkhd") + 4 + 40
    content[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    Path(path).write_bytes(content)
    return str(path)


def shown(stored_HWC, corners):
    """By the definition: the pixel at (x, y) goes to (a x + c y, b x + d y)."""
    a, b, c, d = (np.sign(corner) for corner in corners)
    H, W, _ = stored_HWC.shape
    y, x = np.mgrid[:H, :W]
    to_x, to_y = a * x + c * y, b * x + d * y
    to_x, to_y = to_x - to_x.min(), to_y - to_y.min()
    out = np.zeros((to_y.max() + 1, to_x.max() + 1, 3), np.uint8)
    out[to_y, to_x] = stored_HWC
    return out


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Frame 9 as it is stored, and a maker of copies with another matrix."""
    folder = tmp_path_factory.mktemp("clips")
    plain = Path(makers.closed(folder))
    frame = read_frames(DECODERS.get("pyav"), str(plain), scan_video(str(plain)), [9])[0]

    def make(corners):
        copy = folder / ("_".join(map(str, corners)) + ".mp4")
        copy.write_bytes(plain.read_bytes())
        return with_matrix(copy, corners)

    return frame, make


@pytest.mark.parametrize("corners", EIGHT)
@pytest.mark.parametrize("name", ["pyav", "decord", "torchcodec"])
def test_the_eight_matrices(stored, corners, name):
    picture, make = stored
    path, reader = make(corners), DECODERS.get(name)
    if reader.missing():
        pytest.skip(reader.missing())
    index, truth = scan_video(path), shown(picture, corners)
    assert index.size == truth.shape[:2]
    if not reader.exact(index):
        assert name != "pyav"
        assert index.mirrored
        return
    watchdog = Watchdog(60.0)
    (frame,) = watchdog.call_for_array(read_frames, reader, path, index, [9])
    watchdog.close()
    assert np.array_equal(frame, truth)


@pytest.mark.parametrize("corners", EIGHT)
def test_copies_are_upright(stored, corners):
    picture, make = stored
    frames = decoded_frames(make(corners))
    frame = upright(next(itertools.islice(frames, 9, None))).to_ndarray(format="rgb24")
    assert np.array_equal(frame, shown(picture, corners))


@pytest.mark.parametrize("corners", ODD.values(), ids=ODD.keys())
def test_a_matrix_that_no_camera_writes_is_left_out(stored, corners):
    picture, make = stored
    path = make(corners)
    index = scan_video(path)
    assert index.orientation == Orientation()
    (frame,) = read_frames(DECODERS.get("pyav"), path, index, [9])
    assert np.array_equal(frame, picture)


@pytest.mark.parametrize("corners", EIGHT)
def test_nearly_one_of_the_eight(stored, corners):
    """Rounded, scaled, or turned by a degree."""
    picture, make = stored
    slip = np.array([[1, 0.02], [-0.02, 1]])
    near = (np.array(corners).reshape(2, 2) @ slip / 2).round().astype(int).ravel().tolist()
    path = make(near)
    (frame,) = read_frames(DECODERS.get("pyav"), path, scan_video(path), [9])
    assert np.array_equal(frame, shown(picture, corners))
