"""Verdicts on files that are sound, absent, cut, empty, or break their reader."""

import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar

import official_sets
import pytest
import video_makers as makers
from plain_source import PlainSource

from slowfast_ext.config import get_cfg
from slowfast_ext.data.curation import health
from slowfast_ext.data.curation.health import EMPTY, MISSING, OK, SHORT, UNREADABLE
from slowfast_ext.data.decode.source import LengthChangedError, VideoSource
from slowfast_ext.data.records import VideoRecord, VideoSet
from slowfast_ext.errors import DataError


def record(path, **facts):
    return VideoRecord(str(path), (0,), "list:1", name=path.name, **facts)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("videos")
    official_sets.video(root / "good.mp4")
    official_sets.frame_folder(root / "frames")
    (root / "text.mp4").write_text("not a video")
    (root / "zero.mp4").touch()
    return root


@pytest.mark.parametrize(
    ("name", "facts", "expected"),
    [
        ("good.mp4", {}, OK),
        ("frames", {"num_frames": 8}, OK),
        ("frames", {"num_frames": 9}, SHORT),
        ("frames", {"start_frame": 0, "end_frame": 3}, OK),
        ("gone.mp4", {}, MISSING),
        ("text.mp4", {}, UNREADABLE),
        ("zero.mp4", {}, UNREADABLE),
    ],
)
def test_inspect(folder, name, facts, expected):
    verdict = health.inspect(record(folder / name, **facts), PlainSource())
    assert verdict.verdict == expected
    if expected in health.USABLE:
        assert (verdict.num_frames, verdict.width, verdict.height) == (8, 32, 32)
        assert verdict.seconds == pytest.approx(8 / 12)
    else:
        assert verdict.detail


class Cut(PlainSource):
    """Knows of fewer frames than the file claims; with none of them for an empty video."""

    def __init__(self, length):
        self.length = length

    def info(self, record):
        info = super().info(record)
        info.length = self.length
        return info


def test_header_that_claims_more(folder):
    verdict = health.inspect(record(folder / "good.mp4"), Cut(5))
    assert (verdict.verdict, verdict.detail) == (SHORT, "5 of 8 frames that it claims")


def test_no_frames(folder):
    assert health.inspect(record(folder / "good.mp4"), Cut(0)).verdict == EMPTY


def test_every_frame_is_decoded(folder):
    class Broken(PlainSource):
        def frames(self, record, indices, short_side=0):
            if 7 in indices:
                raise DataError("frame 7 is broken")
            return super().frames(record, indices, short_side)

    good = record(folder / "good.mp4")
    assert health.inspect(good, Broken()).verdict == UNREADABLE
    assert health.inspect(good, Broken(), every_frame=False).verdict == OK


def test_a_hole_inside_makes_it_short(folder):
    class Recounting(PlainSource):
        length = 8

        def info(self, record):
            info = super().info(record)
            info.length = self.length
            return info

        def frames(self, record, indices, short_side=0):
            if max(indices) >= 5:
                self.length = 5
                raise LengthChangedError("only 5 frames can be decoded")
            return super().frames(record, indices, short_side)

    verdict = health.inspect(record(folder / "good.mp4"), Recounting())
    assert (verdict.verdict, verdict.num_frames) == (SHORT, 5)


class Counting(PlainSource):
    """Notes the videos it opens, over all sources."""

    opened: ClassVar[set[str]] = set()

    def info(self, record):
        self.opened.add(record.path)
        return super().info(record)


def test_inspect_all_keeps_verdicts(folder, tmp_path):
    paths = [tmp_path / name for name in ("good.mp4", "text.mp4", "gone.mp4")]
    for path in paths[:2]:
        path.write_bytes((folder / path.name).read_bytes())
    records = [record(path) for path in paths]
    cache = tmp_path / "cache" / "verdicts.jsonl"

    def look():
        Counting.opened.clear()
        found = dict(health.inspect_all(records, Counting, str(cache), 2))
        return [found[r].verdict for r in records], len(Counting.opened)

    assert look() == ([OK, UNREADABLE, MISSING], 2)
    with open(cache, "a") as file:
        file.write('\n5\n{"key": 3}\n[]\n{"key": "cut o')
    official_sets.video(paths[2])
    assert look() == ([OK, UNREADABLE, OK], 1)
    assert look() == ([OK, UNREADABLE, OK], 0)
    os.utime(paths[0], (1, 1))
    assert look() == ([OK, UNREADABLE, OK], 1)


