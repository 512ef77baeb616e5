"""Crops of [height, width]: frames cover them whatever their form, boxes by hand for 16:9 and 9:16 videos."""

import pytest
import torch
from fakes import FakeSource, all_views, make_cfg, make_videos
from hypothesis import given
from hypothesis import strategies as st

from slowfast_ext.data.clip_checks import check_clips
from slowfast_ext.data.loader import EvalLoader, TrainLoader
from slowfast_ext.data.seeds import sample_rng
from slowfast_ext.data.transforms import test_crops as crops_of
from slowfast_ext.data.transforms.resize_crop import (
    JitterCrop,
    MultiScaleCrop,
    RandomResizedCrop,
    Resize,
    cover_size,
    crop_box,
)
from slowfast_ext.tasks import build_task

WIDE, TALL = (720, 1280), (1280, 720)


@pytest.mark.parametrize(
    ("frame", "size", "covering", "corners"),
    [
        (WIDE, (180, 320), (180, 320), [(0, 0)] * 3),
        (WIDE, (320, 180), (320, 568), [(0, 0), (0, 194), (0, 388)]),
        (TALL, (320, 180), (320, 180), [(0, 0)] * 3),
        (TALL, (180, 320), (568, 320), [(0, 0), (194, 0), (388, 0)]),
        (WIDE, (224, 112), (224, 398), [(0, 0), (0, 143), (0, 286)]),
        (TALL, (224, 112), (224, 126), [(0, 0), (0, 7), (0, 14)]),
    ],
)
def test_test_crops_lie_along_the_side_with_more_room(frame, size, covering, corners):
    assert cover_size(*frame, size) == covering
    boxes = [crop_box(*covering, size, position) for position in (0, 1, 2)]
    assert [(box.top, box.left) for box in boxes] == corners
    assert {(box.height, box.width) for box in boxes} == {size}


def test_a_test_crop_ratio_leaves_room_on_both_sides():
    """[180, 320] / 0.8 = [225, 400]; a 9:16 video covers it at 711 x 400, and has more room downwards."""
    assert cover_size(*TALL, (225, 400)) == (711, 400)
    corners = [crop_box(711, 400, (180, 320), position)[:2] for position in (0, 1, 2)]
    assert corners == [(0, 40), (266, 40), (531, 40)]


def positions_clip(height, width):
    """Red is the column, green the row of a pixel: [T, C, H, W]."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    frame = torch.stack([columns, rows, torch.zeros_like(rows)]).to(torch.uint8)
    return frame[None].expand(2, -1, -1, -1)


@pytest.mark.parametrize(
    ("frame", "size", "first_pixels"),
    [
        ((32, 57), (32, 18), [(0, 0), (0, 20), (0, 39)]),
        ((57, 32), (18, 32), [(0, 0), (20, 0), (39, 0)]),
    ],
)
def test_pixels_of_test_crops(frame, size, first_pixels):
    """Frames that just cover the crop are not resampled."""
    crops = crops_of(positions_clip(*frame), size, (0, 1, 2), Resize(), size)
    assert [(int(c[0, 1, 0, 0]), int(c[0, 0, 0, 0])) for c in crops] == first_pixels
    assert {tuple(c.shape[-2:]) for c in crops} == {size}


def shapes(crop, frame, draws=20):
    boxes = [crop.box(*frame, sample_rng(seed, 0, 0)) for seed in range(draws)]
    for top, left, h, w in boxes:
        assert 0 <= top <= frame[0] - h
        assert 0 <= left <= frame[1] - w
    return {(box.height, box.width) for box in boxes}


def test_jitter_scales_count_from_the_crops_short_side():
    """Scale 90 of a [90, 160] crop shows all that a frame can show of that form, 180 half of it."""
    for scale, wide, tall in ((90, (720, 1280), (405, 720)), (180, (360, 640), (202, 360))):
        crop = JitterCrop((90, 160), scale, scale)
        assert shapes(crop, WIDE) == {wide}
        assert shapes(crop, TALL) == {tall}
    assert shapes(JitterCrop((160, 90), 90, 90, inverse=True), WIDE) == {(720, 405)}


def test_multi_scale_sides_are_parts_of_the_largest_crop():
    crop = MultiScaleCrop((90, 160), (1.0, 0.5))
    assert shapes(crop, WIDE, 80) == {(720, 1280), (720, 640), (360, 1280), (360, 640)}
    assert shapes(crop, TALL, 80) == {(405, 720), (405, 360), (202, 720), (202, 360)}


def test_ratios_of_random_resized_crops_are_relative_to_the_crop():
    crop = RandomResizedCrop((90, 160), (0.25, 0.25), (1.0, 1.0))
    assert shapes(crop, WIDE) == {(360, 640)}
    assert shapes(crop, TALL) == {(360, 640)}
    impossible = RandomResizedCrop((90, 160), (1.0, 1.0), (1.0, 1.0))
    assert shapes(impossible, TALL) == {(405, 720)}, "the largest central one"


sides = st.integers(8, 90)


@given(height=sides, width=sides, h=st.integers(4, 40), w=st.integers(4, 40))
def test_a_frame_covers_the_crop_and_keeps_its_form(height, width, h, w):
    covered = cover_size(height, width, (h, w))
    assert covered[0] >= h
    assert covered[1] >= w
    assert h in covered[:1] or w in covered[1:]
    scale = max(h / height, w / width)
    assert abs(covered[0] - height * scale) <= 1
    assert abs(covered[1] - width * scale) <= 1


@pytest.mark.parametrize("frame", [(27, 48), (48, 27)])
@pytest.mark.parametrize(
    "crop",
    [
        {},
        {"DATA__TRAIN_JITTER_SCALES_RELATIVE": [0.08, 1.0]},
        {"DATA__TRAIN_MULTI_SCALE_CROP": [1.0, 0.75]},
        {
            "AUG__AA_TYPE": "rand-m7-n4-mstd0.5-inc1",
            "AUG__RE_PROB": 1.0,
            "DATA__TEST_CROP_RATIO": 0.875,
        },
    ],
)
@pytest.mark.parametrize("size", [[12, 20], [20, 12]])
def test_loaders_give_clips_of_that_size(frame, crop, size):
    cfg = make_cfg(
        DATA__TRAIN_CROP_SIZE=size,
        DATA__TEST_CROP_SIZE=size,
        DATA__TRAIN_JITTER_SCALES=[12, 16],
        TEST__NUM_ENSEMBLE_VIEWS=2,
        **crop,
    )
    assert [*check_clips(cfg)] == []
    videos, source, task = make_videos(4, bad={1}), FakeSource(20, *frame), build_task(cfg)
    batch = next(TrainLoader.from_cfg(cfg, videos, task, source=source).epoch(0))
    assert batch.clip_BTCHW.shape == (4, 4, 3, *size)
    loader = EvalLoader.from_cfg(cfg, videos, all_views(cfg), task, source=source)
    views = torch.cat([batch.clip_BVTCHW for batch in loader])
    assert views.shape == (3, 6, 4, 3, *size)


def test_scales_below_the_crops_short_side_are_named():
    cfg = make_cfg(DATA__TRAIN_CROP_SIZE=[20, 12], DATA__TRAIN_JITTER_SCALES=[11, 16])
    assert [problem.key for problem in check_clips(cfg)] == ["DATA.TRAIN_JITTER_SCALES"]
