"""`slowfast-ext predict` as it is typed."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import pytest
import torch
from data.video_makers import several_streams, sound_only, text

from slowfast_ext import cli
from slowfast_ext.predict import lines as lines_module
from slowfast_ext.predict.lists import videos_of


@pytest.fixture
def predict(run, capsys):
    """Run the command; returns exit code, what it printed, what it said."""

    def call(*arguments, weights=None):
        code = cli.main(["predict", "--weights", str(weights or run.checkpoint), "--device", "cpu", "--workers", "0",
                         *map(str, arguments)])  # fmt: skip
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def read(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def test_one_video_for_people(predict, run, recognizer):
    code, out, _ = predict(run.videos[0], "--top", "3")
    best = recognizer(run.videos[0]).top(3)
    assert code == 0
    assert out.splitlines()[0] == run.videos[0]
    assert [line.split("  ")[-1] for line in out.splitlines()[1:]] == [guess.name for guess in best]


def test_a_folder_to_json_lines_and_csv(predict, run, recognizer, tmp_path):
    (folder,) = {Path(video).parents[1] for video in run.videos}
    code, out, err = predict(folder, "--out", tmp_path / "p.jsonl", "--top", "2")
    assert (code, out) == (0, "")
    assert "13 videos" in err
    rows = read(tmp_path / "p.jsonl")
    paths = [own.record.path for own in videos_of([str(folder)])]
    assert [row["video"] for row in rows] == paths
    for row, prediction in zip(rows, recognizer(paths), strict=True):
        assert [(best["name"], best["class"]) for best in row["top"]] == [
            (guess.name, guess.label) for guess in prediction.top(2)
        ]
        assert row["top"][0]["score"] == round(prediction.top(1)[0].score, 6)
    assert predict(folder, "--out", tmp_path / "p.csv", "--top", "2")[0] == 0
    with (tmp_path / "p.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [row["top1"] for row in table] == [row["top"][0]["name"] for row in rows]
    assert list(table[0]) == ["video", "top1", "score1", "top2", "score2", "error"]


def test_bad_files_are_lines_and_not_an_end(predict, run, tmp_path):
    good = [shutil.copy(video, tmp_path / f"good{n}.mp4") for n, video in enumerate(run.videos[:3])]
    text(tmp_path), sound_only(tmp_path)
    out = tmp_path / "out.jsonl"
    code, _, err = predict(tmp_path, "--out", out)
    rows = {Path(row["video"]).name: row for row in read(out)}
    assert code == 1
    assert len(rows) == 5
    assert "has no video stream (it has audio)" in rows["sound.mp4"]["error"]
    assert "cannot be opened" in rows["text.mp4"]["error"]
    assert all(rows[Path(path).name]["top"] for path in good)
    assert "2 could not be read" in err
    (tmp_path / "text.mp4").write_bytes(Path(good[0]).read_bytes())
    assert predict(tmp_path, "--out", out)[0] == 1
    assert "error" in read(out)[-1]
    assert predict(tmp_path, "--out", out, "--retry")[0] == 1
    assert sum("error" in row for row in read(out)) == 1
    text(tmp_path)
    code, printed, err = predict(tmp_path)
    assert code == 1
    assert len(printed.splitlines()) == 3
    assert "sound.mp4: not read" in err
    assert predict(tmp_path / "sound.mp4")[0] == 2


def test_a_list_with_a_missing_file(predict, run, tmp_path):
    (tmp_path / "list.txt").write_text(f"{run.videos[0]} 3\nnowhere.mp4 1\n")
    code, out, err = predict(tmp_path / "list.txt", "--top", "1")
    assert code == 1
    assert run.videos[0] in out
    assert "nowhere.mp4: not read: No such file" in err


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
@pytest.mark.parametrize("more", [(), ("--window", "0.3", "--stride", "0.1")])
def test_what_is_there_is_not_computed_again(predict, run, tmp_path, suffix, more, monkeypatch):
    whole, cut, videos = tmp_path / f"whole.{suffix}", tmp_path / f"cut.{suffix}", run.videos[:5]
    assert predict(*videos, "--out", whole, "--views", "1x1", *more)[0] == 0
    assert predict(run.videos[0], "--out", cut, "--views", "1x1", *more)[0] == 0
    content = whole.read_bytes()
    for size in (len(content) // 2, len(content) - 1):
        cut.write_bytes(content[:size])
        assert predict(*videos, "--out", cut, "--views", "1x1", *more)[0] == 0
        assert cut.read_bytes() == content
    monkeypatch.setattr("slowfast_ext.predict.recognizer.mean_scores", None)
    code, _, err = predict(*videos, "--out", cut, "--views", "1x1", *more)
    assert code == 0
    assert "5 were there" in err


def test_killed_and_started_again(predict, run, tmp_path):
    out, whole = tmp_path / "out.jsonl", tmp_path / "whole.jsonl"
    command = [sys.executable, "-m", "slowfast_ext", "predict", "--weights", str(run.checkpoint), *run.videos, "--workers",
               "1", "--view-batch", "1", "--out", str(out)]  # fmt: skip
    process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})
    while process.poll() is None and not (out.exists() and out.stat().st_size):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = out.read_bytes().count(b"\n")
    assert predict(*run.videos, "--view-batch", "1", "--out", out)[0] == 0
    assert predict(*run.videos, "--view-batch", "1", "--out", whole)[0] == 0
    assert done >= 1
    assert read(out) == read(whole)


def test_asked_to_stop(predict, run, tmp_path, monkeypatch):
    write = lines_module.Lines.write

    def write_and_stop(self, prediction):
        write(self, prediction)
        if len(self.done) == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(lines_module.Lines, "write", write_and_stop)
        code, _, err = predict(*run.videos, "--out", tmp_path / "out.jsonl")
    assert code == 75
    assert "the same command goes on" in err
    assert len(read(tmp_path / "out.jsonl")) == 4
    assert predict(*run.videos, "--out", tmp_path / "out.jsonl")[0] == 0
    assert len(read(tmp_path / "out.jsonl")) == 13


class FullDisk:
    """A file on a disk with room for `room` more bytes."""

    def __init__(self, file, room):
        self.file, self.room = file, room

    def __getattr__(self, name):
        return getattr(self.file, name)

    def write(self, content):
        part, self.room = content[: self.room], self.room - len(content)
        if not part:
            raise OSError(28, "No space left on device")
        return self.file.write(part)


def test_a_full_disk_loses_nothing(predict, run, tmp_path, monkeypatch):
    out, whole = tmp_path / "out.jsonl", tmp_path / "whole.jsonl"
    assert predict(*run.videos, "--out", whole)[0] == 0
    start = lines_module.AppendedFile.__init__

    def start_on_a_full_disk(self, path):
        start(self, path)
        self._file = FullDisk(self._file, 1500)

    with monkeypatch.context() as patch:
        patch.setattr(lines_module.AppendedFile, "__init__", start_on_a_full_disk)
        code, _, err = predict(*run.videos, "--out", out)
    assert code == 74
    assert "No space left on device; what is in it is whole, and the same command goes on" in err
    assert whole.read_bytes().startswith(out.read_bytes())
    assert out.read_bytes().endswith(b"\n")
    assert predict(*run.videos, "--out", out)[0] == 0
    assert out.read_bytes() == whole.read_bytes()


def test_a_file_of_other_settings_is_not_continued(predict, run, tmp_path):
    out = tmp_path / "out.jsonl"
    assert predict(run.videos[0], "--out", out)[0] == 0
    code, _, err = predict(run.videos[0], "--out", out, "--top", "3")
    assert code == 2
    assert "made with top 5, now 3" in err
    foreign = tmp_path / "foreign.csv"
    foreign.write_text("a,b\n1,2\n")
    code, _, err = predict(run.videos[0], "--out", foreign)
    assert code == 2
    assert "not of this command" in err
    assert foreign.read_text() == "a,b\n1,2\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.mp4"], "nowhere.mp4: no such file"),
        (["{empty}"], "no videos in this folder"),
        (["{video}", "--out", "p.txt"], ".jsonl or a .csv"),
        (["{video}", "--views", "three"], "clips x crops"),
        (["{video}", "--top", "0"], "--top 0"),
        (["{video}", "--stride", "1"], "needs --window"),
        (["{video}", "--window", "-1"], "more than 0"),
        (["{video}", "--render", "{video}"], "would replace"),
        (["{video}", "--render", "o.gif"], ".mp4"),
        (["{video}", "--class-names", "k400"], "400 class names, but the weights have 12"),
        (["{video}", "--opts", "VIT.DEPTH"], "has no value"),
        (["{video}", "--opts", "VIT.DEPTH", "1"], "settings need the name"),
        (["{video}", "--import", "nowhere.py"], "nowhere.py"),
        (["{video}", "--device", "gpu"], "device"),
    ],
)
def test_mistakes_are_one_line(predict, run, tmp_path, arguments, words):
    (tmp_path / "empty").mkdir()
    words_of = {"video": run.videos[0], "empty": tmp_path / "empty"}
    code, out, err = predict(*(argument.format(**words_of) for argument in arguments))
    assert (code, out) == (2, "")
    assert words in err
    assert len(err.splitlines()) == 1


def test_a_pipe_that_is_closed(run):
    command = [sys.executable, "-m", "slowfast_ext", "predict", "--weights", str(run.checkpoint), *run.videos * 2,
               "--workers", "0", "--views", "1x1", "--view-batch", "1"]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.readline()
    process.stdout.close()
    said = process.stderr.read()
    assert process.wait() in (0, 141)
    assert "Traceback" not in said


def test_weights_that_are_none(predict, run, tmp_path):
    for name, content, words in (
        ("none.pyth", None, "no such file"), ("web.pyth", b"<html>", "web page"), ("cut.pyth", b"PK\x03\x04" + b"0" * 99, "damaged"),
    ):  # fmt: skip
        if content:
            (tmp_path / name).write_bytes(content)
        code, _, err = predict(run.videos[0], weights=tmp_path / name)
        assert code == 2
        assert words in err


def test_a_long_video(predict, long_video, tmp_path):
    code, out, _ = predict(long_video, "--window", "2", "--stride", "1")
    assert code == 0
    assert "10.0 s, 9 windows" in out.splitlines()[0]
    made = tmp_path / "made"
    code, out, _ = predict(
        long_video, "--window", "2", "--stride", "1", "--timeline", made, "--render", made / "drawn.mp4",
        "--out", tmp_path / "w.jsonl",
    )  # fmt: skip
    assert (code, out) == (0, "")
    assert sorted(path.name for path in made.iterdir()) == [
        "drawn.mp4",
        "long.csv",
        "long.png",
        "long.srt",
    ]
    rows = read(tmp_path / "w.jsonl")
    assert [(row["start"], row["end"]) for row in rows] == [(n, n + 2) for n in range(9)]
    before = (made / "long.png").stat().st_mtime_ns
    (made / "long.srt").unlink()
    assert predict(
        long_video, "--window", "2", "--stride", "1", "--timeline", made, "--render", made / "drawn.mp4",
        "--out", tmp_path / "w.jsonl",
    )[0] == 0  # fmt: skip
    assert (made / "long.srt").exists()
    assert (made / "long.png").stat().st_mtime_ns > before
    assert read(tmp_path / "w.jsonl") == rows


def facts(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        times = [frame.time for frame in container.decode(stream)]
        sound = [own.codec_context.name for own in container.streams.audio]
        return (stream.width, stream.height, stream.average_rate), len(times), sound, times


def test_a_drawn_copy_keeps_size_rate_and_sound(predict, tmp_path):
    source = several_streams(tmp_path)
    code, _, _ = predict(source, "--render", tmp_path / "out.mp4", "--window", "0.5")
    assert code == 0
    want, have = facts(source), facts(tmp_path / "out.mp4")
    assert have[:3] == want[:3]
    assert have[3] == pytest.approx(want[3])


def test_a_copy_that_cannot_be_made_is_said(predict, run, tmp_path):
    (tmp_path / "taken").write_text("")
    code, out, err = predict(run.videos[0], "--render", tmp_path / "taken/x.mp4")
    assert code == 1
    assert out
    assert "not written" in err


def test_public_weights(predict, run, tmp_path):
    import slowfast_ext

    small = {"VIT.DEPTH": 1, "VIT.EMBED_DIM": 24, "VIT.NUM_HEADS": 2}
    model = slowfast_ext.create_model("joint_b", 2, num_frames=4, img_size=32, settings=small)
    torch.save(model.state_dict(), tmp_path / "w.pth")
    (tmp_path / "names.txt").write_text("yes\nno\n")
    pairs = [
        str(x)
        for pair in {
            **small,
            "DATA.NUM_FRAMES": 4,
            "DATA.TRAIN_CROP_SIZE": 32,
            "DATA.TEST_CROP_SIZE": 32,
        }.items()
        for x in pair
    ]
    code, out, err = predict(
        run.videos[0], "--views", "1x1", "--model", "joint_b", "--class-names", tmp_path / "names.txt", "--opts", *pairs,
        weights=tmp_path / "w.pth",
    )  # fmt: skip
    assert code == 0, err
    assert {line.split()[-1] for line in out.splitlines()[1:]} == {"yes", "no"}
    code, _, err = predict(run.videos[0], weights=tmp_path / "w.pth")
    assert code == 2
    assert "--model NAME" in err
