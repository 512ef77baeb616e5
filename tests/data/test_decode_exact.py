"""The frame asked for is the frame that comes: every reader, every kind of file."""

import av
import numpy as np
import pytest
import video_makers as makers

from slowfast_ext.data.decode.base import read_frames
from slowfast_ext.data.decode.ffmpeg import (
    PacketDecoder,
    best_video_stream,
    open_container,
    packets,
)
from slowfast_ext.data.decode.pyav_reader import PyAVReader
from slowfast_ext.data.decode.scan import scan_video
from slowfast_ext.data.decode.source import DECODERS
from slowfast_ext.data.decode.watchdog import Watchdog

CUT = 17
ENCODERS = {"av1": "libsvtav1", "webm": "libvpx-vp9", "hevc": "libx265"}
SOUND = (
    makers.closed,
    makers.b_frames,
    makers.one_group,
    makers.open_groups,
    makers.webm,
    makers.av1,
    makers.hevc,
    makers.variable_rate,
    makers.late_start,
    makers.rotated,
    makers.avi,
    makers.avi_b_frames,
    makers.edit_list,
    makers.several_streams,
)
NOT_FOR_DECORD = {"open_groups", "av1", "avi_b_frames", "edit_list", "several_streams"}
COUNTED = {"avi", "avi_b_frames"}
VIDEO_READERS = ("decord", "pyav", "torchcodec")


@pytest.fixture(scope="module", params=SOUND, ids=lambda make: make.__name__)
def clip(request, tmp_path_factory):
    """(kind of file, path, the numbers that its frames carry)."""
    make = request.param
    if ENCODERS.get(make.__name__, "mpeg4") not in av.codecs_available:
        pytest.skip(f"PyAV has no {ENCODERS[make.__name__]}")
    numbers = range(CUT if make is makers.edit_list else 0, makers.FRAMES)
    return make.__name__, make(tmp_path_factory.mktemp("clips")), list(numbers)


