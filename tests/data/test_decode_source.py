"""The door to pixels: pieces, folders, bad files, fallbacks, worker processes."""

import os
import pickle
import time

import fake_decoders as fakes
import numpy as np
import pytest
import torch
import video_makers as makers
from torchvision.io import write_jpeg

from slowfast_ext.config import get_cfg
from slowfast_ext.data.decode.source import DECODERS, LengthChangedError, VideoSource, reader_chain
from slowfast_ext.data.records import VideoRecord
from slowfast_ext.errors import ConfigError, DataError


@pytest.fixture
def make_source(tmp_path):
    """VideoSource with changed DATA keys; its cache lies in a folder of its own."""
    sources = []

    def make(**data):
        cfg = get_cfg()
        cfg.OUTPUT_DIR = str(tmp_path / "output")
        for key, value in data.items():
            cfg.DATA[key] = value
        sources.append(VideoSource.from_cfg(cfg))
        return sources[-1]

    yield make
    for source in sources:
        source.close()


def record(path, **piece):
    return VideoRecord(str(path), (0,), "val.csv:7", **piece)


def numbers(source, rec, indices):
    return makers.numbers_of(source.frames(rec, indices))


@pytest.mark.parametrize("limit", [0.0, 60.0])
def test_frames_of_a_file(make_source, tmp_path, limit):
    source, rec = make_source(DECODE_TIMEOUT=limit), record(makers.b_frames(tmp_path))
    assert source.info(rec) == (60, 25.0)
    frames = source.frames(rec, np.array([50, 3, 3]))
    assert frames.dtype == torch.uint8
    assert frames.shape == (3, 64, 160, 3)
    assert makers.numbers_of(frames) == [50, 3, 3]
    assert source.frames(rec, [1], short_side=16).shape == (1, 16, 40, 3)
    assert not source.counts


def test_indices_count_from_the_piece(make_source, tmp_path):
    source, path = make_source(), makers.late_start(tmp_path)
    seconds = record(path, start=0.4, end=0.8)
    assert source.info(seconds).length == 10
    assert numbers(source, seconds, [0, 9]) == [10, 19]
    frames = record(path, start_frame=5, end_frame=6)
    assert source.info(frames).length == 2
    assert numbers(source, frames, [1, 0]) == [6, 5]


def test_a_frame_that_is_not_there_is_never_asked_for(make_source, tmp_path):
    source, path = make_source(), makers.closed(tmp_path)
    for rec, indices in (
        (record(path), [0, 60]),
        (record(path, end_frame=9), [10]),
        (record(path), [-1]),
    ):
        with pytest.raises(DataError, match=r"closed\.mp4 \(val\.csv:7\): has .* asked for"):
            source.frames(rec, indices)
    assert not source.counts


def test_a_reader_is_asked_only_where_it_is_exact(make_source, tmp_path, monkeypatch):
    """A decord that gives rubbish shows who was asked."""
    monkeypatch.setitem(DECODERS._things, "decord", fakes.ExactlyDecord)
    source = make_source(DECODING_BACKEND="decord")
    assert source.frames(record(makers.closed(tmp_path)), [5]).shape == (1, 4, 6, 3)
    assert numbers(source, record(makers.open_groups(tmp_path)), [5]) == [5]


def test_chains():
    assert reader_chain("pyav") == ("pyav", "frames")
    assert reader_chain("auto") == ("pyav", "frames")
    with pytest.raises(ConfigError, match="decord"):
        reader_chain("decrod")


def test_a_reader_that_is_not_installed(monkeypatch):
    class Absent(fakes.GoodReader):
        @staticmethod
        def missing():
            return "pip install absent"

    monkeypatch.setitem(DECODERS._things, "absent", Absent)
    with pytest.raises(ConfigError, match="pip install absent"):
        reader_chain("absent")


