"""Videos as they come: the test files of other projects, real actions."""

import csv
import json

import pytest
import torch

from slowfast_ext import cli
from slowfast_ext.predict.lists import videos_of


@pytest.fixture(scope="module")
def real_files(video_dir):
    return [
        own.record.path
        for own in videos_of(
            [str(video_dir / name) for name in ("decord", "torchvision", "torchcodec")]
        )
    ]


def test_every_file_has_an_answer_or_a_reason(run, real_files, tmp_path, capsys):
    code = cli.main(
        [
            "predict",
            "--weights",
            str(run.checkpoint),
            "--views",
            "1x1",
            "--out",
            str(tmp_path / "out.jsonl"),
            *real_files,
        ]
    )
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["video"] for row in rows] == real_files
    failed = [row for row in rows if "error" in row]
    assert code == (1 if failed else 0)
    assert all(len(row["error"]) > 10 and "\n" not in row["error"] for row in failed)
    assert len(failed) < len(rows) / 10, failed


def test_bytes_and_path_are_the_same(recognizer, real_files):
    some = real_files[::6]
    by_path = recognizer(some, views="1x1")
    by_bytes = recognizer([open(path, "rb").read() for path in some], views="1x1")  # noqa: SIM115
    for one, other in zip(by_path, by_bytes, strict=True):
        assert bool(one.error) == bool(other.error)
        assert one.error or torch.equal(one.scores, other.scores)


def test_windows_over_real_videos(recognizer, video_dir):
    video = video_dir / "torchvision/basketball.mp4"
    timeline = recognizer.timeline(video, 2, 1)
    assert timeline.seconds == pytest.approx(11.1, abs=0.1)
    assert len(timeline.windows) == 11
    assert timeline.windows[-1].window[1] == pytest.approx(timeline.seconds, abs=0.05)
    assert timeline.segments[0].start == 0
    assert timeline.segments[-1].end == pytest.approx(timeline.seconds, abs=0.05)


def test_a_set_by_its_own_list(run, video_dir, tmp_path):
    """clips.tsv of a set of class folders names paths in a column."""
    with (video_dir / "real_actions/clips.tsv").open() as file:
        paths = [row["path"] for row in csv.DictReader(file, delimiter="\t")]
    listed = videos_of([str(video_dir / "real_actions/clips.tsv")])
    assert [own.below for own in listed] == paths
    some = [own.record.path for own in listed[:6]]
    out = str(tmp_path / "out.csv")
    assert (
        cli.main(
            ["predict", "--weights", str(run.checkpoint), "--views", "1x1", "--out", out, *some]
        )
        == 0
    )
