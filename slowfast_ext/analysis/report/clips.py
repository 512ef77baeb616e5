"""Which videos a page shows: best, worst, most confident mistakes, and what is behind the worst confusions."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest

import numpy as np

from slowfast_ext.analysis.report.predictions import Predictions
from slowfast_ext.analysis.report.runs import Run

SHOWN = 18
MOST_FILMS = 800
_OF_A_CLASS = 3


def galleries(head: Predictions) -> dict[str, list[int]]:
    """Numbers of the videos of each gallery, most telling first, at most three of a class."""
    right_M, decoded_M = head.right, head.decoded_M
    wrong, hits = np.flatnonzero(decoded_M & ~right_M), np.flatnonzero(right_M)
    top_M = head.prob_M5[:, 0]
    margin_M = head.prob_M5[:, 0] - head.prob_M5[:, min(1, head.prob_M5.shape[1] - 1)]
    seen = np.flatnonzero(decoded_M)
    return {
        "confident": _varied(head, wrong[np.argsort(-top_M[wrong], kind="stable")]),
        "worst": _varied(head, wrong[np.lexsort((-head.rank_M[wrong], head.true_M[wrong]))]),
        "best": _varied(head, hits[np.argsort(-head.true_M[hits], kind="stable")]),
        "unsure": _varied(head, seen[np.argsort(margin_M[seen], kind="stable")]),
    }


def _varied(head: Predictions, order: Iterable[int]) -> list[int]:
    """The first of an order, few of each class."""
    taken: Counter[tuple[int, ...]] = Counter()
    found: list[int] = []
    for video in map(int, order):
        labels = head.label_lists[video]
        if taken[labels] < _OF_A_CLASS:
            taken[labels] += 1
            found.append(video)
        if len(found) == SHOWN:
            break
    return found


def worst_pairs(head: Predictions, count: int = 30) -> list[tuple[int, int, int]]:
    """(class, taken for, videos) of the most frequent confusions; none where a video has several labels."""
    if head.multi_label:
        return []
    pairs = Counter(
        (labels[0], int(best))
        for labels, best, decoded in zip(
            head.label_lists, head.best_M5[:, 0], head.decoded_M, strict=True
        )
        if decoded and labels[0] != best
    )
    return [(own, other, times) for (own, other), times in pairs.most_common(count)]


def to_show(runs: Sequence[Run], most: int) -> list[tuple[int, int]]:
    """(run, video) of at most `most` films a run and MOST_FILMS in all, the most telling first, the runs by turns."""
    most = min(most * len(runs), MOST_FILMS)
    turns = zip_longest(*(_of_run(number, run) for number, run in enumerate(runs)))
    chosen: dict[object, tuple[int, int]] = {}
    for pick in (pick for turn in turns for pick in turn if pick is not None):
        if len(chosen) >= most:
            break
        number, video = pick
        chosen.setdefault(runs[number].videos[video], pick)
    return list(chosen.values())


def _of_run(number: int, run: Run) -> Iterator[tuple[int, int]]:
    for video in _in_order(run):
        yield number, video


def _in_order(run: Run) -> Iterator[int]:
    shown = [galleries(head) for head in run.heads]
    lists = [own[name] for name in ("confident", "worst", "best", "unsure") for own in shown]
    for row in zip_longest(*lists):
        yield from (video for video in row if video is not None)
    for head in run.heads:
        cells = {(own, other): 2 for own, other, _ in worst_pairs(head)}
        wrong = np.flatnonzero(head.decoded_M & ~head.right).tolist()
        for video in wrong:
            cell = (
                head.label_lists[video][0] if head.label_lists[video] else -1,
                int(head.best_M5[video, 0]),
            )
            if cells.get(cell, 0):
                cells[cell] -= 1
                yield video
        yield from wrong
    yield from (
        video for head in run.heads[:1] for video in np.flatnonzero(head.decoded_M).tolist()
    )
