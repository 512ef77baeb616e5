"""What a test says of every video: the labels, the five best classes, the rank of the true one.

Shapes: M videos, K classes of a head, 5 best classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

TOP = 5
NOT_DECODED = 65535
"""Rank of a video that could not be decoded."""


@dataclass(frozen=True)
class Predictions:
    """One head. Classes of -1 are not known; probabilities lie between 0 and 1.

    `true_M` is the probability of the label (their mean where a video has several), `rank_M` how many classes were
    above it; `single_M` the best class from one view alone, where the test has written that.
    """

    name: str
    class_names: tuple[str, ...]
    label_lists: tuple[tuple[int, ...], ...]
    decoded_M: np.ndarray
    best_M5: np.ndarray
    prob_M5: np.ndarray
    true_M: np.ndarray
    rank_M: np.ndarray
    multi_label: bool
    bins: dict[str, Any]
    class_ap_K: np.ndarray | None = None
    single_M: np.ndarray | None = None

    @property
    def right(self) -> np.ndarray:
        """Whether the best class is a label; never for a video that could not be decoded."""
        return _is_label(self.best_M5[:, 0], self.label_lists) & self.decoded_M

    def payload(self) -> dict[str, Any]:
        """For the page: small integers, probabilities in 1/65535."""
        starts = np.cumsum([0, *map(len, self.label_lists)], dtype=np.uint32)
        labels = np.array([label for own in self.label_lists for label in own], dtype=np.int32)
        return {
            "name": self.name,
            "classes": self.class_names,
            "labelStart": starts,
            "labels": labels.astype(np.uint16),
            "decoded": self.decoded_M.astype(np.uint8),
            "best": self.best_M5.astype(np.uint16).ravel(),
            "probs": _shares(self.prob_M5).ravel(),
            "count": self.best_M5.shape[1],
            "true": _shares(self.true_M),
            "rank": np.minimum(self.rank_M, NOT_DECODED).astype(np.uint16),
            "multiLabel": self.multi_label,
            "calibration": self.bins,
            "classAp": None if self.class_ap_K is None else self.class_ap_K.astype(np.float32),
            "single": None if self.single_M is None else self.single_M.astype(np.uint16),
            "order": None if self.multi_label else similar_beside(self).astype(np.uint16),
        }


def _shares(probs: np.ndarray) -> np.ndarray:
    return (probs.clip(0, 1) * 65535).round().astype(np.uint16)


def from_scores(
    name: str,
    class_names: Sequence[str],
    scores_MK: np.ndarray,
    label_lists: Sequence[tuple[int, ...]],
    decoded_M: np.ndarray,
    multi_label: bool,
    single_MK: np.ndarray | None = None,
) -> Predictions:
    """Predictions from all scores of a head; averaged logits become probabilities."""
    probs_MK = probabilities(scores_MK, decoded_M, multi_label)
    count = min(TOP, probs_MK.shape[1])
    best_M5 = np.argsort(-probs_MK, axis=1, kind="stable")[:, :count]
    prob_M5 = np.take_along_axis(probs_MK, best_M5, axis=1)
    true_M, rank_M = _places(probs_MK, label_lists, decoded_M)
    class_ap_K: np.ndarray | None = None
    if multi_label:
        target_MK = _targets(label_lists, probs_MK.shape[1])
        seen_MK, hit_MK = probs_MK[decoded_M], target_MK[decoded_M]
        bins = calibration(seen_MK.ravel(), hit_MK.ravel())
        class_ap_K = average_precisions(seen_MK, hit_MK)
    else:
        right_M = _is_label(best_M5[:, 0], label_lists)
        bins = calibration(prob_M5[decoded_M, 0], right_M[decoded_M])
    return Predictions(
        name, tuple(class_names), tuple(label_lists), decoded_M, best_M5, prob_M5, true_M, rank_M,
        multi_label, bins, class_ap_K, None if single_MK is None else single_MK.argmax(1),
    )  # fmt: skip


def _places(
    probs_MK: np.ndarray, label_lists: Sequence[tuple[int, ...]], decoded_M: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean probability of each video's labels, and how many classes are above the best of them."""
    true_M, rank_M = np.zeros(len(probs_MK)), np.full(len(probs_MK), NOT_DECODED)
    for row, labels in enumerate(label_lists):
        if labels and decoded_M[row]:
            probs_K = probs_MK[row]
            own = probs_K[list(labels)]
            true_M[row], rank_M[row] = own.mean(), int((probs_K > own.max()).sum())
    return true_M, rank_M


def _is_label(best_M: np.ndarray, label_lists: Sequence[tuple[int, ...]]) -> np.ndarray:
    pairs = zip(best_M.tolist(), label_lists, strict=True)
    return np.array([best in labels for best, labels in pairs], dtype=bool)


