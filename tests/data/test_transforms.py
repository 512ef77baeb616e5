"""Crops, flips, erasing, colour jitter and normalisation: the same for all frames, as published."""

import json
import math

import numpy as np
import pytest
import torch
from fakes import make_cfg
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file

from slowfast_ext.config import options_of
from slowfast_ext.data.seeds import sample_rng
from slowfast_ext.data.transforms import test_crops as crops_of
from slowfast_ext.data.transforms import to_model_input, train_transform_from
from slowfast_ext.data.transforms.box import crop
from slowfast_ext.data.transforms.color_jitter import ColorJitter, Grayscale
from slowfast_ext.data.transforms.device import PixelOptions, to_pixels
from slowfast_ext.data.transforms.erasing import RandomErasing
from slowfast_ext.data.transforms.flip import HorizontalFlip
from slowfast_ext.data.transforms.resize_crop import (
    JitterCrop,
    MultiScaleCrop,
    RandomResizedCrop,
    Resize,
    cover_size,
    crop_box,
)

MEAN, STD = (0.45, 0.4, 0.5), (0.225, 0.2, 0.25)


def random_clip(T=4, H=40, W=52, still=False, seed=0):
    generator = torch.Generator().manual_seed(seed)
    frames = torch.randint(
        0, 256, (1 if still else T, H, W, 3), generator=generator, dtype=torch.uint8
    )
    return frames.expand(T, -1, -1, -1).permute(0, 3, 1, 2)


EVERYTHING = {
    "AUG__AA_TYPE": "rand-m9-n3-mstd0.5-inc1",
    "AUG__COLOR_JITTER": 0.4,
    "AUG__GRAYSCALE": 0.2,
    "AUG__RE_PROB": 0.5,
    "AUG__RE_MODE": "rand",
}


@pytest.mark.parametrize("relative", [[], [0.08, 1.0]])
@pytest.mark.parametrize("seed", range(12))
def test_equal_frames_stay_equal_through_the_whole_pipeline(seed, relative):
    cfg = make_cfg(DATA__TRAIN_JITTER_SCALES_RELATIVE=relative, **EVERYTHING)
    clip = random_clip(still=True)
    out = train_transform_from(cfg)(clip, sample_rng(seed, 0, 0))
    assert out.shape == (4, 3, 16, 16)
    assert out.dtype == torch.uint8
    assert (out == out[:1]).all()


def test_the_pipeline_leaves_the_decoded_clip_alone():
    transform = train_transform_from(make_cfg(**EVERYTHING))
    clip = random_clip().contiguous(memory_format=torch.channels_last)
    before = clip.clone()
    for seed in range(30):
        transform(clip, sample_rng(seed, 0, 0))
    assert torch.equal(clip, before)


def test_augmentation_can_be_switched_off_as_a_whole():
    on, off = make_cfg(AUG__ENABLE=True, **EVERYTHING), make_cfg(AUG__ENABLE=False, **EVERYTHING)
    names = [[type(t).__name__ for t in train_transform_from(cfg).transforms] for cfg in (on, off)]
    assert names[0] == [
        "AugmentedCrop",
        "HorizontalFlip",
        "ColorJitter",
        "Grayscale",
        "RandomErasing",
    ]
    assert names[1] == ["JitterCrop", "HorizontalFlip"]


def test_test_crop_boxes_equal_the_published_ones(golden_dir):
    for case in json.loads((golden_dir / "sampling_lr_misc.json").read_text())["crop"]:
        height, width = cover_size(case["H"], case["W"], case["scale"])
        assert [height, width] == case["resized"], case
        box = crop_box(height, width, case["size"], case["idx"])
        assert (box.top, box.left) == (case["top"], case["left"]), case


def test_the_test_pipeline_equals_the_published_one_to_a_level_of_grey(golden_dir):
    golden = load_file(golden_dir / "testpipe.safetensors")
    clip = golden["frames_uint8_THWC"].permute(0, 3, 1, 2)
    for place, ours in enumerate(crops_of(clip, 32, (0, 1, 2), Resize(antialias=False), 32)):
        difference = to_model_input(ours[None], PixelOptions())[0] - golden[f"crop{place}"]
        levels = difference.abs() * 0.225 * 255
        assert levels.max() <= 1.01
        assert levels.mean() < 0.35


