"""MotionShapes on disk: rendered once, resumed, never mixed up, and read as a data set."""

import json
import subprocess
import sys
import threading

import av
import numpy as np
import pytest

from slowfast_ext.config.schema import get_cfg
from slowfast_ext.data.annotations import read_videos
from slowfast_ext.data.motion import (
    CLASS_NAMES,
    MotionSettings,
    ensure_rendered,
    render,
    render_clip,
    write_video,
)
from slowfast_ext.errors import ConfigError, DataError

TINY = MotionSettings("easy", 32, 4)


def decode(path):
    with av.open(str(path)) as container:
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])


@pytest.fixture
def written(monkeypatch):
    """Paths of the videos that are written from here on."""
    paths = []

    def write(path, *args):
        paths.append(path)
        write_video(path, *args)

    monkeypatch.setattr(render, "write_video", write)
    return paths


@pytest.mark.parametrize("level", ["easy", "hard"])
def test_files_show_the_clips(tmp_path, level):
    settings = MotionSettings(level, 64, 5)
    for clip in ensure_rendered(tmp_path, settings, "val", 3):
        frames = decode(clip.path)
        expected = render_clip(clip.index, "val", clip.label, settings)
        assert frames.shape == expected.shape
        assert np.abs(frames.astype(int) - expected).mean() < 25
        with av.open(str(clip.path)) as container:
            assert container.streams.video[0].codec_context.name == "h264"
            assert container.streams.video[0].average_rate == 12


def test_only_missing_files_are_rendered(tmp_path, written):
    clips = ensure_rendered(tmp_path, TINY, "train", 6)
    assert len(written) == 6
    clips[2].path.unlink()
    (clips[3].path.parent / ".000003.1.part").write_bytes(b"cut off")
    ensure_rendered(tmp_path, TINY, "train", 8)
    assert [path.stem for path in written[6:]] == ["000002", "000006", "000007"]
    ensure_rendered(tmp_path, TINY, "train", 4)
    assert len(written) == 9


def test_an_interrupted_file_leaves_nothing_behind(tmp_path):
    class Interrupted:
        shape = (2, 32, 32, 3)

        def __iter__(self):
            yield np.zeros((32, 32, 3), np.uint8)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_video(tmp_path / "clip.mp4", Interrupted())
    assert list(tmp_path.iterdir()) == []


def test_several_at_once_render_each_clip_once(tmp_path, written):
    threads = [
        threading.Thread(target=ensure_rendered, args=(tmp_path, TINY, "train", 24))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(written) == len(set(written)) == 24


def test_many_clips_are_rendered_by_processes_with_the_same_pixels(tmp_path, monkeypatch):
    monkeypatch.setattr(render, "_cores", lambda: 2)
    monkeypatch.setattr(render, "CLIPS_WORTH_A_PROCESS", 8)
    clips = ensure_rendered(tmp_path / "two", TINY, "train", 20)
    monkeypatch.setattr(render, "_cores", lambda: 1)
    again = ensure_rendered(tmp_path / "one", TINY, "train", 20)
    assert all(
        a.path.read_bytes() == b.path.read_bytes() for a, b in zip(clips, again, strict=True)
    )


def test_other_settings_have_their_own_folder(tmp_path):
    variants = [
        TINY,
        MotionSettings("hard", 32, 4),
        MotionSettings("easy", 34, 4),
        MotionSettings("easy", 32, 5),
        MotionSettings("easy", 32, 4, seed=1),
    ]
    paths = {ensure_rendered(tmp_path, settings, "val", 1)[0].path for settings in variants}
    assert len(paths) == len(variants)


def test_files_of_another_renderer_are_refused(tmp_path):
    clip = ensure_rendered(tmp_path, TINY, "val", 1)[0]
    manifest = tmp_path / TINY.folder / "manifest.json"
    facts = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**facts, "renderer": facts["renderer"] - 1}))
    with pytest.raises(DataError, match="move the folder away"):
        ensure_rendered(tmp_path, TINY, "val", 1)
    manifest.unlink()
    with pytest.raises(DataError, match=r"no manifest\.json"):
        ensure_rendered(tmp_path, TINY, "val", 1)
    assert clip.path.is_file()


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"DATA\.PATH_TO_DATA_DIR"):
        ensure_rendered(tmp_path / "file", TINY, "val", 1)


def config(root):
    cfg = get_cfg()
    cfg.TRAIN.DATASET = cfg.TEST.DATASET = "motionshapes"
    cfg.DATA.PATH_TO_DATA_DIR = str(root)
    cfg.MODEL.NUM_CLASSES = len(CLASS_NAMES)
    cfg.MOTION.NUM_TRAIN, cfg.MOTION.NUM_VAL = 24, 12
    cfg.MOTION.SIZE, cfg.MOTION.NUM_FRAMES = 32, 4
    return cfg


def test_reader(tmp_path):
    cfg = config(tmp_path)
    train, val, test = (read_videos(cfg, split) for split in ("train", "val", "test"))
    assert [len(s) for s in (train, val, test)] == [24, 12, 12]
    assert train.class_names == (CLASS_NAMES,)
    assert sorted(r.labels[0] for r in train) == sorted([*range(12)] * 2)
    assert list(val) == list(test)
    for record in train:
        assert CLASS_NAMES[record.labels[0]].replace(" ", "_") in record.path
    assert decode(train.records[0].path).shape == (4, 32, 32, 3)


def test_reader_names_what_is_missing(tmp_path):
    with pytest.raises(ConfigError, match=r"DATA\.PATH_TO_DATA_DIR is empty"):
        read_videos(config(""), "train")
    cfg = config(tmp_path)
    cfg.MOTION.SIZE = 33
    with pytest.raises(ConfigError, match=r"MOTION\.SIZE = 33"):
        read_videos(cfg, "train")


def test_a_script_without_a_main_guard_is_told_so(tmp_path):
    """Its copies in the processes that render used to wait for the lock that it holds, for ever."""
    script = tmp_path / "script.py"
    script.write_text(
        "from slowfast_ext.data.motion import MotionSettings, ensure_rendered, render\n"
        "render._cores = lambda: 2\n"
        "ensure_rendered('data', MotionSettings('easy', 32, 4), 'train', 192)\n"
    )
    ended = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == 1
    assert "if __name__ == '__main__':" in ended.stderr.splitlines()[-1]
