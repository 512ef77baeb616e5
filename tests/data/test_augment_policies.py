"""RandAugment and AutoAugment on clips against timm on single images: operation by operation, draw by draw."""

import math
import random
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from timm.data.auto_augment import (
    LEVEL_TO_ARG,
    AugmentOp,
    auto_augment_policy,
    auto_augment_transform,
    rand_augment_transform,
)

from slowfast_ext.data.seeds import sample_rng
from slowfast_ext.data.transforms import photometric
from slowfast_ext.data.transforms.affine import affine
from slowfast_ext.data.transforms.augmented_crop import AugmentedCrop, parse_policy
from slowfast_ext.data.transforms.autoaugment import POLICIES, AutoAugment
from slowfast_ext.data.transforms.box import Box, crop
from slowfast_ext.data.transforms.operations import OPERATIONS, Step, apply_steps, rotation
from slowfast_ext.data.transforms.randaugment import RandAugment
from slowfast_ext.data.transforms.resize_crop import JitterCrop, RandomResizedCrop
from slowfast_ext.errors import ConfigError

GEOMETRIC = {"Rotate", "ShearX", "ShearY", "TranslateXRel", "TranslateYRel"}
EXACT_TO_THE_BIT = 0
FIXED_POINT = 1


@pytest.fixture(scope="module")
def clip():
    """Smooth and noisy frames, one of them flat: [T, C, H, W] in channels_last memory."""
    rng = np.random.default_rng(0)
    small = torch.from_numpy(rng.integers(0, 256, (3, 3, 7, 9), dtype=np.uint8))
    smooth = torch.nn.functional.interpolate(small, size=(37, 52), mode="bilinear")
    noise = torch.from_numpy(rng.integers(0, 256, (1, 3, 37, 52), dtype=np.uint8))
    flat = torch.full((1, 3, 37, 52), 77, dtype=torch.uint8)
    low = (smooth[:1] // 3) + 20
    clip = torch.cat([smooth, noise, flat, low])
    return clip.contiguous(memory_format=torch.channels_last)


def images(clip):
    return [Image.fromarray(frame.permute(1, 2, 0).contiguous().numpy()) for frame in clip]


def as_clip(frames):
    return torch.from_numpy(np.stack([np.asarray(f) for f in frames])).permute(0, 3, 1, 2)


def timm_clip(clip, name, magnitude, positive, interpolation, monkeypatch):
    """timm's operation on each frame, with the sign that is asked for."""
    monkeypatch.setattr(random, "random", lambda: 0.0 if positive else 1.0)
    resample = {"bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC}[interpolation]
    hparams = {"img_mean": (128, 128, 128), "interpolation": resample}
    operation = AugmentOp(name, prob=1.0, magnitude=magnitude, hparams=hparams)
    return as_clip([operation(image) for image in images(clip)])


def assert_close(ours, theirs, levels):
    assert ours.dtype == torch.uint8
    difference = (ours.int() - theirs.int()).abs()
    assert difference.max() <= levels, f"{difference.max()} in {(difference > levels).sum()} values"


@pytest.mark.parametrize("magnitude", [0, 3.3, 7, 10])
@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_an_operation_equals_timms(clip, name, positive, magnitude, monkeypatch):
    ours = apply_steps(clip, [Step(name, magnitude / 10, 1.0 if positive else -1.0)], "bicubic")
    if (name, magnitude) in (("Posterize", 0), ("PosterizeIncreasing", 10)):
        assert not ours.any(), "no bits are kept; Pillow 13 refuses what was black before"
        return
    theirs = timm_clip(clip, name, magnitude, positive, "bicubic", monkeypatch)
    assert_close(ours, theirs, FIXED_POINT if name in GEOMETRIC else EXACT_TO_THE_BIT)


@pytest.mark.parametrize("name", sorted(GEOMETRIC))
def test_bilinear_geometry_equals_timms(clip, name, monkeypatch):
    ours = apply_steps(clip, [Step(name, 0.61, 1.0)], "bilinear")
    theirs = timm_clip(clip, name, 6.1, True, "bilinear", monkeypatch)
    assert_close(ours, theirs, FIXED_POINT)


def affine_plain(image, matrix, resample):
    return image.transform(image.size, Image.AFFINE, matrix, resample, fillcolor=(128,) * 3)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("degrees", [0.0, 12.5, 90.0, -171.0])
def test_the_sparse_product_equals_frame_by_frame_pil(clip, degrees, interpolation):
    matrix = rotation(degrees, *clip.shape[-2:])
    resample = {"bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC}[interpolation]
    theirs = as_clip([affine_plain(image, matrix, resample) for image in images(clip)])
    ours = affine(clip, matrix, interpolation)
    assert (ours.int() - theirs.int()).abs().float().mean() < 0.1
    assert_close(ours, theirs, FIXED_POINT)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("shift", [-0.5, 0.5, 51.5, -51.5])
def test_sources_on_the_edge_of_the_frame(clip, shift, interpolation):
    """The first is inside, the last is outside, along both sides."""
    resample = {"bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC}[interpolation]
    for matrix in ((1, 0, shift, 0, 1, 0), (1, 0, 0, 0, 1, shift)):
        theirs = as_clip([affine_plain(image, matrix, resample) for image in images(clip)])
        assert_close(affine(clip, matrix, interpolation), theirs, FIXED_POINT)


@pytest.mark.parametrize("size", [(2, 5), (5, 2), (3, 3), (3, 9)])
def test_sharpness_of_few_pixels_equals_pil(clip, size):
    small = clip[..., : size[0], : size[1]]
    theirs = as_clip([ImageEnhance.Sharpness(image).enhance(1.7) for image in images(small)])
    assert torch.equal(photometric.sharpness(small, 1.7), theirs)


@pytest.mark.parametrize("threshold", [0, 128, 255, 256])
def test_solarize_at_any_threshold_equals_pil(clip, threshold):
    theirs = as_clip([ImageOps.solarize(image, threshold) for image in images(clip)])
    assert torch.equal(photometric.solarize(clip, threshold), theirs)


@pytest.mark.parametrize("factor", [0.0, 0.4, 1.0, 2.3])
def test_brightness_of_any_factor_equals_pil(clip, factor):
    theirs = as_clip([ImageEnhance.Brightness(i).enhance(factor) for i in images(clip)])
    assert torch.equal(photometric.brightness(clip, factor), theirs)


def test_memory_layout_and_crops_do_not_matter(clip):
    view = clip[..., 3:30, 5:40]
    for name in OPERATIONS:
        steps = [Step(name, 0.7, 1.0)]
        outs = [apply_steps(c, steps, "bicubic") for c in (view, view.contiguous())]
        assert torch.equal(*outs), name


def test_the_given_clip_is_not_written_to(clip):
    before = clip.clone()
    for seed in range(40):
        apply_steps(clip, RandAugment(n=3, p=1.0).draw(sample_rng(seed, 0, 0)), "bicubic")
    assert torch.equal(clip, before)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_a_part_of_the_result_is_made_of_a_part_of_the_clip(clip, name, interpolation):
    """To the bit, at the edges of the frame and inside."""
    boxes = (Box(0, 0, 37, 52), Box(0, 9, 11, 43), Box(12, 14, 1, 20), Box(30, 0, 7, 3))
    for level, sign in ((0.0, 1.0), (0.37, 1.0), (1.0, -1.0)):
        steps = [Step(name, level, sign)]
        whole = apply_steps(clip, steps, interpolation)
        for box in boxes:
            part = apply_steps(clip, steps, interpolation, box)
            assert torch.equal(part, crop(whole, box)), (box, level)


@pytest.mark.parametrize("text", ["rand-m9-n4-p0.8-inc1", "rand-m7-n3-p1", "v0", "original"])
def test_an_augmented_crop_equals_augmentation_then_crop(clip, text):
    policy = parse_policy(text)
    crops = (RandomResizedCrop(16, (0.08, 1.0), (0.75, 1.33)), JitterCrop(16, 18, 40))
    for seed in range(40):
        ours = AugmentedCrop(policy, "bicubic", crops[seed % 2])(clip, sample_rng(seed, 0, 0))
        rng = sample_rng(seed, 0, 0)
        plain = crops[seed % 2](apply_steps(clip, policy.draw(rng), "bicubic"), rng)
        assert torch.equal(ours, plain)


def draws(policy, count=6000):
    return [policy.draw(sample_rng(seed, 0, 0)) for seed in range(count)]


def timm_draws(transform, operations, count=6000):
    """Names and magnitudes that timm applies, seen where it turns a magnitude into an argument."""
    random.seed(0)
    np.random.seed(0)
    seen = []
    for operation in operations:
        level_fn, name = operation.level_fn, operation.name

        def note(magnitude, hparams, name=name, level_fn=level_fn):
            seen[-1].append((name, magnitude / 10))
            return level_fn(magnitude, hparams) if level_fn else ()

        operation.level_fn = note
        operation.aug_fn = lambda image, *args, **kwargs: image
    for _ in range(count):
        seen.append([])
        transform(None)
    return seen


@pytest.mark.parametrize(
    "text", ["rand-m7-n4-mstd0.5-inc1", "rand-m9-n2-mstd3", "rand-m8-n3-mstd101-p0.8"]
)
def test_draws_are_distributed_as_timms(text):
    policy, transform = parse_policy(text), rand_augment_transform(text)
    ours, theirs = draws(policy), timm_draws(transform, transform.ops)
    counts = [
        np.bincount([len(steps) for steps in d], minlength=policy.n + 1) for d in (ours, theirs)
    ]
    assert np.abs(counts[0] - counts[1]).max() < 5 * math.sqrt(6000 / 2)
    levels = [
        np.sort([s.level for steps in ours for s in steps]),
        np.sort([v for d in theirs for _, v in d]),
    ]
    grid = np.linspace(0.02, 0.98, 25)
    assert np.abs(np.quantile(levels[0], grid) - np.quantile(levels[1], grid)).max() < 0.03
    names = [s.name for steps in ours for s in steps]
    assert set(names) == {name for d in theirs for name, _ in d}
    shares = np.unique(names, return_counts=True)[1] / len(names)
    assert np.abs(shares - 1 / 15).max() < 0.01
    assert abs(np.mean([s.sign for steps in ours for s in steps])) < 0.05


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_the_tables_of_autoaugment_are_timms(name):
    ours = [[e.split() for e in line.split(",")] for line in POLICIES[name].strip().splitlines()]
    theirs = [
        [[op.name, op.prob, op.magnitude] for op in pair] for pair in auto_augment_policy(name)
    ]
    assert [[[n, float(p), int(m)] for n, p, m in pair] for pair in ours] == theirs


@pytest.mark.parametrize("text", ["v0", "originalr-mstd0.5", "v0r-mstd3"])
def test_draws_of_autoaugment_are_distributed_as_timms(text):
    transform = auto_augment_transform(text)
    theirs = timm_draws(transform, [op for pair in transform.policy for op in pair])
    ours = [[(s.name, s.level) for s in steps] for steps in draws(parse_policy(text))]
    counts = [Counter(tuple(name for name, _ in d) for d in many) for many in (ours, theirs)]
    for names in counts[0] | counts[1]:
        assert abs(counts[0][names] - counts[1][names]) < 6 * math.sqrt(
            counts[0][names] + counts[1][names] + 1
        )
    grid = np.linspace(0.02, 0.98, 25)
    levels = [np.quantile([v for d in many for _, v in d], grid) for many in (ours, theirs)]
    assert np.abs(levels[0] - levels[1]).max() < 0.05


def test_the_random_blur_of_3a_has_timms_radius():
    """Uniform in [0.1, 2] at full magnitude."""
    blurs = [s.level for steps in draws(AutoAugment("3a")) for s in steps if "Blur" in s.name]
    radii = 0.1 + 1.9 * np.array(blurs)
    assert 1800 < len(radii) < 2200
    expected = np.linspace(0.1, 2, 21)
    assert np.abs(np.quantile(radii, np.linspace(0, 1, 21)) - expected).max() < 0.08


def test_every_operation_of_ours_is_one_of_timms():
    assert set(OPERATIONS) <= set(LEVEL_TO_ARG)
    for inc in (False, True):
        assert set(RandAugment(inc=inc).names) <= set(OPERATIONS)


def test_a_policy_string_is_read():
    policy = parse_policy("rand-m7-n4-mstd0.5-inc1")
    assert policy == RandAugment(m=7, n=4, p=0.5, mstd=0.5, mmax=10, inc=True)
    assert parse_policy("rand") == RandAugment(m=10, n=2)
    assert parse_policy("rand-m20-mmax30-p0.3-inc0") == RandAugment(m=20, mmax=30, p=0.3)
    assert math.isinf(parse_policy("rand-mstd101").mstd)
    assert parse_policy("v0") == AutoAugment("v0")
    assert parse_policy("original-mstd0.5") == AutoAugment("original", 0.5)


@pytest.mark.parametrize(
    "text",
    ["rnd-m7", "rand-x3", "rand-m", "augmix-m3", "rand--n4", "v1", "v0-m3", "v0-mstd0.5-mstd1"],
)
def test_a_string_that_is_no_policy_is_refused(text):
    with pytest.raises(ConfigError, match=r"AUG\.AA_TYPE"):
        parse_policy(text)