def test_bytes_are_resized_as_floats_are():
    clip = random_clip(H=64, W=90)
    ours = Resize()(clip.contiguous(memory_format=torch.channels_last), (40, 48))
    plain = torch.nn.functional.interpolate(
        clip.float(), size=(40, 48), mode="bilinear", antialias=True
    )
    assert (ours - plain).abs().max() <= 1.01


def test_imagenets_test_crop_is_the_usual_one():
    """Resize(256, bicubic), CenterCrop(224), as torchvision does them on PIL images."""
    clip = random_clip(T=1, H=37, W=55, seed=3)
    clip = torch.nn.functional.interpolate(clip, size=(300, 451), mode="bilinear")
    (ours,) = crops_of(clip, 224, [1], Resize("bicubic"), 256)
    image = Image.fromarray(clip[0].permute(1, 2, 0).contiguous().numpy())
    image = image.resize((int(256 * 451 / 300), 256), Image.BICUBIC)
    left, top = round((image.width - 224) / 2), round((image.height - 224) / 2)
    image = image.crop((left, top, left + 224, top + 224))
    plain = torch.from_numpy(np.asarray(image)).permute(2, 0, 1)
    difference = (ours[0].int() - plain.int()).abs()
    assert difference.max() <= 2
    assert difference.float().mean() < 0.3


sides = st.integers(16, 80)


@given(height=sides, width=sides, seed=st.integers(0, 10**6), inverse=st.booleans())
def test_a_jitter_crop_is_a_square_inside_the_frame(height, width, seed, inverse):
    top, left, h, w = JitterCrop(16, 18, 30, inverse).box(height, width, sample_rng(seed, 0, 0))
    assert h == w
    assert 0 <= top <= height - h
    assert 0 <= left <= width - w
    assert min(height, width) * 16 / 30 - 1 <= h <= min(height, width) * 16 / 18 + 1


@given(height=sides, width=sides, seed=st.integers(0, 10**6))
def test_a_random_resized_crop_keeps_area_and_ratio(height, width, seed):
    crop_ = RandomResizedCrop(16, (0.2, 0.9), (0.75, 4 / 3))
    top, left, h, w = crop_.box(height, width, sample_rng(seed, 0, 0))
    assert 0 <= top <= height - h
    assert 0 <= left <= width - w
    assert h > 0
    assert w > 0
    assert 0.75 - 1.5 / h <= w / h <= 4 / 3 + 1.5 / h


def test_multi_scale_crops_are_those_of_tsn():
    """Ten pairs of sides (neighbours in the list), thirteen places."""
    scales, height, width = (1.0, 0.875, 0.75, 0.66), 256, 340
    sides = [256, 224, 192, 168]
    multi = MultiScaleCrop(224, scales)
    boxes = [multi.box(height, width, sample_rng(s, 0, 0)) for s in range(4000)]
    shapes = {(box.height, box.width) for box in boxes}
    assert shapes == {(h, w) for i, h in enumerate(sides) for w in sides[max(0, i - 1) : i + 2]}
    assert len(shapes) == 10
    smallest = [(b.top, b.left) for b in boxes if (b.height, b.width) == (168, 168)]
    far = {(0, 0), (0, 86), (0, 172), (44, 0), (44, 86), (44, 172), (88, 0), (88, 86), (88, 172)}
    assert set(smallest) == far | {(22, 43), (22, 129), (66, 43), (66, 129)}
    assert all(b.top + b.height <= height and b.left + b.width <= width for b in boxes)
    counts = np.unique([b.height * 1000 + b.width for b in boxes], return_counts=True)[1]
    assert counts.min() > 330