@pytest.mark.parametrize(
    ("reader", "reason"),
    [(fakes.HangingReader, "no answer"), (fakes.CrashingReader, "crashed")],
)
def test_a_failing_reader_costs_one_try_and_is_not_asked_again(
    make_source, tmp_path, monkeypatch, reader, reason
):
    monkeypatch.setitem(DECODERS._things, "bad", reader)
    source, rec = (
        make_source(DECODING_BACKEND="bad", DECODE_TIMEOUT=3.0),
        record(makers.closed(tmp_path)),
    )
    start = time.monotonic()
    assert numbers(source, rec, [7]) == [7]
    assert source.counts == {"bad failed": 1}
    assert numbers(source, rec, [8]) == [8]
    assert source.counts == {"bad failed": 1}
    assert source.index(rec).failed == ("bad",)
    assert time.monotonic() - start < 30


def test_when_all_readers_fail_the_message_says_why(make_source, tmp_path, monkeypatch):
    monkeypatch.setitem(DECODERS._things, "bad", fakes.CrashingReader)
    monkeypatch.setitem(DECODERS._things, "pyav", fakes.CrashingReader)
    source, rec = make_source(DECODING_BACKEND="bad"), record(makers.avi(tmp_path))
    with pytest.raises(DataError, match=r"plain\.avi \(val\.csv:7\): bad: .*crashed.*; pyav: "):
        source.frames(rec, [0])


@pytest.mark.parametrize(
    "make", [makers.empty, makers.text, makers.header_missing, makers.sound_only]
)
def test_broken_files_name_path_and_place(make_source, tmp_path, make):
    source, path = make_source(), make(tmp_path)
    with pytest.raises(DataError) as error:
        source.info(record(path))
    assert str(error.value).startswith(f"{path} (val.csv:7): ")
    assert len(str(error.value).splitlines()) == 1


def test_a_missing_file(make_source, tmp_path):
    with pytest.raises(DataError, match=r"gone\.mp4 \(val\.csv:7\): No such file"):
        make_source().info(record(tmp_path / "gone.mp4"))


@pytest.mark.parametrize("make", [makers.claims_more, makers.cut_webm])
def test_a_cut_file_has_the_frames_that_are_left(make_source, tmp_path, make):
    source, rec = make_source(), record(make(tmp_path))
    length = source.info(rec).length
    assert 10 < length < 50
    assert numbers(source, rec, range(length)) == list(range(length))


def test_hidden_damage_is_told_once_and_then_known(make_source, tmp_path):
    source, rec = make_source(), record(makers.damaged_middle(tmp_path))
    assert source.info(rec).length == 60
    assert numbers(source, rec, [2, 40]) == [2, 40]
    with pytest.raises(LengthChangedError, match=r"58 frames .*, not 60"):
        source.frames(rec, [19, 20])
    assert source.info(rec).length == 58
    assert len(source.frames(rec, range(58))) == 58
    assert numbers(source, rec, [19]) == [19]
    assert source.counts["files counted anew"] == 1


@pytest.fixture
def make_folder(tmp_path):
    def make(first=1, count=6, template="{:05d}.jpg", skip=()):
        folder = tmp_path / "v_01"
        folder.mkdir()
        for number in range(first, first + count):
            if number not in skip:
                picture = torch.from_numpy(makers.barcode(number - first)).permute(2, 0, 1)
                write_jpeg(picture, str(folder / template.format(number)), quality=95)
        (folder / "notes.txt").touch()
        return folder

    return make


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("template", ["{:05d}.jpg", "img_{:05d}.jpg", "v_01_{:d}.jpg"])
def test_folders_begin_at_0_or_1(make_source, make_folder, first, template):
    key = template.replace("v_01", "{name}")
    source = make_source(IMAGE_TEMPLATE=key, IMAGE_FPS=12.0)
    rec = record(make_folder(first, 12, template), num_frames=12)
    assert source.info(rec) == (12, 12.0)
    assert numbers(source, rec, [11, 0, 4, 4]) == [11, 0, 4, 4]
    assert source.frames(rec, [0], short_side=32).shape == (1, 32, 80, 3)
    assert numbers(source, record(rec.path, start_frame=3, end_frame=8), [1]) == [4]
    assert numbers(source, record(rec.path, start=0.5), [0]) == [6]
    assert not source.counts


