import math
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    confusion_matrix,
    recall_score,
    top_k_accuracy_score,
)

from slowfast_ext.tasks.metrics import (
    METRICS,
    Evaluation,
    confusion,
    hits,
    mean_average_precision,
    mean_class_accuracy,
)
from slowfast_ext.tasks.multi_label import MultiLabel
from slowfast_ext.tasks.single_label import SingleLabel
from slowfast_ext.tasks.verb_noun import VerbNounTask


def evaluation(scores, labels, decoded=None):
    decoded = (
        torch.ones(len(labels), dtype=torch.bool) if decoded is None else torch.tensor(decoded)
    )
    heads = scores if isinstance(scores, tuple) else (scores,)
    return Evaluation(heads, labels, decoded, {})


SCORES = st.sampled_from([0.0, 0.25, 0.5, 1.0, -1.0, 7.0])
"""Few values: many ties."""


@given(st.integers(0, 10_000), st.integers(1, 7))
def test_hits_equal_topk_without_ties(seed, k):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.rand(11, 7, generator=generator)
    labels = torch.randint(7, (11,), generator=generator)
    expected = (scores.topk(k).indices == labels[:, None]).any(1)
    assert torch.equal(hits(scores, labels, torch.ones(11, dtype=torch.bool), k), expected)


@given(
    st.lists(st.lists(SCORES, min_size=7, max_size=7), min_size=1, max_size=9), st.integers(1, 7)
)
def test_hits_by_counting(rows, k):
    labels = [number % 7 for number in range(len(rows))]
    expected = [
        sum(score >= row[label] for score in row) <= k
        for row, label in zip(rows, labels, strict=True)
    ]
    scored = torch.ones(len(rows), dtype=torch.bool)
    assert hits(torch.tensor(rows), torch.tensor(labels), scored, k).tolist() == expected


def test_top_1_and_top_5_mean_one_and_five():
    """The label of video m has m classes above it."""
    scores = torch.arange(8.0).repeat(8, 1)
    labels = torch.arange(7, -1, -1)[:, None]
    metrics = SingleLabel((8,)).evaluate(evaluation(scores, labels))
    assert (metrics["top1_acc"], metrics["top5_acc"]) == (12.5, 62.5)
    sums = SingleLabel((8,)).running_sums(scores, [torch.eye(8)[labels[:, 0]]])
    assert [float(x) for x in sums] == [100.0, 500.0]
    few = SingleLabel((8,)).running_sums(scores[:3], [torch.eye(8)[[7, 3, 0]]])
    assert [float(x) for x in few] == [100.0, 200.0]


def test_ties_and_nan_never_help():
    labels = torch.zeros(2, 1, dtype=torch.int64)
    for value in (0.0, math.nan):
        found = evaluation(torch.full((2, 3), value), labels)
        metrics = SingleLabel((3,)).evaluate(found)
        assert metrics == {"top1_acc": 0, "top5_acc": 100 * (value == 0), "mean_class_acc": 0}


NAN_ROWS = ([2.0, math.nan], [math.nan, 2.0], [math.nan, math.nan])


def test_accuracy_of_a_class_in_its_table():
    found = evaluation(torch.eye(2)[[0, 0, 1]], torch.zeros(3, 1, dtype=torch.int64))
    tables = {name: list(rows) for name, rows in SingleLabel((2,)).tables(found, [("a", "b")])}
    assert tables["per_class.csv"][1:] == [(0, "a", 3, 2, "66.67"), (1, "b", 0, 0, "")]


@pytest.mark.parametrize("row", NAN_ROWS)
def test_a_video_with_a_score_that_is_no_number_is_wrong(row):
    """Also where the score of its label is one: in every metric, table and running number."""
    scores = torch.tensor([[2.0, 1.0], row])
    labels = torch.zeros(2, 1, dtype=torch.int64)
    found = evaluation(scores, labels)
    assert found.scored.tolist() == [True, False]
    task = SingleLabel((2,))
    assert task.evaluate(found) == {"top1_acc": 50, "top5_acc": 50, "mean_class_acc": 50}
    assert [float(x) for x in task.running_sums(scores, [torch.eye(2)[[0, 0]]])] == [100, 100]
    tables = {name: list(rows) for name, rows in task.tables(found, [("a", "b")])}
    assert tables["confusion.csv"][1:] == [["a", 1, 0], ["b", 0, 0]]
    assert tables["per_class.csv"][1:] == [(0, "a", 2, 1, "50.00"), (1, "b", 0, 0, "")]
    both = evaluation((torch.eye(2)[[0, 0]], scores), torch.zeros(2, 2, dtype=torch.int64))
    assert VerbNounTask((2, 2)).evaluate(both)["top1_acc"] == 50
    hot = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    assert MultiLabel((2,)).evaluate(evaluation(scores, hot)) == {"map": 50}
    assert float(MultiLabel((2,)).running_sums(scores, [hot])[0]) == 100


