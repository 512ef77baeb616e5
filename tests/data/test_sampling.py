"""Frames and views: golden values, and properties for any length."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slowfast_ext.data.sampling import (
    SamplingOptions,
    View,
    ViewOptions,
    centre_view,
    clip_seconds,
    clip_span,
    train_indices,
    views,
)
from slowfast_ext.data.sampling import test_indices as fixed_indices
from slowfast_ext.data.seeds import sample_rng


def make_options(n=8, rate=4, sampling="dense", spacing="stride", target_fps=0.0, offset=True):
    return SamplingOptions(n, sampling, rate, spacing, target_fps, offset)


all_options = st.builds(
    make_options,
    n=st.integers(1, 32),
    rate=st.integers(1, 16),
    sampling=st.sampled_from(["dense", "segment"]),
    spacing=st.sampled_from(["stride", "linspace"]),
    target_fps=st.sampled_from([0.0, 12.0, 30.0]),
    offset=st.booleans(),
)
lengths = st.integers(1, 500)
rates = st.sampled_from([12.0, 25.0, 29.97, 60.0])


def assert_legal(indices, length, options):
    assert indices.dtype == np.int64
    assert indices.shape == (options.num_frames,)
    assert indices.min() >= 0
    assert indices.max() < length
    assert (np.diff(indices) >= 0).all()


@given(options=all_options, length=lengths, fps=rates, seed=st.integers(0, 2**32))
def test_a_training_clip_is_sorted_and_inside_the_video(options, length, fps, seed):
    indices = train_indices(length, fps, options, sample_rng(seed, 0, 0))
    assert_legal(indices, length, options)


@given(options=all_options, length=lengths, fps=rates, num_clips=st.integers(1, 12), data=st.data())
def test_a_test_clip_is_sorted_and_inside_the_video(options, length, fps, num_clips, data):
    clip = data.draw(st.integers(0, num_clips - 1))
    assert_legal(fixed_indices(length, fps, options, clip, num_clips), length, options)


@given(n=st.integers(1, 16), rate=st.integers(1, 8), length=lengths, num_clips=st.integers(2, 12))
def test_offset_clips_reach_from_the_first_frame_to_the_last(n, rate, length, num_clips):
    options = make_options(n, rate)
    first = fixed_indices(length, 25.0, options, 0, num_clips)
    last = fixed_indices(length, 25.0, options, num_clips - 1, num_clips)
    assert first[0] == 0
    assert length - 1 - last[-1] <= num_clips - 2


@given(n=st.integers(2, 16), rate=st.integers(1, 8), length=lengths, seed=st.integers(0, 999))
def test_stride_clips_have_equal_distances_where_the_video_is_long_enough(n, rate, length, seed):
    indices = train_indices(length, 25.0, make_options(n, rate), sample_rng(seed, 0, 0))
    inside = indices[indices < length - 1]
    assert set(np.diff(inside)) <= {rate}


@pytest.mark.parametrize("sampling", ["dense", "segment"])
def test_every_frame_is_drawn_in_training(sampling):
    options = make_options(4, 3, sampling)
    drawn = {
        i for seed in range(300) for i in train_indices(20, 25.0, options, sample_rng(seed, 0, 0))
    }
    assert drawn == set(range(20))


def test_a_clip_longer_than_the_video_repeats_the_last_frame():
    indices = train_indices(5, 25.0, make_options(6, 2), sample_rng(0, 0, 0))
    assert indices.tolist() == [0, 2, 4, 4, 4, 4]


def test_target_fps_counts_the_rate_in_seconds():
    options = make_options(4, 2, target_fps=30.0)
    assert fixed_indices(100, 60.0, options, 0, 2).tolist() == [0, 4, 8, 12]
    assert clip_seconds(60.0, options) == pytest.approx(3 * 2 / 30)


def test_views_keep_the_crops_of_a_clip_together():
    assert views(ViewOptions(2, 3)) == [View(c, s) for c in (0, 1) for s in (0, 1, 2)]
    assert views(ViewOptions(2, 1)) == [View(0, 1), View(1, 1)]
    assert centre_view() == [View(0, 1)]


@pytest.fixture(scope="module")
def golden(golden_dir):
    return json.loads((golden_dir / "sampling_lr_misc.json").read_text())


def test_dense_test_clips_equal_the_published_ones(golden):
    for case in golden["dense"]:
        options = make_options(
            case["n"], case["rate"], spacing="linspace", offset=case["use_offset"]
        )
        ours = [
            fixed_indices(case["L"], 30.0, options, clip, case["clips"]).tolist()
            for clip in range(case["clips"])
        ]
        assert ours == case["indices"], case


def test_segment_test_clips_equal_the_published_ones(golden):
    for case in golden["sparse"]:
        options = make_options(case["n"], sampling="segment")
        ours = fixed_indices(case["L"], 12.0, options, case["view"], case["views"])
        assert (ours + 1).tolist() == case["frames"], case


def test_segment_training_draws_from_the_published_segments(golden):
    for case in golden["sparse_train_segments"]:
        options = make_options(case["n"], sampling="segment")
        clips = np.array(
            [train_indices(case["L"], 12.0, options, sample_rng(s, 0, 0)) + 1 for s in range(400)]
        )
        bounds = np.array(case["segments"])
        assert (clips.min(0) == bounds[:, 0]).all()
        assert (clips.max(0) == bounds[:, 1]).all()


@given(length=st.integers(16, 500), fps=rates)
def test_a_stride_as_a_share_of_the_video_is_the_same_for_any_rate_and_length(length, fps):
    """Motionformer, Figure 3: multiples of the stride that spreads a clip evenly over the whole video."""
    for share in (0.25, 0.5, 1.0):
        options = SamplingOptions(8, "dense", 4, sampling_share=share)
        for indices in (
            fixed_indices(length, fps, options, 0, 1),
            train_indices(length, fps, options, sample_rng(0, 0, 0)),
        ):
            assert_legal(indices, length, options)
            assert abs(indices[-1] - indices[0] - 7 * share * length / 8) <= 1


class Outermost:
    """A generator that draws the first or the last of what it may."""

    def __init__(self, last):
        self.last = last

    def integers(self, low, high, endpoint):
        assert endpoint
        return high if self.last else low

    def uniform(self, low, high):
        return high if self.last else low


@pytest.mark.parametrize("spacing", ["stride", "linspace"])
def test_training_clips_reach_from_the_first_frame_to_the_last(spacing):
    """In a video that is long enough; in a shorter one there is one clip. Linspace spans n steps, stride n - 1."""
    options = make_options(4, 3, spacing=spacing)
    first, last = (train_indices(40, 25.0, options, Outermost(last)).tolist() for last in (0, 1))
    assert (first, last) == {
        "stride": ([0, 3, 6, 9], [30, 33, 36, 39]),
        "linspace": ([0, 3, 7, 11], [28, 31, 35, 39]),
    }[spacing]
    for length in (1, 5, 10 if spacing == "stride" else 12):
        short = [train_indices(length, 25.0, options, Outermost(last)).tolist() for last in (0, 1)]
        whole = [0, 3, 6, 9] if spacing == "stride" else [0, 3, 7, 11]
        assert short == [[min(index, length - 1) for index in whole]] * 2


@pytest.mark.parametrize("sampling", ["dense", "segment"])
def test_clips_of_segments_and_seconds(sampling):
    options = make_options(8, 4, sampling)
    assert clip_span(25.0, options) == (8 if sampling == "segment" else 29)
    assert clip_span(50.0, make_options(8, 4, target_fps=25.0)) == 57
    assert clip_seconds(25.0, options) == pytest.approx(7 * 4 / 25)
    share = SamplingOptions(8, "dense", 4, sampling_share=0.5)
    assert (clip_span(25.0, share), clip_seconds(25.0, share)) == (8, 0)


def test_a_rate_that_is_unknown_is_taken_as_it_is():
    options = make_options(4, 2, target_fps=30.0)
    assert fixed_indices(100, 0.0, options, 0, 2).tolist() == [0, 2, 4, 6]


def test_where_test_clips_start():
    """Room of 20: in whole steps from first to last with offsets, in equal parts from the first without."""
    starts = {
        (True, 1): [10],
        (True, 3): [0, 10, 20],
        (True, 4): [0, 6, 12],
        (False, 1): [0],
        (False, 4): [0, 5, 10, 15],
    }
    for (offset, clips), expected in starts.items():
        options = make_options(4, 3, offset=offset)
        found = [fixed_indices(30, 25.0, options, clip, clips)[0] for clip in range(clips)]
        assert found[: len(expected)] == expected


def test_a_view_is_a_key_and_takes_no_dictionary():
    view = View(2, 0)
    assert {view: 1}[View(2, 0)] == 1
    assert not hasattr(view, "__dict__")
    assert [v.crop for v in views(ViewOptions(1, 2))] == [0, 2]