def upright(frames, index):
    return np.rot90(frames, -index.rotation // 90, axes=(1, 2))


def orders(count):
    rng = np.random.default_rng(0)
    yield range(count)
    yield rng.integers(0, count, 12).tolist()
    yield [count - 1, 0, 5, 5, 3, count - 1]
    yield [count // 2]


@pytest.fixture(scope="module")
def process_of():
    """A process for each reader, as in training: decord and torchcodec in one crash on AV1."""
    watchdogs = {name: Watchdog(60.0) for name in VIDEO_READERS}
    yield watchdogs
    for watchdog in watchdogs.values():
        watchdog.close()


@pytest.mark.parametrize("name", VIDEO_READERS)
def test_every_reader_is_exact_or_not_chosen(clip, name, process_of):
    kind, path, numbers = clip
    index, reader = scan_video(path), DECODERS.get(name)
    assert len(index) == len(numbers)
    if reader.missing():
        pytest.skip(reader.missing())
    if not reader.exact(index):
        assert name != "pyav"
        assert kind in NOT_FOR_DECORD | {"hevc"}
        return
    assert name != "decord" or kind not in NOT_FOR_DECORD
    for indices in orders(len(index)):
        read = process_of[name].call_for_array(read_frames, reader, path, index, list(indices))
        frames = upright(read, index)
        assert makers.numbers_of(frames) == [numbers[i] for i in indices]


def by_seeking(path, index, places, lean):
    """Whether the frames were found, and the pixels."""
    out = np.zeros((len(places), *index.size, 3), np.uint8)
    reader = PyAVReader(path, index)
    if not lean:
        reader._reopen()
    assert reader.lean == lean
    found = index.seekable and reader._by_seeking(places, out)
    reader.close()
    return found, out


def test_the_ways_of_pyav_agree(clip):
    """Also of the frames in between, whose neighbours are not decoded."""
    kind, path, _ = clip
    index = scan_video(path)
    for wanted in ((3, 20, 21, len(index) - 1), range(1, len(index), 4), (30,)):
        places = {frame: [place] for place, frame in enumerate(wanted)}
        counted = np.zeros((len(places), *index.size, 3), np.uint8)
        reader = PyAVReader(path, index)
        assert reader.lean == (kind not in COUNTED)
        assert reader._in_order(places, counted) == []
        reader.close()
        for lean in {False, kind not in COUNTED}:
            found, sought = by_seeking(path, index, places, lean)
            assert found == (kind != "avi_b_frames")
            assert not found or np.array_equal(sought, counted)


def test_lean_reading_decodes_less(tmp_path, monkeypatch):
    path = makers.b_frames(tmp_path)
    index, pictures = scan_video(path), {True: 0, False: 0}
    decode = PacketDecoder.__call__
    for lean in pictures:

        def note(self, packet, lean=lean):
            shown = decode(self, packet)
            pictures[lean] += len(shown)
            return shown

        monkeypatch.setattr(PacketDecoder, "__call__", note)
        assert by_seeking(path, index, {frame: [0] for frame in (10, 22, 34)}, lean)[0]
    assert pictures[True] < 0.8 * pictures[False]


def test_interlaced_pictures_are_not_read_leanly(tmp_path):
    path = makers.interlaced(tmp_path)
    index = scan_video(path)
    assert not by_seeking(path, index, {9: [0]}, lean=True)[0]
    frames = read_frames(PyAVReader, path, index, [9, 40])
    assert makers.numbers_of(frames) == [9, 40]


def test_a_scan_and_a_count_agree(clip):
    _, path, _ = clip
    scanned, counted = scan_video(path), scan_video(path, count=True)
    assert scanned.pts == counted.pts
    assert scanned.fps == counted.fps
    assert scanned.size == counted.size
    assert scanned.decord_exact == counted.decord_exact


@pytest.mark.parametrize("name", ["decord", "pyav"])
def test_short_side(tmp_path, name):
    path = makers.closed(tmp_path)
    index, reader = scan_video(path), DECODERS.get(name)
    if reader.missing():
        pytest.skip(reader.missing())
    frames = read_frames(reader, path, index, [40, 2], 32)
    assert frames.shape == (2, 32, 80, 3)
    assert makers.numbers_of(frames) == [40, 2]
    assert read_frames(reader, path, index, [1], 1000).shape == (1, 64, 160, 3)


def test_rotation_turns_as_players_do(tmp_path):
    """A picture stored lying is shown standing, by either reader alike."""
    path = makers.rotated(tmp_path)
    index = scan_video(path)
    assert index.size == (160, 64)
    assert index.rotation == 90
    shown = read_frames(DECODERS.get("pyav"), path, index, [9])
    if not DECODERS.get("decord").missing():
        assert np.array_equal(shown, read_frames(DECODERS.get("decord"), path, index, [9]))


def plain_decode(path):
    """All frames, in order, as PyAV gives them without any help of ours."""
    with open_container(path) as container:
        stream = best_video_stream(container)
        decode = PacketDecoder(stream)
        for packet in packets(container, stream):
            for frame in decode(packet):
                yield np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90 % 4)


def shared_videos(video_dir):
    kinds = ("decord", "mmaction2", "torchcodec", "torchvision")
    files = [f for kind in kinds for f in sorted((video_dir / kind).glob("*.*"))]
    assert len(files) > 50
    return [str(f) for f in files]


@pytest.mark.slow
def test_real_files_equal_a_plain_decode(video_dir):
    """Bit for bit, by every reader that the index allows."""
    for path in shared_videos(video_dir):
        frames = list(plain_decode(path))
        index = scan_video(path)
        if len(index) != len(frames):
            assert path.endswith("corrupted.mp4")
            index = scan_video(path, count=True)
        assert len(index) == len(frames), path
        wanted = np.random.default_rng(0).integers(0, len(index), 6).tolist()
        truth = np.stack([frames[i] for i in wanted])
        for name in ("decord", "pyav"):
            reader = DECODERS.get(name)
            if not reader.missing() and reader.exact(index):
                assert np.array_equal(read_frames(reader, path, index, wanted), truth), (name, path)
