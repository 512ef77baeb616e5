"""What random crops, boxes and mixtures are, where every draw lies at the same share of its range: numbers by hand."""

import numpy as np
import pytest
import torch
from fakes import make_cfg

from slowfast_ext.data.transforms import train_transform_from
from slowfast_ext.data.transforms.autoaugment import POLICIES, AutoAugment
from slowfast_ext.data.transforms.box import Box
from slowfast_ext.data.transforms.color_jitter import ColorJitter, Grayscale
from slowfast_ext.data.transforms.erasing import RandomErasing
from slowfast_ext.data.transforms.flip import HorizontalFlip
from slowfast_ext.data.transforms.geometry import Geometry, drawn_geometry
from slowfast_ext.data.transforms.mixing import MixupOptions, cutmix_box, draw_lambda
from slowfast_ext.data.transforms.operations import Step, apply_steps
from slowfast_ext.data.transforms.randaugment import RandAugment, draw_level, parse_randaugment
from slowfast_ext.data.transforms.resize_crop import (
    JitterCrop,
    MultiScaleCrop,
    RandomResizedCrop,
    Resize,
    crop_box,
)

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


class Share:
    """A generator that draws at a share of each range, 0 the first and 1 the last; `draws` counts."""

    def __init__(self, share):
        self.share, self.draws = share, 0

    def random(self):
        return self.share

    def uniform(self, low, high):
        self.draws += 1
        return low + self.share * (high - low)

    def integers(self, low, high=None, endpoint=False):
        low, high = (0, low) if high is None else (low, high)
        return round(low + self.share * (high - (not endpoint) - low))

    def permutation(self, count):
        return np.arange(count)

    def choice(self, names, count):
        return names[:count]

    def normal(self, mean, std):
        return mean + (2 * self.share - 1) * std

    def beta(self, a, b):
        return a / 10


@pytest.mark.parametrize(
    ("share", "count", "box"),
    [
        (0.0, 1, (0, 0, 22, 73)),  # area 0.02 * 80000, height / width 0.3
        (0.5, 1, (140, 40, 119, 119)),  # the middle of the areas, a square
        (1.0, 1, (102, 111, 298, 89)),  # a third of the frame, 1 / 0.3
        (0.5, 2, (158, 58, 84, 84)),
    ],
)
def test_an_erased_box(share, count, box):
    assert RandomErasing(1.0, "const", MEAN, STD, count).box(400, 200, Share(share)) == box
    assert RandomErasing(1.0, "const", MEAN, STD).count == 1


@pytest.mark.parametrize("frame", [(10, 20), (20, 10)])
def test_an_erased_box_is_smaller_than_the_frame(frame):
    """Here it would be as high, or as wide; a hundred tries of two draws."""
    rng = Share(0.5)
    erase = RandomErasing(1.0, "const", MEAN, STD, area=(0.5, 0.5), ratio=(1.0, 1.0))
    assert erase.box(*frame, rng) is None
    assert rng.draws == 200
    larger = RandomErasing(1.0, "const", MEAN, STD, area=(1.0, 1.0), ratio=(1.0, 1.0))
    assert larger.box(*frame, rng) is None


@pytest.mark.parametrize(
    ("frame", "share", "box"),
    [
        ((200, 400), 0.0, (0, 0, 179, 89)),
        ((200, 400), 0.5, (0, 100, 200, 200)),  # as high as the frame
        ((400, 200), 0.5, (100, 0, 200, 200)),  # as wide
        ((200, 400), 1.0, (21, 42, 179, 358)),
    ],
)
def test_a_random_resized_crop(frame, share, box):
    assert RandomResizedCrop(16, (0.2, 0.8), (0.5, 2.0)).box(*frame, Share(share)) == box


@pytest.mark.parametrize(
    ("scale", "ratio", "box"),
    [
        (1 / 16, 1.0, (2, 2, 1, 1)),
        (1.2 / 16, 0.25, (1, 2, 2, 1)),
        (1.2 / 16, 4.0, (2, 1, 1, 2)),
        (0.4 / 16, 0.25, (0, 1, 4, 1)),  # less than half a pixel wide: the largest central one
        (0.4 / 16, 4.0, (1, 0, 1, 4)),
    ],
)
def test_random_resized_crops_of_few_pixels(scale, ratio, box):
    assert RandomResizedCrop(16, (scale, scale), (ratio, ratio)).box(4, 4, Share(0.5)) == box