def test_any_flipped_bit_of_a_verdict_costs_a_look(folder, tmp_path):
    video, cache = record(folder / "good.mp4"), tmp_path / "verdicts.jsonl"
    ((_, verdict),) = health.inspect_all([video], PlainSource, str(cache), 1)
    line = cache.read_bytes().strip()
    assert health._entry(line.decode())[1] == verdict
    for bit in range(8 * line.index(b'"num_frames"')):
        damaged = bytearray(line)
        damaged[bit // 8] ^= 1 << bit % 8
        found = health._entry(damaged.decode(errors="replace"))
        assert found is None or found[1].verdict == verdict.verdict, bit


def test_files_that_break_their_decoder(video_dir, tmp_path):
    cfg = get_cfg()
    cfg.OUTPUT_DIR = str(tmp_path)
    names = ("corrupted.mp4", "unordered.mov", "video_90.mov")
    records = [record(video_dir / "decord" / name) for name in names]
    make_source = partial(VideoSource.from_cfg, cfg)
    found = dict(health.inspect_all(records, make_source, str(tmp_path / "c" / "v.jsonl"), 2))
    verdicts = [found[r].verdict for r in records]
    assert verdicts == [SHORT, OK, OK]
    assert found[records[2]].num_frames == 3


@pytest.fixture
def look(tmp_path):
    """Verdict on a file by the reader of training."""
    cfg = get_cfg()
    cfg.OUTPUT_DIR = str(tmp_path / "out")
    source = VideoSource.from_cfg(cfg)
    yield lambda path, **facts: health.inspect(record(Path(path), **facts), source)
    source.close()


def test_damage_that_only_decoding_shows_makes_it_short(look, tmp_path):
    """In the middle, and in the frame that is looked at first."""
    middle = look(makers.damaged_middle(tmp_path))
    assert (middle.verdict, middle.num_frames) == (SHORT, 58)
    assert middle.detail == "58 of 60 frames that it claims"
    start = look(makers.damaged_middle(tmp_path, frames=(0,)))
    assert (start.verdict, start.num_frames) == (SHORT, 48)


def test_claims_of_real_headers(look, tmp_path):
    """Frames that an edit list hides are no claim; the best of several streams is the one that counts."""
    assert look(makers.claims_more(tmp_path)).detail.endswith("of 60 frames that it claims")
    assert look(makers.edit_list(tmp_path)).verdict == OK
    streams = look(makers.several_streams(tmp_path))
    assert (streams.verdict, streams.num_frames, streams.height) == (OK, 60, 64)
    assert look(makers.avi(tmp_path)).verdict == OK
    assert look(makers.sound_only(tmp_path)).verdict == UNREADABLE


def test_tags_in_another_encoding_do_no_harm(look, tmp_path):
    path = Path(makers.tagged(tmp_path))
    assert b"\xff\xfe" in path.read_bytes()
    assert look(path).verdict == OK


def test_a_folder_without_a_claim(look, folder):
    verdict = look(folder / "frames")
    assert (verdict.verdict, verdict.num_frames) == (OK, 8)


def test_report_and_usable_records(tmp_path):
    frames = VideoRecord("f", (0,), "list:1", num_frames=9)
    pairs = [
        (record(tmp_path / "a.mp4"), health.Verdict(OK, "", 8, 12.0, 32, 32, 100)),
        (frames, health.Verdict(SHORT, "8 of 9 frames that it claims", 8)),
        (record(tmp_path / "b.mp4"), health.Verdict(UNREADABLE, "two\nlines")),
    ]
    assert health.usable_records(pairs) == [pairs[0][0], replace(frames, num_frames=8)]
    health.write_report(pairs, str(tmp_path / "report.tsv"))
    rows = (tmp_path / "report.tsv").read_text().splitlines()
    assert len(rows) == 4
    assert rows[1].split("\t")[2:4] == ["unreadable", "two lines"]
    assert rows[3].split("\t")[2] == "ok"
    lines = health.summary(VideoSet("x", "train", [r for r, _ in pairs]), pairs)
    assert lines[0] == "train: 1 of 3 videos are sound"
    assert any("b.mp4 (two" in line for line in lines)
