"""Mixup and CutMix against timm: targets, boxes, lambdas and their distribution."""

import json
import math

import numpy as np
import pytest
import torch
from timm.data.mixup import Mixup, mixup_target

from slowfast_ext.data.seeds import step_rng
from slowfast_ext.data.transforms.mixing import MixupOptions, cutmix_box, draw_lambda, mix_batch
from slowfast_ext.tasks import TASKS

SMOOTHING = 0.1


def make_mixup(alpha=0.8, cutmix=1.0, prob=1.0, switch=0.5, enable=True):
    return MixupOptions(enable, alpha, cutmix, prob, switch)


def soft_targets(labels, counts, smoothing):
    kind = "multi_label" if labels.is_floating_point() else "single_label"
    return TASKS.get(kind)(counts, label_smoothing=smoothing).targets(labels)


def mixed_batch(clip, labels, counts, options, rng):
    """Labels smoothed, then mixed: what a training step does."""
    return mix_batch(clip, soft_targets(labels, counts, SMOOTHING), options, rng)


@pytest.fixture
def clip():
    return torch.rand(6, 3, 4, 10, 12, generator=torch.Generator().manual_seed(0))


LABELS = torch.tensor([[0], [2], [1], [4], [3], [2]])


def test_mixup_blends_with_the_reversed_batch(clip):
    mixed, (target,) = mixed_batch(clip, LABELS, [5], make_mixup(cutmix=0.0), step_rng(0, 0, 0))
    lam, cutmix = draw_lambda(make_mixup(cutmix=0.0), step_rng(0, 0, 0))
    assert not cutmix
    torch.testing.assert_close(mixed, lam * clip + (1 - lam) * clip.flip(0))
    torch.testing.assert_close(target, mixup_target(LABELS[:, 0], 5, lam, 0.1))


@pytest.mark.parametrize("step", range(20))
def test_cutmix_pastes_one_box_and_corrects_lambda(clip, step):
    _, (target,) = mixed_batch(clip, LABELS, [5], make_mixup(alpha=0.0), step_rng(0, 0, step))
    own, other = torch.zeros(6, 1, 1, 10, 12), torch.ones(6, 1, 1, 10, 12)
    marks = torch.cat([own[:3], other[3:]])
    mixed, _ = mixed_batch(marks, LABELS, [5], make_mixup(alpha=0.0), step_rng(0, 0, step))
    pasted = (mixed != marks).float()
    assert (pasted == pasted[:1]).all()
    lam = 1 - pasted[0].mean().item()
    rows, columns = pasted[0, 0, 0].amax(1).sum(), pasted[0, 0, 0].amax(0).sum()
    assert pasted[0].sum() == rows * columns
    torch.testing.assert_close(target, mixup_target(LABELS[:, 0], 5, lam, 0.1))


def test_the_input_is_not_written_to(clip):
    before = clip.clone()
    for step in range(10):
        mixed_batch(clip, LABELS, [5], make_mixup(), step_rng(0, 0, step))
    assert torch.equal(clip, before)


def test_draws_are_distributed_as_timms():
    count = 4000
    ours = [draw_lambda(make_mixup(prob=0.7), step_rng(0, 0, step)) for step in range(count)]
    np.random.seed(0)
    timm = Mixup(0.8, 1.0, prob=0.7, switch_prob=0.5, num_classes=5)
    theirs = [timm._params_per_batch() for _ in range(count)]
    for mixed_by_cutmix in (False, True):
        a, b = (
            np.array([lam for lam, cutmix in draws if bool(cutmix) is mixed_by_cutmix and lam < 1])
            for draws in (ours, theirs)
        )
        assert abs(len(a) - len(b)) < 5 * math.sqrt(count / 2)
        grid = np.linspace(0.05, 0.95, 10)
        assert np.abs(np.quantile(a, grid) - np.quantile(b, grid)).max() < 0.06


@pytest.mark.parametrize("lam", [0.0, 0.3, 0.9, 1.0])
def test_a_cutmix_box_lies_in_the_frame(lam):
    for step in range(200):
        top, left, height, width = cutmix_box(10, 12, lam, step_rng(0, 0, step))
        assert 0 <= top <= top + height <= 10
        assert 0 <= left <= left + width <= 12
        assert height * width <= (1 - lam) * 120 + 1e-9


def test_two_heads_are_mixed_by_the_same_lambda(clip):
    labels = torch.cat([LABELS, LABELS.flip(0)], 1)
    _, (verb, noun) = mixed_batch(clip, labels, [5, 7], make_mixup(cutmix=0.0), step_rng(0, 0, 1))
    lam, _ = draw_lambda(make_mixup(cutmix=0.0), step_rng(0, 0, 1))
    torch.testing.assert_close(verb, mixup_target(labels[:, 0], 5, lam, 0.1))
    torch.testing.assert_close(noun, mixup_target(labels[:, 1], 7, lam, 0.1))


def test_multi_hot_labels_are_mixed_and_smoothed(clip):
    hot = (torch.rand(6, 5) < 0.4).float()
    _, (target,) = mixed_batch(clip, hot, [5], make_mixup(cutmix=0.0), step_rng(0, 0, 1))
    lam, _ = draw_lambda(make_mixup(cutmix=0.0), step_rng(0, 0, 1))
    smooth = hot * 0.9 + 0.05
    torch.testing.assert_close(target, smooth * lam + smooth.flip(0) * (1 - lam))


def test_without_mixing_only_labels_are_smoothed(clip):
    mixed, (target,) = mixed_batch(clip, LABELS, [5], make_mixup(enable=False), step_rng(0, 0, 0))
    assert mixed is clip
    assert torch.equal(target, soft_targets(LABELS, [5], 0.1)[0])
    assert target[0].tolist() == pytest.approx([0.92, 0.02, 0.02, 0.02, 0.02])


def test_targets_equal_the_golden_ones(golden_dir):
    case = json.loads((golden_dir / "sampling_lr_misc.json").read_text())["mixup_target"]
    labels = torch.tensor(case["labels"])[:, None]
    (smooth,) = soft_targets(labels, [case["num_classes"]], case["smoothing"])
    mixed = torch.lerp(smooth.flip(0), smooth, case["lam"])
    torch.testing.assert_close(mixed, torch.tensor(case["target"]))