@pytest.mark.parametrize("ensemble", ["probs", "logits"])
@pytest.mark.parametrize("task", [SingleLabel((2,)), MultiLabel((2,)), VerbNounTask((2, 2))])
def test_an_undecoded_video_is_wrong_under_every_ensemble(task, ensemble):
    """Its scores are zeros, which among logits is more than the others have."""
    scores = torch.tensor([[-1.0, -3.0], [-2.0, -1.0], [0.0, 0.0]])
    heads = tuple(task.scores(scores) if ensemble == "probs" else [scores]) * len(task.num_classes)
    heads = tuple(
        head.index_fill(0, torch.tensor([2]), 0.0) for head in heads[: len(task.num_classes)]
    )
    rows = [(0,) * len(heads), (1,) * len(heads), (1,) * len(heads)]
    found = evaluation(heads, task.labels(rows), [True, True, False])
    expected = {"map": 75.0, "mean_class_acc": 75.0}
    for name, value in task.evaluate(found).items():
        kind = name.removeprefix("verb_").removeprefix("noun_")
        assert value == pytest.approx(expected.get(kind, 200 / 3)), name
    assert set(task.evaluate(found.counted("skip")).values()) == {100.0}


def test_mean_class_accuracy_ignores_absent_classes():
    hit = torch.tensor([True, True, False, True])
    assert mean_class_accuracy(hit, torch.tensor([0, 0, 0, 2]), 4) == pytest.approx(
        100 * (2 / 3 + 1) / 2
    )


def average_precisions(scores, targets, scored=None):
    scored = torch.ones(len(scores), dtype=torch.bool) if scored is None else torch.tensor(scored)
    return mean_average_precision(torch.tensor(scores), torch.tensor(targets), scored)


def test_mean_average_precision_by_hand():
    scores = [[0.9, 0.1], [0.8, 0.9], [0.7, 0.8]]
    first = (1 / 1 + 2 / 3) / 2
    expected = 100 * (first + 1 / 2) / 2
    assert average_precisions(scores, [[1.0, 0], [0, 0], [1, 1]]) == pytest.approx(expected)


def test_ties_are_found_together():
    """Whatever their order in the list: one video of ten is right, and all score the same."""
    for place in range(10):
        targets = [[float(video == place)] for video in range(10)]
        assert average_precisions([[0.5]] * 10, targets) == pytest.approx(10.0)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(SCORES, SCORES, st.booleans(), st.booleans()), min_size=1, max_size=12))
def test_mean_average_precision_is_scikit_learns(rows):
    scores = np.array([row[:2] for row in rows])
    targets = np.array([row[2:] for row in rows], float)
    present = targets.sum(0) > 0
    ours = average_precisions(scores.tolist(), targets.tolist())
    if present.any():
        theirs = average_precision_score(targets[:, present], scores[:, present], average="macro")
        assert ours == pytest.approx(100 * theirs)
    else:
        assert math.isnan(ours)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(SCORES, st.booleans(), st.booleans()), min_size=1, max_size=12))
def test_videos_without_scores_are_never_found(rows):
    """The recall that is reached is that of the others: scikit-learn's figure of them, by their share of the positives."""
    scores, targets, scored = (np.array(column) for column in zip(*rows, strict=True))
    ours = average_precisions(
        scores[:, None].tolist(), targets[:, None].astype(float).tolist(), scored.tolist()
    )
    if not targets.any():
        assert math.isnan(ours)
        return
    reached = targets[scored].sum() / targets.sum()
    theirs = average_precision_score(targets[scored], scores[scored]) if reached else 0.0
    assert ours == pytest.approx(100 * theirs * reached)


def test_classes_without_positives_do_not_count():
    scores = [[0.9, 0.9, 0.2], [0.1, 0.8, 0.1]]
    assert average_precisions(scores, [[1.0, 0, 0], [0, 0, 1]]) == 75.0
    assert math.isnan(average_precisions(scores, [[0.0, 0, 0], [0, 0, 0]]))


def test_confusion_counts_every_video():
    table = confusion(torch.eye(3)[[0, 1, 1, 2]], torch.tensor([0, 0, 1, 2]))
    assert table.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000))
def test_single_label_metrics_are_scikit_learns(seed):
    rng = np.random.default_rng(seed)
    scores, labels = rng.random((20, 6)), rng.integers(0, 4, 20)
    found = evaluation(torch.tensor(scores), torch.tensor(labels)[:, None])
    metrics, best = SingleLabel((6,)).evaluate(found), scores.argmax(1)
    top5 = top_k_accuracy_score(labels, scores, k=5, labels=range(6))
    recalls = recall_score(labels, best, average="macro", labels=np.unique(labels))
    assert metrics["top1_acc"] == pytest.approx(100 * accuracy_score(labels, best))
    assert metrics["top5_acc"] == pytest.approx(100 * top5)
    assert metrics["mean_class_acc"] == pytest.approx(100 * recalls)
    theirs = confusion_matrix(labels, best, labels=range(6))
    assert np.array_equal(confusion(found.scores[0], found.labels[:, 0]).numpy(), theirs)


def test_a_higher_accuracy_is_better_unless_a_metric_says_otherwise():
    for name, own in METRICS:
        assert (own.rank(2.0) > own.rank(1.0)) != own.lower_is_better, name
    assert not any(METRICS.get(name).lower_is_better for name in (*SingleLabel.metrics, "map"))


def test_an_evaluation_stays_as_it_is():
    with pytest.raises(FrozenInstanceError):
        evaluation(torch.eye(2), torch.tensor([[0], [1]])).scores = ()


def test_predictions_name_the_best_class_and_its_score():
    rows = list(
        SingleLabel((3,)).predictions(evaluation(torch.eye(3)[[2, 0]] * 0.5, torch.zeros(2, 1)))
    )
    assert rows == [("2", "0.500000"), ("0", "0.500000")]


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
