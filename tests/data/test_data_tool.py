"""tools/data.py from the command line: reports, clean lists, copies, pictures."""

import importlib.util
import os
import signal
import time
from pathlib import Path

import official_sets
import pytest
from PIL import Image

from slowfast_ext.config import load_config
from slowfast_ext.data.annotations import read_videos
from slowfast_ext.data.curation import health

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("data_tool", ROOT / "tools" / "data.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("set")
    (root / "train.csv").write_text("a.mp4 0\nsub/b.mp4 1\nbroken.mp4 1\n")
    (root / "val.csv").write_text("c.mp4 1\n")
    (root / "classes.txt").write_text("rise\nfall\n")
    for index, name in enumerate(("a.mp4", "sub/b.mp4", "c.mp4")):
        official_sets.video(root / name, index)
    (root / "broken.mp4").write_text("not a video")
    return root


@pytest.fixture
def args(root, tmp_path):
    pairs = ["DATA.PATH_TO_DATA_DIR", root, "OUTPUT_DIR", tmp_path, "MODEL.NUM_CLASSES", 2]
    return [*map(str, pairs)]


def test_check(tool, args, tmp_path, capsys):
    assert tool.main(["check", "--workers", "1", *args]) == 1
    printed = capsys.readouterr().out
    assert "train: 2 of 3 videos are sound" in printed
    assert "val: 1 of 1 videos are sound" in printed
    report = (tmp_path / "data" / "report_train.tsv").read_text().splitlines()
    assert "broken.mp4" in report[1]
    assert "unreadable" in report[1]
    pairs = [*args, "DATA.PATH_TO_DATA_DIR", str(tmp_path / "data" / "clean")]
    names = ["TRAIN.DATASET", "manifest", "TEST.DATASET", "manifest"]
    clean = read_videos(load_config([], [*pairs, *names]), "train")
    assert [record.name for record in clean] == ["a.mp4", "sub/b.mp4"]
    assert clean.class_names == (("rise", "fall"),)
    assert tool.main(["check", "--split", "val", "--workers", "1", *args]) == 0


def test_missing_files_are_a_verdict(tool, args, root, tmp_path, capsys):
    (tmp_path / "train.csv").write_text("a.mp4 0\ngone.mp4 1\n")
    pairs = ["DATA.PATH_TO_DATA_DIR", str(tmp_path), "DATA.PATH_PREFIX", str(root)]
    assert tool.main(["check", "--split", "train", "--workers", "1", *args, *pairs]) == 1
    assert "missing: 1" in capsys.readouterr().out


def test_stats(tool, args, tmp_path, capsys):
    assert tool.main(["stats", "--split", "train", "--workers", "1", *args]) == 0
    printed = capsys.readouterr().out
    assert "3 videos listed, 2 readable" in printed
    assert "32x32 (2)" in printed
    assert "most 2 (fall), fewest 1 (rise)" in printed
    assert Image.open(tmp_path / "data" / "stats_train.png").width > 500


def test_transcode(tool, args, tmp_path, capsys):
    options = ["--out", str(tmp_path / "small"), "--short-side", "16", "--workers", "1"]
    assert tool.main(["transcode", *options, *args]) == 1
    assert "broken.mp4" in capsys.readouterr().out
    made = sorted(
        str(path.relative_to(tmp_path / "small")) for path in (tmp_path / "small").rglob("*.mp4")
    )
    assert made == ["a.mp4", "c.mp4", "sub/b.mp4"]
    assert tool.main(["transcode", *options, *args]) == 1
    assert "3 of them copied before" in capsys.readouterr().out


def test_browse(tool, args, tmp_path):
    small = [
        "DATA.TRAIN_CROP_SIZE",
        "32",
        "DATA.TRAIN_JITTER_SCALES",
        "[32, 40]",
        "TRAIN.BATCH_SIZE",
        "2",
    ]
    pairs = ["DATA.NUM_FRAMES", "4", "DATA.SAMPLING_RATE", "2", "MIXUP.ENABLE", "True"]
    assert tool.main(["browse", "--clips", "2", *args, *small, *pairs]) == 0
    sheet = Image.open(tmp_path / "data" / "browse_0.png")
    assert sheet.size == (4 * 33 + 8, 2 * (14 + 32 + 4) + 4)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["check", "MODEL.NUM_CLASS", "3"], "did you mean MODEL.NUM_CLASSES"),
        (["check", "MODEL.NUM_CLASSES", "1"], "train.csv:2: label 1 is out of range"),
        (["transcode", "--out", "x", "--codec", "mpeg9"], "h264, h265, vp9"),
    ],
)
def test_mistakes_are_one_message(tool, args, words, expected, capsys):
    assert tool.main([*words[:1], *args, *words[1:]]) == 2
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize("words", [["check", "--nonsense"], ["transcode"], ["nonsense"]])
def test_wrong_options(tool, words, capsys):
    with pytest.raises(SystemExit) as exit_code:
        tool.main(words)
    assert exit_code.value.code == 2


def test_a_signal(tool, args, monkeypatch, capsys):
    def stopped(*_):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)

    monkeypatch.setattr(health, "inspect_all", stopped)
    assert tool.main(["check", "--workers", "1", *args]) == 75
    assert "the same command goes on" in capsys.readouterr().err