def _targets(label_lists: Sequence[tuple[int, ...]], count: int) -> np.ndarray:
    target_MK = np.zeros((len(label_lists), count), dtype=bool)
    for row, labels in enumerate(label_lists):
        target_MK[row, list(labels)] = True
    return target_MK


def from_best(
    name: str,
    class_names: Sequence[str],
    best_M: np.ndarray,
    prob_M: np.ndarray,
    label_lists: Sequence[tuple[int, ...]],
    decoded_M: np.ndarray,
    multi_label: bool,
) -> Predictions:
    """Predictions where only the best class of each video is known (predictions.csv alone)."""
    right_M = _is_label(best_M, label_lists)
    true_M = np.where(right_M & decoded_M, prob_M, 0.0)
    rank_M = np.where(decoded_M, np.where(right_M, 0, 1), NOT_DECODED)
    is_probability = bool(((prob_M >= 0) & (prob_M <= 1)).all())
    bins = calibration(prob_M[decoded_M], right_M[decoded_M]) if is_probability else {}
    return Predictions(
        name, tuple(class_names), tuple(label_lists), decoded_M, best_M[:, None], prob_M[:, None],
        true_M, rank_M, multi_label, bins,
    )  # fmt: skip


def probabilities(
    scores_MK: np.ndarray, decoded_M: np.ndarray, multi_label: bool = False
) -> np.ndarray:
    """Scores as they are where they are probabilities; softmax (sigmoid) where they are averaged logits."""
    scores_MK = np.nan_to_num(scores_MK.astype(np.float32))
    seen_MK = scores_MK[decoded_M]
    in_range = bool(((seen_MK >= 0) & (seen_MK <= 1)).all())
    if in_range and (multi_label or np.allclose(seen_MK.sum(1), 1, atol=0.02)):
        return scores_MK
    if multi_label:
        return 1 / (1 + np.exp(-scores_MK))
    powers_MK = np.exp(scores_MK - scores_MK.max(1, keepdims=True))
    return powers_MK / powers_MK.sum(1, keepdims=True)


def calibration(prob_N: np.ndarray, right_N: np.ndarray, bins: int = 15) -> dict[str, Any]:
    """Reliability: how often predictions of a confidence are right, in bins of equal width.

    `ece` is the expected calibration error: mean distance of confidence and accuracy, by the size of the bins.
    """
    if not len(prob_N):
        return {}
    bin_N = np.minimum((prob_N * bins).astype(int), bins - 1)
    size_B = np.bincount(bin_N, minlength=bins)
    filled_B = np.maximum(size_B, 1)
    confidence_B = np.bincount(bin_N, prob_N, bins) / filled_B
    accuracy_B = np.bincount(bin_N, right_N.astype(float), bins) / filled_B
    gap_B = np.abs(confidence_B - accuracy_B) * size_B
    return {
        "size": size_B.tolist(),
        "confidence": confidence_B.tolist(),
        "accuracy": accuracy_B.tolist(),
        "ece": float(gap_B.sum() / len(prob_N)),
        "meanConfidence": float(prob_N.mean()),
        "meanAccuracy": float(right_N.mean()),
    }


def average_precisions(probs_MK: np.ndarray, target_MK: np.ndarray) -> np.ndarray:
    """Average precision of each class over the videos; NaN for one without a positive."""
    order_MK = np.argsort(-probs_MK, axis=0, kind="stable")
    hit_MK = np.take_along_axis(target_MK, order_MK, axis=0)
    precision_MK = hit_MK.cumsum(0) / np.arange(1, len(hit_MK) + 1)[:, None]
    positives_K = hit_MK.sum(0)
    total_K = (precision_MK * hit_MK).sum(0)
    return np.divide(total_K, positives_K, out=np.full(len(total_K), np.nan), where=positives_K > 0)


def similar_beside(predictions: Predictions) -> np.ndarray:
    """An order of the classes in which those that are taken for each other stand together.

    The second eigenvector of the graph of confusions (Fiedler vector); classes without a confusion come last.
    """
    count = len(predictions.class_names)
    counts_KK = np.zeros((count, count))
    rows = [own[0] if own else -1 for own in predictions.label_lists]
    for row, best, decoded in zip(
        rows, predictions.best_M5[:, 0], predictions.decoded_M, strict=True
    ):
        if decoded and 0 <= row != best:
            counts_KK[row, best] += 1
    weight_KK = counts_KK + counts_KK.T
    degree_K = weight_KK.sum(1)
    linked = np.flatnonzero(degree_K)
    if len(linked) < 3:
        return np.arange(count)
    scale = 1 / np.sqrt(degree_K[linked])
    graph = weight_KK[np.ix_(linked, linked)] + 1e-3 / len(linked)
    laplacian = np.diag(graph.sum(1)) - graph
    vectors = np.linalg.eigh(scale[:, None] * laplacian * scale)[1]
    order = linked[np.argsort(vectors[:, 1] * scale, kind="stable")]
    return np.concatenate([order, np.flatnonzero(degree_K == 0)])