def test_the_configured_crop_is_taken():
    def kind(**keys):
        return type(train_transform_from(make_cfg(**keys)).transforms[0])

    assert kind() is JitterCrop
    assert kind(DATA__TRAIN_JITTER_SCALES_RELATIVE=[0.08, 1.0]) is RandomResizedCrop
    assert kind(DATA__TRAIN_MULTI_SCALE_CROP=[1.0, 0.875]) is MultiScaleCrop


def test_multi_scale_crops_average_pixels_as_pil_does_whatever_the_test_does():
    plain = train_transform_from(
        make_cfg(DATA__TRAIN_MULTI_SCALE_CROP=[1.0], DATA__ANTIALIAS=False)
    )
    assert plain.transforms[0].resize == Resize("bilinear", antialias=True)
    jitter = train_transform_from(make_cfg(DATA__ANTIALIAS=False))
    assert jitter.transforms[0].resize == Resize("bilinear", antialias=False)


def test_jitter_reaches_every_scale_and_corner():
    boxes = [JitterCrop(16, 16, 20).box(20, 30, sample_rng(s, 0, 0)) for s in range(800)]
    assert {box.height for box in boxes} == {16, 17, 18, 19, 20}
    assert {box.left for box in boxes if box.height == 20} == set(range(11))
    assert {box.top for box in boxes if box.height == 16} == set(range(5))


def test_an_upright_crop_of_the_same_size_is_not_resampled():
    clip = random_clip(H=20, W=30)
    box = JitterCrop(16, 20, 20).box(20, 30, sample_rng(1, 0, 0))
    assert torch.equal(JitterCrop(16, 20, 20)(clip, sample_rng(1, 0, 0)), crop(clip, box))


def test_half_of_the_clips_are_mirrored():
    clip = random_clip()
    mirrored = 0
    for seed in range(400):
        out = HorizontalFlip()(clip, sample_rng(seed, 0, 0))
        assert torch.equal(out, clip) or torch.equal(out, clip.flip(-1))
        mirrored += not torch.equal(out, clip)
    assert 150 < mirrored < 250


@pytest.mark.parametrize("mode", ["pixel", "rand", "const"])
@pytest.mark.parametrize("seed", range(8))
def test_erasing_fills_one_box_in_all_frames(mode, seed):
    clip = torch.zeros(4, 3, 40, 52, dtype=torch.uint8)
    erase = RandomErasing(1.0, mode, MEAN, STD)
    out = erase(clip, sample_rng(seed, 0, 0))
    changed = (out.amax(1) > 0).float()
    rows, columns = changed.amax((0, 2)).sum(), changed.amax((0, 1)).sum()
    share = (rows * columns / (40 * 52)).item()
    assert 0.015 <= share <= 0.36
    assert changed.sum() / 4 > 0.9 * rows * columns
    inside = out[:, :, changed.amax((0, 2)).bool()][..., changed.amax((0, 1)).bool()]
    if mode == "const":
        assert inside.unique(dim=1).shape[1] == 3
        assert inside[0, :, 0, 0].tolist() == [round(255 * m) for m in MEAN]
    elif mode == "rand":
        assert (inside == inside[:1, :, :1, :1]).all()
    else:
        assert not torch.equal(inside[0], inside[1])


def test_erasing_noise_is_normal_after_normalisation():
    fill = RandomErasing(1.0, "pixel", MEAN, STD).fill((8, 100, 100, 3), sample_rng(0, 0, 0))
    normal = (fill.float() / 255 - torch.tensor(MEAN)) / torch.tensor(STD)
    quantiles = torch.tensor([0.1, 0.25, 0.5, 0.75, 0.9])
    expected = torch.distributions.Normal(0, 1).icdf(quantiles)
    for channel in range(3):
        ours = torch.quantile(normal[..., channel].flatten(), quantiles)
        assert (ours - expected).abs().max() < 0.03


def test_erasing_happens_as_often_as_asked():
    clip = torch.zeros(1, 3, 20, 20, dtype=torch.uint8)
    erase = RandomErasing(0.25, "const", MEAN, STD)
    erased = sum(bool(erase(clip, sample_rng(seed, 0, 0)).any()) for seed in range(1000))
    assert 200 < erased < 300