def test_a_folders_claim_is_checked(make_source, make_folder):
    source, folder = make_source(), make_folder(count=6)
    assert source.info(record(folder, num_frames=9)).length == 6
    assert source.counts == {"frame folders of another length than listed": 1}


@pytest.mark.parametrize(
    ("folder", "reason"),
    [
        ({"skip": (3,)}, "no image number 3"),
        ({"first": 4}, "begins at number 4"),
        ({"template": "x{:d}.png"}, "no image named like 00001.jpg"),
    ],
)
def test_broken_folders(make_source, make_folder, folder, reason):
    with pytest.raises(DataError, match=rf"v_01 \(val.csv:7\): folder .*{reason}"):
        make_source().info(record(make_folder(**folder)))


def test_a_broken_image_is_named(make_source, make_folder):
    source, folder = make_source(), make_folder()
    (folder / "00004.jpg").write_bytes(b"no image")
    assert source.info(record(folder)).length == 6
    with pytest.raises(DataError, match=r"00004\.jpg cannot be read"):
        source.frames(record(folder), [0, 3])


def test_another_template_is_another_index(make_source, make_folder):
    folder = make_folder(template="img_{:05d}.jpg")
    assert make_source(IMAGE_TEMPLATE="img_{:05d}.jpg").info(record(folder)).length == 6
    with pytest.raises(DataError, match="IMAGE_TEMPLATE"):
        make_source().info(record(folder))


class Clips(torch.utils.data.Dataset):
    def __init__(self, source, path):
        self.source, self.path = source, path

    def __len__(self):
        return 8

    def __getitem__(self, number):
        return number, self.source.frames(record(self.path), [number, 0])


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_in_loader_workers(make_source, tmp_path, method):
    """Also where the parent has used the source before."""
    source, path = make_source(), makers.closed(tmp_path)
    source.info(record(path))
    loader = torch.utils.data.DataLoader(
        Clips(source, path), batch_size=2, num_workers=2, multiprocessing_context=method
    )
    for batch, frames in loader:
        assert [makers.numbers_of(f) for f in frames] == [[n, 0] for n in batch.tolist()]


def test_pickled(make_source, tmp_path):
    source, rec = make_source(), record(makers.closed(tmp_path))
    assert source.info(rec).length == 60
    copy = pickle.loads(pickle.dumps(source))
    assert numbers(copy, rec, [8]) == [8]
    copy.close()


@pytest.mark.slow
@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc")
@pytest.mark.parametrize("backend", ["auto", "decord"])
def test_memory_stays_flat(make_source, tmp_path, backend):
    """In one process, so that a leak in a reader is seen here."""
    if backend != "auto" and DECODERS.get(backend).missing():
        pytest.skip(DECODERS.get(backend).missing())
    source = make_source(DECODING_BACKEND=backend, DECODE_TIMEOUT=0.0)
    records = [
        record(make(tmp_path)) for make in (makers.b_frames, makers.webm, makers.avi_b_frames)
    ]

    def read(times):
        for number in range(times):
            source.frames(records[number % len(records)], [number % 60, 3])

    read(150)
    before = fakes.resident_mb()
    read(1000)
    assert fakes.resident_mb() - before < 10


@pytest.mark.slow
def test_real_files_through_the_source(make_source, video_dir):
    """Every file of the torture folder: all frames, or one clear error; never a hang."""
    source, failed = make_source(DECODE_TIMEOUT=30.0), {}
    for path in sorted(video_dir.glob("[dmt]*/*.*")):
        try:
            length = source.info(record(path)).length
            assert len(source.frames(record(path), [length - 1, 0, length // 2], 64)) == 3
        except DataError as error:
            failed[str(path)] = str(error)
    assert {os.path.basename(path) for path in failed} <= {"corrupted.mp4"}
    assert all(reason.startswith(path) for path, reason in failed.items())
