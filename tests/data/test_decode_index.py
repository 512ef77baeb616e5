"""The index of a file: its facts, its pieces, and the cache that keeps it."""

import json
import os
import pickle
import shutil
import subprocess
import sys
import zlib

import pytest
import video_makers as makers

from slowfast_ext.config import load_config
from slowfast_ext.data.decode.index import VideoIndex
from slowfast_ext.data.decode.index_cache import _TABLE, FILE_NAME, IndexCache
from slowfast_ext.data.decode.piece import piece_of
from slowfast_ext.data.decode.scan import scan_video
from slowfast_ext.data.decode.source import VideoSource
from slowfast_ext.data.records import VideoRecord
from slowfast_ext.data.storage.store import ENDS, facts
from slowfast_ext.errors import DataError


def an_index(**changes):
    facts = {
        "pts": tuple(range(100, 200, 2)),
        "keys": (100, 124),
        "time_base": (1, 50),
        "fps": 25.0,
        "height": 4,
        "width": 6,
        "container": "mov",
        "codec": "h264",
    }
    return VideoIndex(**facts | changes)


def test_facts(tmp_path):
    index = scan_video(makers.b_frames(tmp_path))
    assert (len(index), index.fps, index.size) == (60, 25.0, (64, 160))
    assert (index.container, index.codec, index.pix_fmt) == ("mov", "h264", "yuv420p")
    assert index.duration == pytest.approx(2.4)
    assert len(index.keys) == 5
    assert index.key_before(30) == index.pts[24]
    assert not index.counted


def test_json_keeps_everything(tmp_path):
    index = scan_video(makers.variable_rate(tmp_path))
    assert VideoIndex.from_json(json.loads(json.dumps(index.to_json()))) == index


@pytest.mark.parametrize(
    ("make", "counted", "seekable", "damaged"),
    [
        (makers.closed, False, True, 0),
        (makers.edit_list, False, True, 0),
        (makers.avi, True, True, 0),
        (makers.avi_b_frames, True, False, 0),
        (makers.claims_more, True, False, 1),
    ],
)
def test_packets_are_believed_only_where_they_tell(tmp_path, make, counted, seekable, damaged):
    index = scan_video(make(tmp_path))
    assert (index.counted, index.seekable, index.damaged) == (counted, seekable, damaged)


def test_damage_is_found_by_counting(tmp_path):
    path = makers.damaged_middle(tmp_path)
    assert len(scan_video(path)) == 60
    counted = scan_video(path, count=True)
    assert (len(counted), counted.damaged, counted.decord_exact) == (58, 2, False)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (makers.empty, "cannot be opened"),
        (makers.text, "cannot be opened"),
        (makers.header_missing, "cannot be opened"),
        (makers.sound_only, "no video stream"),
    ],
)
def test_broken_files_are_told(tmp_path, make, reason):
    with pytest.raises(DataError, match=reason):
        scan_video(make(tmp_path))


@pytest.mark.parametrize(
    ("piece", "expected"),
    [
        ({}, range(0, 50)),
        ({"start": 0.4}, range(10, 50)),
        ({"start": 0.4, "end": 0.8}, range(10, 20)),
        ({"end": 0.8}, range(0, 20)),
        ({"start": 0.41, "end": 0.42}, range(11, 12)),
        ({"start": 1.0, "end": 99.0}, range(25, 50)),
        ({"start_frame": 7, "end_frame": 9}, range(7, 10)),
        ({"start_frame": 7}, range(7, 50)),
        ({"start_frame": 7, "end_frame": 99}, range(7, 50)),
    ],
)
def test_pieces(piece, expected):
    """Times count from the first frame, wherever its stamp lies."""
    assert piece_of(VideoRecord("a.mp4", (0,), "a.csv:1", **piece), an_index()) == expected


