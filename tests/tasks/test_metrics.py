import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from slowfast_ext.tasks.metrics import (
    Evaluation,
    confusion,
    hits,
    mean_average_precision,
    mean_class_accuracy,
)
from slowfast_ext.tasks.single_label import SingleLabel
from slowfast_ext.tasks.verb_noun import VerbNounTask


def evaluation(scores, labels, decoded=None):
    decoded = (
        torch.ones(len(labels), dtype=torch.bool) if decoded is None else torch.tensor(decoded)
    )
    heads = scores if isinstance(scores, tuple) else (scores,)
    return Evaluation(heads, labels, decoded, {})


@given(st.integers(0, 10_000), st.integers(1, 7))
def test_hits_equal_topk_without_ties(seed, k):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.rand(11, 7, generator=generator)
    labels = torch.randint(7, (11,), generator=generator)
    expected = (scores.topk(k).indices == labels[:, None]).any(1)
    assert torch.equal(hits(scores, labels, torch.ones(11, dtype=torch.bool), k), expected)


def test_ties_and_nan_never_help():
    decoded = torch.ones(2, dtype=torch.bool)
    labels = torch.tensor([0, 0])
    assert not hits(torch.zeros(2, 3), labels, decoded, 1).any()
    assert not hits(torch.full((2, 3), math.nan), labels, decoded, 3).any()


def test_mean_class_accuracy_ignores_absent_classes():
    hit = torch.tensor([True, True, False, True])
    assert mean_class_accuracy(hit, torch.tensor([0, 0, 0, 2]), 4) == pytest.approx(
        100 * (2 / 3 + 1) / 2
    )


def test_mean_average_precision_by_hand():
    scores = torch.tensor([[0.9, 0.1], [0.8, 0.9], [0.7, 0.8]])
    targets = torch.tensor([[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]])
    first = (1 / 1 + 2 / 3) / 2
    assert mean_average_precision(scores, targets) == pytest.approx(100 * (first + 1 / 2) / 2)


def test_confusion_counts_every_video():
    table = confusion(torch.eye(3)[[0, 1, 1, 2]], torch.tensor([0, 0, 1, 2]))
    assert table.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]


@pytest.mark.parametrize(("policy", "expected"), [("wrong", 50.0), ("skip", 100.0)])
def test_policy_for_undecoded_videos(policy, expected):
    scores = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    labels = torch.tensor([[0], [0]])
    counted = evaluation(scores, labels, [True, False]).counted(policy)
    metrics = SingleLabel((2,)).evaluate(counted)
    assert metrics["top1_acc"] == expected


def test_action_needs_both_heads():
    verbs, nouns = torch.eye(3)[[0, 1]], torch.eye(4)[[0, 3]]
    labels = torch.tensor([[0, 0], [1, 2]])
    metrics = VerbNounTask((3, 4)).evaluate(evaluation((verbs, nouns), labels))
    assert (metrics["verb_top1_acc"], metrics["noun_top1_acc"], metrics["top1_acc"]) == (
        100,
        50,
        50,
    )


def test_nothing_left_to_count_is_nan():
    empty = evaluation(torch.zeros(1, 2), torch.tensor([[0]]), [False])
    assert math.isnan(SingleLabel((2,)).evaluate(empty.counted("skip"))["top1_acc"])
