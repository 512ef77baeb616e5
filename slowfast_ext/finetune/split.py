"""Which of one's own videos validate: a fifth of every class, the same on any machine, sources kept together."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from slowfast_ext.data.annotations.class_folders import VAL_PART
from slowfast_ext.data.annotations.media import some
from slowfast_ext.errors import DataError
from slowfast_ext.finetune.clips import Clip

Counts = Counter[str]


def require_classes(clips: Sequence[Clip]) -> None:
    """Two classes of two videos are the least that can be learnt and checked. Raises DataError."""
    sizes = Counter(clip.label for clip in clips)
    if len(sizes) < 2:
        name = next(iter(sizes), "none")
        raise DataError(f"only one class ({name}): a classifier needs two or more")
    small = sorted(name for name, size in sizes.items() if size < 2)
    if small:
        raise DataError(
            f"{_classes(small)} with a single video: one is needed to train and one to validate; "
            "add videos or take the class out"
        )


def with_split(clips: Sequence[Clip]) -> list[Clip]:
    """The clips, each with a split: its own where it has one, else train or val by `validation_groups`.

    Raises DataError where nothing is left to train or to validate with.
    """
    given = {clip.split for clip in clips}
    if "" in given:
        chosen = validation_groups(clips)
        clips = [
            replace(clip, split=clip.split or ("val" if group_of(clip) in chosen else "train"))
            for clip in clips
        ]
    _require_both(clips)
    return list(clips)


def validation_groups(clips: Sequence[Clip]) -> frozenset[str]:
    """Groups without a split that go to validation: those whose names hash lowest, until a fifth of each class is there.

    A group goes as a whole, and only where every class that it holds keeps a training video. A group of which a
    member has a split already is not free to go.
    """
    members: dict[str, list[Clip]] = {}
    for clip in clips:
        members.setdefault(group_of(clip), []).append(clip)
    free = {name: own for name, own in members.items() if not any(clip.split for clip in own)}
    sizes = {name: Counter(clip.label for clip in own) for name, own in free.items()}
    training = Counter(clip.label for clip in clips if clip.split in ("", "train"))
    validation = Counter(clip.label for clip in clips if clip.split == "val")
    wanted = {label: max(round(size / VAL_PART), 1) for label, size in training.items() if size > 1}
    chosen: set[str] = set()
    rarest_first = sorted(
        wanted, key=lambda label: (sum(label in own for own in sizes.values()), label)
    )
    for label in rarest_first:
        while validation[label] < wanted[label]:
            name = _next_group(label, sizes.keys() - chosen, sizes, training, validation, wanted)
            if name is None:
                break
            chosen.add(name)
            validation += sizes[name]
            training -= sizes[name]
    return frozenset(chosen)


def group_of(clip: Clip) -> str:
    """Its group, the video itself where it has none."""
    return clip.group or _short(clip)


def _short(clip: Clip) -> str:
    """Class folder and file: a name that does not change when the whole tree is moved."""
    return "/".join(clip.path.replace("\\", "/").split("/")[-2:])


def _next_group(
    label: str,
    names: set[str],
    sizes: dict[str, Counts],
    training: Counts,
    validation: Counts,
    wanted: dict[str, int],
) -> str | None:
    """The group with this class that takes the fewest videos beyond what is wanted; None where none may go."""

    def beyond(name: str) -> int:
        own = sizes[name].items()
        return sum(max(0, n - max(0, wanted.get(c, 0) - validation[c])) for c, n in own)

    def may_go(name: str) -> bool:
        return all(training[own] > count for own, count in sizes[name].items())

    fitting = [name for name in names if label in sizes[name] and may_go(name)]
    return min(
        fitting,
        key=lambda name: (beyond(name), hashlib.sha1(name.encode()).hexdigest()),
        default=None,
    )


def _require_both(clips: Sequence[Clip]) -> None:
    labels = {clip.label for clip in clips}
    for split, what in (("train", "train"), ("val", "validate")):
        have = {clip.label for clip in clips if clip.split == split}
        if not have:
            raise DataError(
                f"no videos to {what} with: write {split} into the split of some, or leave the column out"
            )
        if split == "train" and labels - have:
            raise DataError(
                f"{_classes(sorted(labels - have))} without a training video: change the split"
            )


def _classes(names: Sequence[str]) -> str:
    return f"class{'es' if len(names) > 1 else ''} {some(names, 10)}"


def straddling_groups(clips: Sequence[Clip]) -> list[str]:
    """Groups that have videos in training and elsewhere, by a split that was given."""
    splits: dict[str, set[str]] = {}
    for clip in clips:
        if clip.group:
            splits.setdefault(clip.group, set()).add(clip.split)
    return sorted(name for name, own in splits.items() if "train" in own and len(own) > 1)