@pytest.mark.parametrize(
    "piece",
    [{"start": 2.5}, {"start_frame": 50, "end_frame": 60}, {"start_frame": 9, "end_frame": 8}],
)
def test_no_piece(piece):
    with pytest.raises(DataError, match=r"50 frames, 2\.00 s"):
        piece_of(VideoRecord("a.mp4", (0,), "a.csv:1", **piece), an_index())


def test_pieces_of_a_variable_rate():
    index = an_index(pts=(0, 1, 2, 50, 99, 100), time_base=(1, 100), fps=5.0)
    assert piece_of(VideoRecord("a", (0,), "a:1", start=0.5, end=1.0), index) == range(3, 5)


@pytest.fixture
def video(tmp_path):
    path = tmp_path / "videos" / "a.mp4"
    path.parent.mkdir()
    path.write_bytes(b"one")
    return str(path)


def cache_in(*folders, root=""):
    return IndexCache(map(str, folders), str(root))


def test_cache_keeps_until_the_file_changes(video, tmp_path):
    cache, index = cache_in(tmp_path), an_index(failed=("decord",))
    assert cache.get(video) is None
    cache.put(video, index)
    assert cache.get(video) == cache_in(tmp_path).get(video) == index
    with open(video, "a") as file:
        file.write("more")
    assert cache.get(video) is None
    assert cache_in(tmp_path).get(video) is None


def test_cache_survives_pickling_and_moving(video, tmp_path):
    folder = tmp_path / "videos"
    cache = cache_in(folder, root=folder)
    cache.put(video, an_index())
    assert pickle.loads(pickle.dumps(cache)).get(video) == an_index()
    moved = tmp_path / "elsewhere"
    folder.rename(moved)
    assert cache_in(moved, root=moved).get(str(moved / "a.mp4")) == an_index()


def test_cache_goes_where_it_can_be_written(video, tmp_path):
    """A file in place of the folder stands for one that cannot be written."""
    blocked, output = tmp_path / "blocked", tmp_path / "output"
    blocked.write_text("")
    cache = cache_in(blocked, output)
    cache.put(video, an_index())
    assert (output / FILE_NAME).exists()
    assert cache_in(blocked, output).get(video) == an_index()
    assert sum(cache.counts.values()) == 1


def test_a_broken_cache_costs_a_scan_and_no_run(video, tmp_path):
    (tmp_path / FILE_NAME).write_bytes(b"this is no database" * 100)
    cache = cache_in(tmp_path)
    assert cache.get(video) is None
    cache.put(video, an_index())
    assert cache.get(video) == an_index()
    assert any("not a database" in reason for reason in cache.counts)


def flipped(content, bit):
    damaged = bytearray(content)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def test_any_flipped_bit_of_an_entry_costs_a_scan(video, tmp_path):
    cache_in(tmp_path).put(video, an_index())
    cache = cache_in(tmp_path)
    database = cache._connect(cache.files[0])
    (entry,) = database.execute(f"SELECT entry FROM {_TABLE}").fetchone()
    unused = 0  # bits that fill the last byte of the compressed text
    for bit in range(8 * len(entry)):
        database.execute(f"UPDATE {_TABLE} SET entry = ?", (flipped(entry, bit),))
        found = cache.get(video)
        assert found in (None, an_index()), bit
        unused += found is not None
        cache._recent.clear()
    assert unused < 8
    others = (None, 5, "text", b"", zlib.compress(b"5"), zlib.compress(b"{}"), zlib.compress(b"{"))
    for other in others:
        database.execute(f"UPDATE {_TABLE} SET entry = ?", (other,))
        assert cache.get(video) is None, other
    assert sum(cache.counts.values()) == 8 * len(entry) - unused + len(others)
    cache.put(video, an_index())
    assert cache_in(tmp_path).get(video) == an_index()


