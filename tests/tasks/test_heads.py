"""Each task by hand, with several clips, heads and views: targets, loss, scores, running numbers, tables."""

import pytest
import torch

from slowfast_ext.tasks.metrics import Evaluation
from slowfast_ext.tasks.multi_label import MultiLabel
from slowfast_ext.tasks.single_label import SingleLabel, inverse_frequency
from slowfast_ext.tasks.verb_noun import VerbNounTask

LOGITS = torch.tensor([[0.0, 2.0, -1.0], [3.0, 0.0, 1.0]])


def test_targets_of_two_clips_and_two_heads():
    verb, noun = VerbNounTask((3, 2), label_smoothing=0.0).targets(torch.tensor([[0, 1], [2, 0]]))
    assert verb.tolist() == [[1, 0, 0], [0, 0, 1]]
    assert noun.tolist() == [[0, 1], [1, 0]]
    verb, noun = VerbNounTask((3, 2), label_smoothing=0.3).targets(torch.tensor([[0, 1], [2, 0]]))
    torch.testing.assert_close(verb, torch.tensor([[0.8, 0.1, 0.1], [0.1, 0.1, 0.8]]))
    torch.testing.assert_close(noun, torch.tensor([[0.15, 0.85], [0.85, 0.15]]))


def test_the_loss_of_two_heads_with_weights_of_one():
    """Mean over heads of the mean over clips; a weight multiplies its class."""
    heads = LOGITS, torch.zeros(2, 2)
    targets = [torch.eye(3)[[1, 2]], torch.eye(2)[[0, 1]]]
    weights = torch.tensor([1.0, 0.5, 4.0])
    first = -LOGITS.log_softmax(1)
    expected = (0.5 * first[0, 1] + 4 * first[1, 2]) / 2
    task = VerbNounTask((3, 2), class_weights=[weights, None])
    for _ in range(2):
        loss = task.loss(heads, targets)
        torch.testing.assert_close(loss, (expected + torch.tensor(2.0).log()) / 2)
    assert task.class_weights[1] is None


@pytest.mark.parametrize(
    ("task", "squashed"),
    [(SingleLabel, LOGITS.softmax(1)), (MultiLabel, LOGITS.sigmoid())],
)
def test_scores_and_probabilities(task, squashed):
    """Of videos, and of a single one."""
    probs, logits = task((3,)), task((3,), ensemble="logits")
    for own, score in ((probs, squashed), (logits, LOGITS)):
        (found,) = own.scores(LOGITS)
        torch.testing.assert_close(found, score)
        for scores, expected in (
            (score, squashed),
            (score[0], squashed[0]),
            (score[None], squashed[None]),
        ):
            (probability,) = own.probabilities([scores])
            torch.testing.assert_close(probability, expected)


def test_running_numbers_of_mixed_clips():
    """The heaviest class counts; of several labels, any of the heaviest."""
    logits = torch.tensor([[1.0, 2.0, 0.0], [5.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    mixed = torch.tensor([[0.4, 0.6, 0.0], [0.4, 0.6, 0.0], [0.5, 0.0, 0.5]])
    assert [float(x) for x in SingleLabel((3,)).running_sums(logits, [mixed])] == [100.0, 300.0]
    assert [float(x) for x in MultiLabel((3,)).running_sums(logits, [mixed])] == [200.0]


def test_running_numbers_need_both_heads():
    verb, noun = torch.eye(7)[[0, 1]], torch.eye(7)[[0, 1]]
    targets = [torch.eye(7)[[0, 1]], torch.eye(7)[[0, 2]]]
    sums = VerbNounTask((7, 7)).running_sums((verb, noun), targets)
    assert [float(x) for x in sums] == [100.0, 100.0]
    sums = VerbNounTask((7, 7)).running_sums((noun, verb), [targets[1], targets[0]])
    assert [float(x) for x in sums] == [100.0, 100.0]


def evaluation(labels, *heads):
    decoded = torch.ones(len(labels), dtype=torch.bool)
    return Evaluation(heads, torch.tensor(labels), decoded, {})


def test_five_pairs_are_named_and_the_head():
    """Class k is taken for the next one; 6 pairs are confused, the first most often."""
    labels = [k for k in range(6) for _ in range(7 - k)]
    scores = torch.eye(7)[[k + 1 for k in labels]]
    names = [[f"c{k}" for k in range(7)]]
    (line,) = SingleLabel((7,)).remarks(evaluation([[k] for k in labels], scores), names)
    counts = [f"c{k} -> c{k + 1} {7 - k} of {7 - k}" for k in range(5)]
    assert line == f"confused most: {', '.join(counts)}"
    right = torch.eye(7)[labels]
    both = evaluation([[k, k] for k in labels], right, scores)
    (line,) = VerbNounTask((7, 7)).remarks(both, names * 2)
    assert line.startswith("confused most (noun): c0 -> c1 7 of 7")


def test_tables_of_two_heads():
    both = evaluation([[0, 1], [0, 0], [1, 0]], torch.eye(2)[[0, 1, 1]], torch.eye(2)[[1, 0, 1]])
    tables = VerbNounTask((2, 2)).tables(both, [("a", "b"), ("c", "d")])
    found = {name: list(rows) for name, rows in tables}
    assert found["verb_confusion.csv"] == [
        ["label \\ predicted", "a", "b"],
        ["a", 1, 1],
        ["b", 0, 1],
    ]
    assert found["noun_confusion.csv"] == [
        ["label \\ predicted", "c", "d"],
        ["c", 1, 1],
        ["d", 0, 1],
    ]
    assert found["verb_per_class.csv"][1:] == [(0, "a", 2, 1, "50.00"), (1, "b", 1, 1, "100.00")]
    assert found["noun_per_class.csv"][0] == ("class", "name", "videos", "right", "accuracy")


def test_weights_of_classes_with_one_video():
    assert inverse_frequency([1, 0, 3]).tolist() == pytest.approx([2.0, 0.0, 2 / 3])


def test_labels_of_several_videos():
    assert MultiLabel((4,)).labels([(0, 3), (), (2,)]).tolist() == [
        [1, 0, 0, 1],
        [0] * 4,
        [0, 0, 1, 0],
    ]
    assert MultiLabel((4,)).by_head((1, 2)) == ((1, 2),)
    assert SingleLabel((4,)).labels([(3,), (0,)]).tolist() == [[3], [0]]
    assert VerbNounTask((4, 4)).by_head((1, 2)) == ((1,), (2,))
