"""A fifth of every class, reproducible, sources kept together."""

from collections import Counter

import numpy as np
import pytest

from slowfast_ext.data.annotations.class_folders import read_tree
from slowfast_ext.errors import DataError
from slowfast_ext.finetune.clips import Clip, read_clips
from slowfast_ext.finetune.split import require_classes, straddling_groups, with_split


def clip(number, label, split="", group=""):
    return Clip(f"/videos/{label}/{number}.mp4", label, "", split, group)


def counts(clips, split):
    return Counter(c.label for c in clips if c.split == split)


def test_a_fifth_of_each_class_wherever_the_tree_lies():
    sizes = {"a": 20, "b": 7, "c": 2}
    clips = [clip(n, label) for label, size in sizes.items() for n in range(size)]
    chosen = with_split(clips)
    assert counts(chosen, "val") == {"a": 4, "b": 1, "c": 1}
    moved = with_split([Clip(f"/elsewhere{c.path}", c.label, "") for c in reversed(clips)])
    assert {c.path for c in moved if c.split == "val"} == {
        f"/elsewhere{c.path}" for c in chosen if c.split == "val"
    }


def test_without_groups_it_is_the_split_of_class_folders(tmp_path):
    for label, size in (("a", 11), ("b", 4)):
        (tmp_path / label).mkdir()
        for n in range(size):
            (tmp_path / label / f"{n}.mp4").touch()
    chosen = {c.path: c.split for c in with_split(read_clips(tmp_path))}
    assert chosen == {str(tmp_path / c.path): c.split for c in read_tree(str(tmp_path))}


@pytest.mark.parametrize("seed", range(20))
def test_groups_stay_together_and_no_class_loses_its_training_videos(seed):
    rng = np.random.default_rng(seed)
    clips = [
        clip(n, label, group=f"g{rng.integers(8)}")
        for label in "abcd"
        for n in range(rng.integers(2, 20))
    ]
    chosen = with_split(clips)
    assert not straddling_groups(chosen)
    assert len({c.label for c in chosen if c.split == "train"}) == 4
    groups = {label: {c.group for c in clips if c.label == label} for label in "abcd"}
    validated = counts(chosen, "val")
    assert all(validated[label] for label in "abcd" if len(groups[label]) > 2)
    assert sum(validated.values()) <= 0.5 * len(clips)


def test_a_class_from_one_source_is_not_validated():
    clips = [clip(n, "a", group=f"g{n}") for n in range(5)] + [
        clip(n, "b", group="only") for n in range(5)
    ]
    assert counts(with_split(clips), "val") == {"a": 1}


def test_given_splits_stay_and_the_rest_is_parted():
    clips = [clip(0, "a", "test"), clip(1, "a", "val"), *(clip(n, "a") for n in range(2, 12))]
    chosen = with_split(clips)
    assert [c.split for c in chosen[:2]] == ["test", "val"]
    assert counts(chosen, "val") == {"a": 2}


def test_groups_on_both_sides_are_named():
    clips = [clip(0, "a", "train", "g"), clip(1, "a", "val", "g"), clip(2, "a", "val", "h")]
    assert straddling_groups(clips) == ["g"]


@pytest.mark.parametrize(
    ("clips", "complaint"),
    [
        ([clip(0, "a"), clip(1, "a")], "only one class"),
        ([clip(0, "a"), clip(0, "b"), clip(1, "b")], "class a with a single video"),
        ([clip(0, "a"), clip(0, "b")], "classes a, b with a single video"),
    ],
)
def test_classes_that_cannot_be_learnt(clips, complaint):
    with pytest.raises(DataError, match=complaint):
        require_classes(clips)


@pytest.mark.parametrize(
    ("splits", "complaint"),
    [
        ("tttt", "to validate with"),
        ("vvvv", "to train with"),
        ("ttvv", "class b without a training"),
    ],
)
def test_splits_that_leave_nothing(splits, complaint):
    words = {"t": "train", "v": "val"}
    clips = [clip(n, "aabb"[n], words[word]) for n, word in enumerate(splits)]
    with pytest.raises(DataError, match=complaint):
        with_split(clips)
