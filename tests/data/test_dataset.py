"""Items: one decode for all clips of a video, each view a slice of it, determinism."""

from collections import Counter

import pytest
import torch
from fakes import FakeSource, all_views, make_cfg, make_videos

from slowfast_ext.config import options_of
from slowfast_ext.data import sampling
from slowfast_ext.data.dataset import TestViews, TrainClips
from slowfast_ext.data.decode.source import LengthChangedError
from slowfast_ext.data.news import IDENTICAL_VIEWS, SHORT_VIDEO
from slowfast_ext.data.samplers import Draw
from slowfast_ext.data.sampling import SamplingOptions
from slowfast_ext.data.transforms import test_crops as crops_of
from slowfast_ext.data.transforms.resize_crop import Resize


def test_repeats_of_a_video_share_one_decode_and_differ_in_augmentation():
    source = FakeSource()
    clips = TrainClips.from_cfg(make_cfg(AUG__NUM_SAMPLE=3), make_videos(4), source)
    item = clips[Draw(0, 2)]
    assert source.decodes == 1
    assert len(item.clips_TCHW) == 3
    assert not torch.equal(item.clips_TCHW[0], item.clips_TCHW[1])


@pytest.mark.parametrize("change", [Draw(1, 2, 0), Draw(0, 3, 0), Draw(0, 2, 1)])
def test_an_item_depends_on_epoch_video_and_occurrence(change):
    clips = TrainClips.from_cfg(make_cfg(), make_videos(4), FakeSource())
    one, again, other = (clips[draw].clips_TCHW[0] for draw in (Draw(0, 2), Draw(0, 2), change))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_a_replacement_is_the_item_of_the_other_video():
    clips = TrainClips.from_cfg(make_cfg(), make_videos(4, bad={0, 1}), FakeSource())
    item = clips[Draw(5, 1)]
    assert {sample.index for sample in item.bad} <= {0, 1}
    assert item.index in (2, 3)
    assert torch.equal(item.clips_TCHW[0], clips[Draw(5, item.index)].clips_TCHW[0])


@pytest.mark.parametrize("crops", [1, 2, 3])
@pytest.mark.parametrize("sampling_kind", ["dense", "segment"])
@pytest.mark.parametrize(("ratio", "short"), [(1.0, 16), (0.8, 20)])
def test_views_equal_a_decode_for_each_view(crops, sampling_kind, ratio, short):
    cfg = make_cfg(
        TEST__NUM_ENSEMBLE_VIEWS=4,
        TEST__NUM_SPATIAL_CROPS=crops,
        DATA__SAMPLING=sampling_kind,
        DATA__TEST_CROP_RATIO=ratio,
    )
    videos, source = make_videos(2), FakeSource()
    item = TestViews.from_cfg(cfg, videos, all_views(cfg), source)[1]
    assert source.decodes == 1
    record = videos.records[1]
    for clip_TCHW, view in zip(item.views_VTCHW, all_views(cfg), strict=True):
        indices = sampling.test_indices(20, 25.0, options_of(cfg, SamplingOptions), view.clip, 4)
        frames = source.frames(record, indices.tolist()).permute(0, 3, 1, 2)
        assert torch.equal(clip_TCHW, crops_of(frames, 16, [view.crop], Resize(), short)[0])


def test_a_bad_video_is_reported_and_never_replaced_in_evaluation():
    cfg = make_cfg()
    item = TestViews.from_cfg(cfg, make_videos(3, bad={1}), all_views(cfg), FakeSource())[1]
    assert item.views_VTCHW is None
    assert (item.bad[0].index, item.bad[0].path, item.bad[0].location) == (
        1,
        "bad1.mp4",
        "train.csv:2",
    )


class ShrinkingSource(FakeSource):
    """Claims 20 frames until one is asked for that is not there."""

    def frames(self, record, indices, short_side=0):
        if self.length > 5:
            self.length = 5
            raise LengthChangedError(f"{record.path}: has 5 frames")
        assert max(indices) < self.length
        return super().frames(record, indices, short_side)


def test_a_file_shorter_than_it_claims_is_read_at_its_true_length():
    cfg = make_cfg()
    item = TrainClips.from_cfg(cfg, make_videos(1), ShrinkingSource())[Draw(0, 0, 0)]
    assert not item.bad
    assert (
        TestViews.from_cfg(cfg, make_videos(1), all_views(cfg), ShrinkingSource())[0].views_VTCHW
        is not None
    )


def test_videos_shorter_than_a_clip_are_counted():
    cfg = make_cfg(DATA__NUM_FRAMES=4, DATA__SAMPLING_RATE=4)
    for length, times in ((12, 1), (13, 0)):
        source = FakeSource(length=length)
        counts = TrainClips.from_cfg(cfg, make_videos(1), source)[Draw(0, 0, 0)].counts
        assert counts == Counter({SHORT_VIDEO: times})
        counts = TestViews.from_cfg(cfg, make_videos(1), all_views(cfg), source)[0].counts
        assert counts[SHORT_VIDEO] == times


@pytest.mark.parametrize(
    ("length", "crops", "repeated"), [(13, 1, True), (14, 1, True), (15, 1, False), (15, 3, True)]
)
def test_videos_with_views_that_repeat_are_counted(length, crops, repeated):
    """Square frames have one crop; three clips of 13 frames need room for two more frames to differ."""
    cfg = make_cfg(
        DATA__NUM_FRAMES=4,
        DATA__SAMPLING_RATE=4,
        TEST__NUM_ENSEMBLE_VIEWS=3,
        TEST__NUM_SPATIAL_CROPS=crops,
    )
    source = FakeSource(length=length, height=24, width=24)
    counts = TestViews.from_cfg(cfg, make_videos(1), all_views(cfg), source)[0].counts
    assert counts[IDENTICAL_VIEWS] == repeated
