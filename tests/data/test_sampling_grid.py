"""Test clips of VideoMAE and XViT, against their rules written out."""

import pytest

from slowfast_ext.config import load_config
from slowfast_ext.data.clip_checks import check_clips
from slowfast_ext.data.sampling import SamplingOptions
from slowfast_ext.data.sampling import test_indices as fixed_indices
from slowfast_ext.errors import ConfigError

LENGTHS = [1, 7, 16, 37, 63, 64, 65, 100, 131, 299, 300, 1000]


def dense_rule(length, rate, frames, clip, clips):
    """Every rate-th frame, the list padded with its last; starts at int(k * (n - frames) / (clips - 1))."""
    listed = list(range(0, length, rate))
    while len(listed) < frames:
        listed.append(listed[-1])
    step = max(1.0 * (len(listed) - frames) / (clips - 1), 0)
    start = int(clip * step)
    return listed[start : start + frames]


def segment_rule(length, frames, view, views):
    """A tick is length / frames; view s takes int(s * tick / S + tick * x)."""
    tick = length / float(frames)
    return [int(view * tick / views + tick * x) for x in range(frames)]


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize(
    ("frames", "rate", "clips"), [(16, 4, 5), (16, 4, 7), (16, 2, 5), (8, 3, 2)]
)
def test_dense_clips_lie_on_the_grid(length, frames, rate, clips):
    options = SamplingOptions(frames, "dense", rate, "linspace", test_clips="grid")
    for clip in range(clips):
        found = fixed_indices(length, 25.0, options, clip, clips).tolist()
        assert found == dense_rule(length, rate, frames, clip, clips)
        assert all(index % rate == 0 for index in found)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize(("frames", "views"), [(16, 2), (8, 4), (16, 3)])
def test_segment_views_take_a_share_of_each_part(length, frames, views):
    options = SamplingOptions(frames, "segment", test_clips="grid")
    for view in range(views):
        found = fixed_indices(length, 12.0, options, view, views).tolist()
        assert found == segment_rule(length, frames, view, views)
        assert 0 <= min(found) <= max(found) < length


def test_two_views_are_those_of_the_official_program():
    """It sorts the frames of both views and takes every second one."""
    length, frames = 83, 16
    tick = length / float(frames)
    both = sorted(
        [int(tick / 2.0 + tick * x) for x in range(frames)] + [int(tick * x) for x in range(frames)]
    )
    options = SamplingOptions(frames, "segment", test_clips="grid")
    for view in range(2):
        assert fixed_indices(length, 12.0, options, view, 2).tolist() == both[view::2]


@pytest.mark.parametrize("sampling", ["dense", "segment"])
def test_one_clip_is_the_usual_one(sampling):
    plain, grid = (SamplingOptions(16, sampling, 4, test_clips=name) for name in ("spread", "grid"))
    for length in LENGTHS:
        expected = fixed_indices(length, 25.0, plain, 0, 1).tolist()
        assert fixed_indices(length, 25.0, grid, 0, 1).tolist() == expected


@pytest.mark.parametrize("length", [1, 7, 16, 37, 58, 100])
def test_clips_in_parts_are_the_middle_the_first_and_the_last_frame_of_each(length):
    """XViT's rule for Something-Something, part by part; one clip, as in validation, is the middle."""
    options, edge = SamplingOptions(16, "segment", test_clips="parts"), (length - 1) / 16
    parts = [(round(edge * i), round(edge * (i + 1))) for i in range(16)]
    expected = [[(a + b) // 2 for a, b in parts], [a for a, _ in parts], [b for _, b in parts]]
    for clip in range(3):
        assert fixed_indices(length, 25.0, options, clip, 3).tolist() == expected[clip]
    assert fixed_indices(length, 25.0, options, 0, 1).tolist() == expected[0]


def test_a_fourth_clip_has_no_place_in_a_part():
    pairs = ["DATA.SAMPLING", "segment", "DATA.TEST_CLIPS", "parts", "TEST.NUM_ENSEMBLE_VIEWS"]
    load_config([], [*pairs, "3"], [check_clips])
    with pytest.raises(ConfigError, match="a part has three places; set"):
        load_config([], [*pairs, "4"], [check_clips])
