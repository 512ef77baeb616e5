"""Features: in Python, and as files by `slowfast-ext features`."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from data.video_makers import text
from safetensors import safe_open
from safetensors.torch import load_file

from slowfast_ext import cli
from slowfast_ext.data.transforms.device import to_model_input
from slowfast_ext.errors import ConfigError, DataError
from slowfast_ext.predict import store


@pytest.fixture
def features(run, capsys):
    def call(*arguments):
        code = cli.main(["features", "--weights", str(run.checkpoint), "--device", "cpu", "--workers", "0",
                         *map(str, arguments)])  # fmt: skip
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def clips(recognizer, video, first=0, count=None):
    """Model input of the central view of some frames, by hand: 4 frames, 2 apart, centred, on a 32 px video."""
    import av

    with av.open(str(video)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    own = frames[first : None if count is None else first + count]
    start = (len(own) - 7) // 2
    clip = np.stack([own[start + 2 * i] for i in range(4)])
    return to_model_input(torch.from_numpy(clip).permute(0, 3, 1, 2)[None], recognizer._pixels)


def test_pooled_features_are_what_the_classifier_sees(recognizer, run):
    video = run.videos[0]
    found = recognizer.features(video)
    with torch.inference_mode():
        want = recognizer.model.backbone(clips(recognizer, video))[0]
        torch.testing.assert_close(found.features, want)
        torch.testing.assert_close(
            recognizer.model.head(found.features).softmax(-1), recognizer(video, views="1x1").scores
        )
    assert found.frames.tolist() == [[0, 8]]
    assert found.seconds.tolist() == [[0.0, pytest.approx(8 / 12)]]
    views = recognizer.features(video, views="2x3")
    assert views.features.shape == found.features.shape
    assert not torch.equal(views.features, found.features)


def test_tokens_of_a_block(recognizer, run):
    found = recognizer.features(run.videos[0], block="blocks.1")
    tokens = found.features
    assert tokens.shape == (1, 1 + 2 * 4 * 4, 32)
    backbone = recognizer.model.backbone
    with torch.inference_mode():
        pooled = recognizer.features(run.videos[0]).features
        torch.testing.assert_close(backbone.norm(tokens)[0, 0], pooled)
    assert recognizer.features(run.videos[0], block="blocks.0", views="2x3").features.shape[0] == 6
    with pytest.raises(ConfigError, match=r"did you mean blocks\.1"):
        recognizer.features(run.videos[0], block="block.1")
    with pytest.raises(ConfigError, match="choose a"):
        recognizer.features(run.videos[0], block="blocks")


def test_features_of_windows(recognizer, long_video):
    found = recognizer.features(long_video, window=16, stride=12)
    assert found.features.shape == (9, 32)
    assert found.frames.tolist() == [[first, first + 16] for first in range(0, 105, 12)]
    assert found.seconds[1].tolist() == [pytest.approx(1.0), pytest.approx(28 / 12)]
    one = recognizer.features(long_video, stride=50)
    assert one.frames.tolist() == [[0, 7], [50, 57], [100, 107]]
    again = recognizer.features(long_video, window=16, stride=12, workers=2)
    assert torch.equal(again.features, found.features)
    blocks = recognizer.features(long_video, window=16, stride=60, block="blocks.0", views="1x3")
    assert blocks.features.shape == (2, 3, 33, 32)


def test_a_bad_video(recognizer, tmp_path):
    with pytest.raises(DataError, match="cannot be opened"):
        recognizer.features(text(tmp_path))


def index(folder, name="index.csv"):
    with (folder / name).open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("kind", ["safetensors", "npz"])
def test_a_file_a_video(features, recognizer, run, tmp_path, kind):
    tree = Path(run.videos[0]).parents[1]
    code, _, err = features(tree, "--out", tmp_path, "--format", kind)
    assert code == 0
    assert "13 videos" in err
    rows = index(tmp_path)
    assert len(rows) == 13
    row = next(row for row in rows if row["video"] == run.videos[0])
    assert row["file"] == f"{Path(run.videos[0]).relative_to(tree)}.{kind}"
    file = tmp_path / row["file"]
    tensors = (
        load_file(file)
        if kind == "safetensors"
        else {k: torch.from_numpy(v) for k, v in np.load(file).items()}
    )
    want = recognizer.features(run.videos[0])
    torch.testing.assert_close(tensors["features"], want.features, rtol=0, atol=1e-5)
    assert torch.equal(tensors["frames"], want.frames)
    assert float(tensors["fps"]) == want.fps == float(row["fps"])
    assert row["shape"] == "32"
    if kind == "safetensors":
        with safe_open(file, "pt") as opened:
            assert opened.metadata()["video"] == run.videos[0]


def test_goes_on_where_it_was(features, run, tmp_path):
    out = tmp_path / "out"
    assert features(*run.videos[:4], "--out", out)[0] == 0
    files = {row["file"]: (out / row["file"]).stat().st_mtime_ns for row in index(out)}
    with (out / "index.csv").open("a") as file:
        file.write(run.videos[5] + ",cut off")
    (out / index(out)[2]["file"]).unlink()
    code, _, err = features(*run.videos, "--out", out)
    assert code == 0
    assert "3 were there" in err
    rows = index(out)
    assert {row["video"] for row in rows} == set(run.videos)
    assert len({row["file"] for row in rows}) == 13
    same = [file for file, when in files.items() if (out / file).stat().st_mtime_ns == when]
    assert len(same) == 3
    code, _, err = features(run.videos[0], "--out", out, "--stride", "4")
    assert code == 2
    assert "stride 0, now 4" in err
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("")
    assert features(run.videos[0], "--out", tmp_path / "mine")[0] == 2


def test_shares_of_several_machines(features, run, tmp_path):
    for share in ("1/3", "2/3", "3/3"):
        assert features(*run.videos, "--out", tmp_path, "--shard", share)[0] == 0
    parts = [index(tmp_path, f"index-{n}-of-3.csv") for n in (1, 2, 3)]
    assert [len(part) for part in parts] == [5, 4, 4]
    assert {row["video"] for part in parts for row in part} == set(run.videos)
    code, _, err = features(*run.videos, "--out", tmp_path)
    assert code == 0
    assert "13 were there" in err


def test_same_names_and_bad_files(features, run, tmp_path):
    for number, folder in enumerate(("a", "b")):
        (tmp_path / folder).mkdir()
        shutil.copy(run.videos[number], tmp_path / folder / "v.mp4")
    bad = text(tmp_path)
    out = tmp_path / "out"
    code, _, err = features(tmp_path / "a", tmp_path / "b", bad, "--out", out)
    assert code == 1
    assert "text.mp4: not read" in err
    rows = index(out)
    assert [row["file"] for row in rows] == ["v.mp4.safetensors", "v.mp4-2.safetensors", ""]
    assert "cannot be opened" in rows[2]["error"]
    first, second = (load_file(out / row["file"])["features"] for row in rows[:2])
    assert not torch.equal(first, second)


def full(*_arguments, **_more):
    raise OSError(28, "No space left on device")


def test_a_full_disk(features, run, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(store, "save_file", full)
        code, _, err = features(*run.videos[:2], "--out", tmp_path / "out")
    assert code == 74
    assert "No space left on device" in err
    assert index(tmp_path / "out") == []
    assert features(*run.videos[:2], "--out", tmp_path / "out")[0] == 0
    assert len(index(tmp_path / "out")) == 2


def test_a_full_disk_before_the_first_video(features, run, tmp_path, monkeypatch):
    """Where it is noted how the features are made."""
    (tmp_path / "out").mkdir()
    monkeypatch.setattr("os.fsync", full)
    code, _, err = features(run.videos[0], "--out", tmp_path / "out")
    assert code == 74
    assert "settings.json: not written" in err
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--block", "blocks.7"], "did you mean blocks.1"),
        (["--stride", "-1"], "more than 0"),
        (["--views", "x"], "clips x crops"),
    ],
)
def test_mistakes(features, run, tmp_path, arguments, words):
    code, _, err = features(run.videos[0], "--out", tmp_path / "out", *arguments)
    assert code == 2
    assert words in err
    assert not (tmp_path / "out").exists()
