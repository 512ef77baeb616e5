"""Windows over a long video, against windows cut by hand."""

import csv

import pytest
import torch
from data.video_makers import variable_rate

from slowfast_ext.data.dataset import TestViews
from slowfast_ext.data.decode.source import VideoSource
from slowfast_ext.data.records import VideoRecord, VideoSet
from slowfast_ext.data.sampling import views
from slowfast_ext.errors import ConfigError, DataError
from slowfast_ext.predict.looks import view_options
from slowfast_ext.predict.prediction import Classes, Prediction
from slowfast_ext.predict.timeline import Timeline, clock
from slowfast_ext.predict.windows import by_frames, by_seconds


def piece(recognizer, path, start, end, look="1x1"):
    """Scores of a piece that a list would cut out, read on its own."""
    record = VideoRecord(str(path), (), "", start=start, end=end)
    reader = TestViews(
        VideoSet("", "test", [record]), VideoSource(), recognizer.sampling, recognizer._crop, views(view_options(look))
    )  # fmt: skip
    from slowfast_ext.engine.evaluate import mean_scores

    with torch.inference_mode():
        (scores,) = mean_scores(
            recognizer.model, recognizer.task, reader.clips(0)[None], recognizer._pixels, recognizer._options,
            recognizer.device,
        )  # fmt: skip
    return scores[0]


@pytest.mark.parametrize("look", ["1x1", "2x3"])
@pytest.mark.parametrize(("window", "stride"), [(2, 1), (1.5, 2), (3, 3.5), (2, 0.25)])
def test_windows_are_the_pieces_that_a_list_would_name(
    recognizer, long_video, window, stride, look
):
    timeline = recognizer.timeline(long_video, window, stride, views=look)
    assert timeline.seconds == pytest.approx(10)
    starts = [stride * n for n in range(100) if stride * n + window <= 10]
    if starts[-1] + window < 10:
        starts.append(10 - window)
    spans = [prediction.window for prediction in timeline.windows]
    assert spans == [pytest.approx((start, start + window)) for start in starts]
    for prediction in timeline.windows[:: max(1, len(starts) // 5)]:
        want = piece(recognizer, long_video, *prediction.window, look)
        torch.testing.assert_close(prediction.scores, want, rtol=0, atol=1e-6)


def test_same_windows_by_processes_and_from_memory(recognizer, long_video):
    import av
    import numpy as np

    want = torch.stack([own.scores for own in recognizer.timeline(long_video, 2, 1).windows])
    found = recognizer.timeline(long_video, 2, 1, workers=2).windows
    assert torch.equal(torch.stack([own.scores for own in found]), want)
    with av.open(str(long_video)) as container:
        frames = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    found = recognizer.timeline(frames, 2, 1, fps=12).windows
    assert torch.equal(torch.stack([own.scores for own in found]), want)


def test_short_and_uneven_videos(recognizer, run, tmp_path):
    (window,) = recognizer.timeline(run.videos[0], 2).windows
    assert torch.equal(window.scores, recognizer(run.videos[0], views="1x1").scores)
    path = variable_rate(tmp_path)
    timeline = recognizer.timeline(path, 0.5, 0.5)
    for own in timeline.windows:
        want = piece(recognizer, path, *own.window)
        torch.testing.assert_close(own.scores, want, rtol=0, atol=1e-6)
    with pytest.raises(DataError, match="nowhere"):
        recognizer.timeline("nowhere.mp4", 2)


def test_windows_by_frames(recognizer, long_video):
    index = recognizer.open().index(VideoRecord(str(long_video), (), ""))
    assert [window.frames for window in by_frames(16, 50)(index)] == [
        range(0, 16), range(50, 66), range(100, 116)
    ]  # fmt: skip
    assert [window.frames for window in by_frames(500, 8)(index)] == [range(0, 120)]
    assert by_frames(60, 60)(index)[1].end == pytest.approx(10)
    for plan in (by_seconds, by_frames):
        with pytest.raises(ConfigError, match="more than 0"):
            plan(0, 1)


def predictions(*labels, window=2.0, stride=1.0):
    classes = Classes(("",), (("a", "b"),))
    for number, label in enumerate(labels):
        scores = (torch.tensor([0.9, 0.1] if label == "a" else [0.2, 0.8]),)
        span = number * stride, number * stride + window
        if label == "?":
            yield Prediction("v.mp4", classes, window=span, error="broken")
        else:
            yield Prediction("v.mp4", classes, scores, scores, span)


def test_stretches_of_one_label(tmp_path):
    timeline = Timeline(list(predictions(*"aab?b")), 6.0)
    assert timeline.times == [(0, 1.5), (1.5, 2.5), (2.5, 3.5), (3.5, 4.5), (4.5, 6)]
    want = [(0, 2.5, "a", 0.9), (2.5, 3.5, "b", 0.8), (4.5, 6, "b", 0.8)]
    assert [tuple(own) for own in timeline.segments] == [
        (start, end, label, pytest.approx(score)) for start, end, label, score in want
    ]
    assert timeline.at(2.0).label == "a"
    assert timeline.at(99).label == "b"
    for kind in ("csv", "srt", "png", "svg"):
        timeline.save(tmp_path / f"t.{kind}")
    with (tmp_path / "t.csv").open() as file:
        assert [row["label"] for row in csv.DictReader(file)] == ["a", "b", "b"]
    assert (tmp_path / "t.srt").read_text().split("\n")[:3] == [
        "1", "00:00:00,000 --> 00:00:02,500", "a (90.0 %)",
    ]  # fmt: skip
    assert (tmp_path / "t.png").read_bytes()[:4] == b"\x89PNG"


def test_times_in_words():
    assert [clock(seconds) for seconds in (0, 59.96, 3723.4)] == ["0:00.0", "1:00.0", "1:02:03.4"]