def test_several_boxes_share_the_area():
    clip = torch.zeros(1, 3, 60, 60, dtype=torch.uint8)
    areas = [
        (RandomErasing(1.0, "const", MEAN, STD, count=3)(clip, sample_rng(s, 0, 0)) > 0)
        .float()
        .mean()
        for s in range(40)
    ]
    assert max(areas) <= 1 / 3 + 0.03


def test_colour_jitter_keeps_its_range_and_probability():
    clip = torch.full((2, 3, 8, 8), 100, dtype=torch.uint8)
    outs = [ColorJitter(0.4, 0.8)(clip, sample_rng(seed, 0, 0)) for seed in range(400)]
    values = torch.stack([out[0, 0, 0, 0] for out in outs])
    assert 59 <= values.min() < 70
    assert 130 < values.max() <= 140
    assert 50 < sum(torch.equal(out, clip) for out in outs) < 115


def test_a_grey_clip_has_equal_channels():
    out = Grayscale(1.0)(random_clip(), sample_rng(0, 0, 0))
    assert (out == out[:, :1]).all()
    assert torch.equal(Grayscale(0.0)(random_clip(), sample_rng(0, 0, 0)), random_clip())


@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_model_input_is_ordered_then_normalised(order):
    pixels = PixelOptions(MEAN, STD, order)
    clip = torch.stack([random_clip(), random_clip(seed=1)])
    out = to_model_input(clip, pixels)
    assert out.shape == (2, 3, 4, 40, 52)
    assert out.is_contiguous()
    channels = [0, 1, 2] if order == "rgb" else [2, 1, 0]
    plain = clip[:, :, channels].numpy().astype(np.float64) / 255
    plain = (plain - np.reshape(MEAN, (3, 1, 1))) / np.reshape(STD, (3, 1, 1))
    expected = torch.from_numpy(plain).transpose(1, 2).float()
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-5)
    back = to_pixels(out, pixels)
    assert back.dtype == torch.uint8
    assert torch.equal(back, clip.permute(0, 1, 3, 4, 2))
    beyond = to_pixels(torch.tensor([-9.0, 9.0]).view(1, 1, 1, 1, 2).expand(1, 3, 1, 1, 2), pixels)
    assert beyond[0, 0, 0].tolist() == [[0] * 3, [255] * 3]


def test_erasing_fills_with_the_mean_of_the_models_channel_order():
    cfg = make_cfg(
        DATA__CHANNEL_ORDER="bgr",
        DATA__MEAN=list(MEAN),
        AUG__RE_PROB=1.0,
        AUG__RE_MODE="const",
        DATA__RANDOM_FLIP=False,
    )
    out = train_transform_from(cfg)(
        torch.zeros(1, 3, 20, 20, dtype=torch.uint8), sample_rng(0, 0, 0)
    )
    normal = to_model_input(out[None], options_of(cfg, PixelOptions))
    erased = normal[0, :, 0][:, out[0].amax(0) > 0]
    assert erased.abs().max() <= 0.51 / 255 / 0.225


def test_a_jitter_uniform_in_size_or_in_its_inverse():
    """Short sides in [16, 64]: the mean of the one is 40, of the other log(4) * 64 / 3 = 29.6 (PySlowFast's)."""
    for inverse, mean, share_below_32 in (
        (False, 40.0, 16 / 49),
        (True, math.log(4) * 64 / 3, 2 / 3),
    ):
        crop = JitterCrop(16, 16, 64, inverse)
        # A crop of 16 at short side s shows 16 / s of a frame of 6400 pixels.
        shown = [crop.box(6400, 6400, sample_rng(0, 0, n)).height for n in range(4000)]
        shorts = [16 * 6400 / side for side in shown]
        assert sum(shorts) / len(shorts) == pytest.approx(mean, rel=0.02)
        below = sum(short < 31.9 for short in shorts) / len(shorts)
        assert below == pytest.approx(share_below_32, abs=0.03)
        assert min(shorts) >= 15.99
        assert max(shorts) <= 64.01
