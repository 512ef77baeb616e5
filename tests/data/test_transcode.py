"""Copies have the frames and times of their source, upright, and appear only when they are whole."""

import os

import av
import numpy as np
import official_sets
import pytest

from slowfast_ext.data.curation.transcode import (
    Recipe,
    decoded_frames,
    plan,
    transcode,
    transcode_all,
)
from slowfast_ext.errors import DataError

SMALL = Recipe(short_side=16, gop=4)


def probe(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        keys = [packet.is_keyframe for packet in container.demux(stream) if packet.size]
        return (
            stream.codec_context.name,
            stream.width,
            stream.height,
            keys,
            float(stream.average_rate),
        )


@pytest.mark.parametrize(
    ("recipe", "codec"),
    [(SMALL, "h264"), (Recipe(16, 4, "h265"), "hevc"), (Recipe(16, 4, "vp9", 30), "vp9")],
)
def test_copy(tmp_path, recipe, codec):
    source, target = tmp_path / "a.webm", tmp_path / "out" / "sub" / "a.mp4"
    official_sets.video(source)
    assert transcode(str(source), str(target), recipe) == official_sets.NUM_FRAMES
    name, width, height, keys, fps = probe(target)
    assert codec in name
    assert (width, height) == (16, 16)
    assert len(keys) == official_sets.NUM_FRAMES
    assert keys[0]
    assert keys[4]
    assert fps == pytest.approx(12, rel=0.02)
    times = [[frame.time for frame in decoded_frames(str(path))] for path in (source, target)]
    np.testing.assert_allclose(times[1], np.subtract(times[0], times[0][0]), atol=2e-3)
    assert [path.name for path in target.parent.iterdir()] == ["a.mp4"]


def test_pixels_are_kept(tmp_path):
    source, target = tmp_path / "a.mp4", tmp_path / "b.mp4"
    official_sets.video(source)
    transcode(str(source), str(target), Recipe(256, 4, crf=10))
    a, b = (
        np.stack([f.to_ndarray(format="rgb24") for f in decoded_frames(str(p))]).astype(float)
        for p in (source, target)
    )
    assert a.shape == b.shape
    assert np.abs(a - b).mean() < 6 < np.abs(a - b[::-1]).mean()


def test_odd_and_rotated_videos_come_upright(video_dir, tmp_path):
    source = video_dir / "torchcodec" / "nasa_13013_rotated.mp4"
    target = tmp_path / "a.mp4"
    transcode(str(source), str(target), Recipe(short_side=64))
    with av.open(str(target)) as container:
        frame = next(container.decode(video=0))
    decord = pytest.importorskip("decord")
    upright = decord.VideoReader(str(source), width=frame.width, height=frame.height)[0].asnumpy()
    shown = frame.to_ndarray(format="rgb24").astype(float)
    assert np.abs(shown - upright).mean() < np.abs(shown - upright[::-1, ::-1]).mean() / 2


@pytest.mark.parametrize("content", [b"", b"not a video"])
def test_broken_source_leaves_nothing(tmp_path, content):
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.mp4"):
        transcode(str(tmp_path / "a.mp4"), str(tmp_path / "out" / "a.mp4"), SMALL)
    assert not list((tmp_path / "out").iterdir())


def test_all_resumes_and_reports(tmp_path):
    media, out = tmp_path / "media", tmp_path / "out"
    for index, name in enumerate(("x/a.mp4", "b.avi")):
        official_sets.video(media / name, index)
    (media / "bad.mp4").write_text("not a video")
    paths = [str(media / name) for name in ("x/a.mp4", "b.avi", "bad.mp4", "b.avi")]
    copies = plan(paths, str(media), str(out), SMALL)
    assert [copy.target for copy in copies] == [
        str(out / n) for n in ("x/a.mp4", "b.mp4", "bad.mp4")
    ]
    outcomes = dict(transcode_all(copies, SMALL, workers=2))
    assert [outcomes[copy].num_frames for copy in copies] == [8, 8, 0]
    assert "bad.mp4" in outcomes[copies[2]].error
    assert plan(paths, str(media), str(out), SMALL) == [copies[2]]
    with pytest.raises(DataError, match="another folder"):
        plan(paths, str(media), str(out), Recipe(short_side=32))


def test_a_copy_that_takes_too_long_is_given_up(tmp_path):
    os.mkfifo(tmp_path / "a.mp4")  # Opening waits for a writer, for ever.
    copies = plan([f"{tmp_path}/a.mp4"], str(tmp_path), str(tmp_path / "out"), SMALL)
    ((_, outcome),) = transcode_all(copies, SMALL, workers=1, limit_seconds=0.5)
    assert "was killed" in outcome.error
    assert not (tmp_path / "out" / "a.mp4").exists()


def test_plan_refuses_what_has_no_place_of_its_own(tmp_path):
    with pytest.raises(DataError, match="not below"):
        plan([str(tmp_path / "a.mp4")], str(tmp_path / "media"), str(tmp_path / "out"), SMALL)
    with pytest.raises(DataError, match="both become"):
        plan([f"{tmp_path}/a.mp4", f"{tmp_path}/a.avi"], str(tmp_path), str(tmp_path / "o"), SMALL)


def test_out_that_cannot_be_written(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(DataError, match="cannot be written to"):
        plan([f"{tmp_path}/a.mp4"], str(tmp_path), str(tmp_path / "out"), SMALL)


def test_unknown_codec():
    with pytest.raises(DataError, match="h264, h265, vp9"):
        Recipe(codec="mpeg9")