@pytest.mark.parametrize(
    ("frame", "box"), [((100, 1000), (0, 400, 100, 200)), ((1000, 100), (400, 0, 200, 100))]
)
def test_the_largest_central_crop_after_ten_tries(frame, box):
    rng = Share(0.5)
    assert RandomResizedCrop(1, (1.0, 1.0), (0.5, 2.0)).box(*frame, rng) == box
    assert rng.draws == 20
    assert RandomResizedCrop(1, (1.0, 1.0)).ratio == (0.75, 4 / 3)


@pytest.mark.parametrize(
    ("share", "inverse", "box"),
    [
        (0.0, False, (0, 0, 80, 80)),
        (1.0, False, (60, 160, 40, 40)),
        (0.0, True, (0, 0, 40, 40)),
        (1.0, True, (20, 120, 80, 80)),
    ],
)
def test_a_jitter_crop(share, inverse, box):
    """16 pixels of short sides 20 to 40 show 4/5 to 2/5 of a short side of 100."""
    assert JitterCrop(16, 20, 40, inverse).box(100, 200, Share(share)) == box


def test_a_jitter_crop_has_a_pixel_at_least_and_the_short_side_at_most():
    assert JitterCrop(1, 400, 400).box(10, 10, Share(0.5)) == (4, 4, 1, 1)
    assert JitterCrop(16, 8, 8).box(100, 200, Share(0.0)) == (0, 0, 100, 100)


def test_where_both_sides_have_equal_room_a_test_crop_lies_along_the_width():
    assert [crop_box(20, 20, 10, place)[:2] for place in (0, 1, 2)] == [(5, 0), (5, 5), (5, 10)]


@pytest.mark.parametrize(
    ("frame", "share", "box"),
    [
        ((100, 200), 0.0, (0, 0, 25, 50)),
        ((100, 200), 1.0, (74, 149, 26, 51)),
        ((102, 202), 0.5, (25, 50, 51, 101)),  # an odd one has its larger half behind the centre
    ],
)
def test_a_cutmix_box(frame, share, box):
    """A quarter of the frame, cut off at its edge."""
    assert cutmix_box(*frame, 0.75, Share(share)) == box


def test_draws_at_their_thresholds():
    """A draw in [0, 1) below the probability says yes, one that equals it no."""
    clip = torch.full((1, 3, 4, 4), 9, dtype=torch.uint8)
    assert RandomErasing(0.25, "const", MEAN, STD)(clip, Share(0.25)) is clip
    assert ColorJitter(0.4, 0.8)(clip, Share(0.8)) is clip
    assert Grayscale(0.2)(clip, Share(0.2)) is clip
    assert not HorizontalFlip(0.5).draw(Share(0.5))
    assert HorizontalFlip(0.5).draw(Share(0.4))
    mixup = MixupOptions(True, 0.8, 0.6, 0.7, 0.5)
    assert draw_lambda(mixup, Share(0.7)) == (1.0, False)
    assert draw_lambda(mixup, Share(0.5)) == (0.08, False)
    assert draw_lambda(mixup, Share(0.4)) == (0.06, True)
    assert RandAugment(n=2, p=0.5).draw(Share(0.5)) == []
    (first, second) = RandAugment(n=2, p=0.6).draw(Share(0.5))
    assert (first.name, second.name, first.sign) == ("AutoContrast", "Equalize", -1.0)
    assert RandAugment(n=1).draw(Share(0.4))[0].sign == 1.0
    assert [step.sign for step in AutoAugment("3a").draw(Share(0.0))] == [1.0]
    assert [step.sign for step in AutoAugment("3a").draw(Share(0.5))] == [-1.0]


def test_steps_of_a_policy_of_autoaugment(monkeypatch):
    """The radius of the random blur lies in [0.1, 2 level]: in the middle 0.55 for half of the magnitude."""
    monkeypatch.setitem(POLICIES, "weak", "Invert 0.5 4, GaussianBlurRand 0.6 5")
    ((name, level, sign),) = AutoAugment("weak").draw(Share(0.5))
    assert (name, sign) == ("GaussianBlur", -1.0)
    assert level == pytest.approx((0.55 - 0.1) / 1.9)