def test_flipped_bits_of_the_file_cost_a_scan(video, tmp_path):
    """Of the database itself: the index, or none, and never an exception."""
    cache = cache_in(tmp_path)
    cache.put(video, an_index())
    del cache
    content = (tmp_path / FILE_NAME).read_bytes()
    used = [at for at, byte in enumerate(content) if byte]
    for at in used[::4] + list(range(0, len(content), 997)):
        (tmp_path / FILE_NAME).write_bytes(flipped(content, 8 * at + at % 8))
        cache = cache_in(tmp_path)
        assert cache.get(video) in (None, an_index()), at
        cache.put(video, an_index(fps=12.0))
        assert cache.get(video) == an_index(fps=12.0), at


def test_a_file_that_another_one_replaced(video, tmp_path):
    """Of equal size and time of change; a copy of the folder keeps its indices."""
    cache = cache_in(tmp_path, root=tmp_path / "videos")
    cache.put(video, an_index())
    before = os.stat(video)
    shutil.copytree(tmp_path / "videos", tmp_path / "moved")
    assert cache_in(tmp_path, root=tmp_path / "moved").get(str(tmp_path / "moved/a.mp4"))
    with open(video, "wb") as file:
        file.write(b"two")
    os.utime(video, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert os.stat(video).st_size == before.st_size
    assert cache.get(video) is None
    assert cache_in(tmp_path, root=tmp_path / "videos").get(video) is None


@pytest.mark.parametrize("size", [0, 1, ENDS, ENDS + 1, 2 * ENDS - 1, 2 * ENDS, 5 * ENDS])
def test_stamps_know_both_ends(tmp_path, size):
    file, content = tmp_path / "a.mp4", bytes(size)
    file.write_bytes(content)
    stamp, found = os.stat(file).st_mtime_ns, {facts(str(file))}
    places = {0, min(ENDS, size) - 1, max(0, size - ENDS), size - 1} if size else set()
    for place in places:
        file.write_bytes(flipped(content, 8 * place))
        os.utime(file, ns=(stamp, stamp))
        found.add(facts(str(file)))
    assert len(found) == 1 + len(places)


def test_an_entry_is_small(video, tmp_path):
    cache = cache_in(tmp_path)
    cache.put(video, an_index(pts=tuple(round(i * 1000 / 12) for i in range(300))))
    (size,) = (
        cache._connect(cache.files[0]).execute(f"SELECT length(entry) FROM {_TABLE}").fetchone()
    )
    assert size < 500


def test_many_processes_write_one_cache(tmp_path):
    code = """
import sys
from slowfast_ext.data.decode.index_cache import IndexCache
sys.path.insert(0, sys.argv[2])
from test_decode_index import an_index
cache = IndexCache([sys.argv[1]])
for i in range(30):
    path = f"{sys.argv[1]}/{sys.argv[3]}_{i}.mp4"
    open(path, "w").close()
    cache.put(path, an_index())
assert not cache.counts, cache.counts
"""
    here = os.path.dirname(__file__)
    runs = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), here, str(number)])
        for number in range(3)
    ]
    assert [run.wait() for run in runs] == [0, 0, 0]
    cache = cache_in(tmp_path)
    paths = [str(p) for p in tmp_path.glob("*.mp4")]
    assert len(paths) == 90
    assert all(cache.get(path) == an_index() for path in paths)


def test_the_index_of_a_data_set_is_never_among_its_files(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("SLOWFAST_EXT_CACHE", raising=False)
    data, output = tmp_path / "data", tmp_path / "output"
    pairs = ["DATA.PATH_TO_DATA_DIR", str(data), "OUTPUT_DIR", str(output)]
    files = VideoSource.from_cfg(load_config([], pairs)).cache.files
    assert files[0].is_relative_to(tmp_path / "cache/slowfast_ext")
    assert files[1:] == [output / FILE_NAME]
    other = VideoSource.from_cfg(load_config([], [*pairs, "DATA.PATH_PREFIX", "/elsewhere"]))
    assert other.cache.files[0] != files[0]
    told = VideoSource.from_cfg(load_config([], [*pairs, "DATA.INDEX_DIR", str(data)]))
    assert told.cache.files[0] == data / FILE_NAME