def test_noise_of_an_erased_box_ends_at_black_and_white():
    for mean, end in ((0.0, 0), (1.0, 255)):
        erase = RandomErasing(1.0, "pixel", (mean,) * 3, STD)
        filling = erase.fill((1, 20, 20, 3), np.random.default_rng(0))
        assert 100 < (filling == end).sum() < 1100


def test_frames_of_the_right_size_stay_as_they_are():
    clip = torch.zeros(1, 3, 4, 5, dtype=torch.uint8)
    assert Resize()(clip, (4, 5)) is clip
    assert Resize()(clip, (5, 5)).shape == (1, 3, 5, 5)


def test_without_a_flip_nothing_is_mirrored():
    box = JitterCrop(16, 20, 40).box(100, 200, Share(0.0))
    expected = Geometry((100, 200), (), box, False)
    assert drawn_geometry(JitterCrop(16, 20, 40), (100, 200), Share(0.0)) == expected


def test_magnitudes_beyond_ten_add_no_more_than_128():
    dark = torch.full((1, 3, 2, 2), 100, dtype=torch.uint8)
    assert apply_steps(dark, [Step("SolarizeAdd", 2.0, 1.0)], "bilinear").unique() == 228


def test_factors_of_colour_jitter_are_not_negative():
    """Of strength 1.5 the factors lie in [0, 2.5]: at a tenth a quarter of the brightness, and contrast stays 0."""
    clip = torch.full((1, 3, 4, 4), 200, dtype=torch.uint8)
    assert ColorJitter(1.5, 1.0)(clip, Share(0.1)).unique().tolist() == [50]


def test_magnitudes_are_cut_off():
    assert draw_level(1.0, 3.0, 10.0, Share(0.0)) == 0.0
    assert draw_level(9.0, 3.0, 10.0, Share(1.0)) == 1.0
    assert draw_level(8.0, float("inf"), 10.0, Share(0.0)) == 0.0
    assert draw_level(8.0, float("inf"), 10.0, Share(1.0)) == 0.8
    assert parse_randaugment("rand-mstd100").mstd == 100.0


def test_a_configuration_says_what_is_drawn():
    def transforms(**keys):
        return train_transform_from(make_cfg(DATA__TRAIN_CROP_SIZE=16, **keys)).transforms

    jitter = {"DATA__TRAIN_JITTER_SCALES": [18, 30], "DATA__INV_UNIFORM_SAMPLE": True}
    assert transforms(**jitter)[0] == JitterCrop(16, 18, 30, True, Resize())
    bicubic = {"DATA__INTERPOLATION": "bicubic", "DATA__ANTIALIAS": False}
    resized = {"DATA__TRAIN_JITTER_SCALES_RELATIVE": [0.1, 0.9], **bicubic}
    resize = Resize("bicubic", antialias=False)
    assert transforms(**resized)[0] == RandomResizedCrop(16, (0.1, 0.9), (3 / 4, 4 / 3), resize)
    ratio = {"DATA__TRAIN_JITTER_ASPECT_RELATIVE": [0.5, 0.8]}
    assert transforms(**resized, **ratio)[0].ratio == (0.5, 0.8)
    scales = {"DATA__TRAIN_MULTI_SCALE_CROP": [1.0, 0.5], **bicubic}
    assert transforms(**scales)[0] == MultiScaleCrop(16, (1.0, 0.5), Resize("bicubic"))
    augmented = {
        "DATA__MEAN": list(MEAN), "DATA__STD": list(STD), "DATA__RANDOM_FLIP": False,
        "AUG__COLOR_JITTER": 0.3, "AUG__COLOR_JITTER_PROB": 0.6, "AUG__GRAYSCALE": 0.2,
        "AUG__RE_PROB": 0.5, "AUG__RE_MODE": "rand", "AUG__RE_COUNT": 3,
    }  # fmt: skip
    _, *colours, erasing = transforms(**augmented)
    assert colours == [ColorJitter(0.3, 0.6), Grayscale(0.2)]
    assert erasing == RandomErasing(0.5, "rand", MEAN, STD, 3)


def test_boxes_grow_inside_the_frame_and_are_counted_from_another():
    assert Box(3, 5, 10, 20).grown(2, (100, 100)) == (1, 3, 14, 24)
    assert Box(1, 2, 10, 20).grown(4, (12, 24)) == (0, 0, 12, 24)
    assert Box(3, 5, 10, 20).within(Box(1, 2, 50, 50)) == (2, 3, 10, 20)
