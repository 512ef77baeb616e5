"""What a split is made of: videos a class, lengths, frame rates, sizes; as lines and as a picture."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from slowfast_ext.data.curation.health import USABLE, Found
from slowfast_ext.data.records import VideoSet
from slowfast_ext.tasks import Task

Counts = list[tuple[str, int]]

NAMED_CLASSES = 30


@dataclass(frozen=True)
class Stats:
    """Facts of the readable videos of a split; `classes` of all that are listed, one list a head."""

    split: str
    num_listed: int
    classes: tuple[Counts, ...]
    seconds: list[float]
    frames: list[int]
    fps: list[float]
    sizes: Counter[str]
    num_bytes: int


def collect(video_set: VideoSet, task: Task, found: Sequence[Found]) -> Stats:
    """Count over a split's videos and what `inspect_all` found of them."""
    good = [verdict for _, verdict in found if verdict.verdict in USABLE]
    files = {record.path: verdict.num_bytes for record, verdict in found}
    return Stats(
        video_set.split,
        len(video_set),
        _class_counts(video_set, task),
        [verdict.seconds for verdict in good],
        [verdict.num_frames for verdict in good],
        [verdict.fps for verdict in good],
        Counter(f"{verdict.width}x{verdict.height}" for verdict in good),
        sum(files.values()),
    )


def _class_counts(video_set: VideoSet, task: Task) -> tuple[Counts, ...]:
    videos: list[Counter[int]] = [Counter() for _ in task.num_classes]
    for record in video_set:
        for own, labels in zip(videos, task.by_head(record.labels), strict=True):
            own.update(labels)
    return tuple(
        _named(own, video_set.class_names[head : head + 1]) for head, own in enumerate(videos)
    )


def _named(counts: Counter[int], class_names: Sequence[Sequence[str]]) -> Counts:
    names = class_names[0] if class_names else range(max(counts, default=-1) + 1)
    return [(str(name), counts[label]) for label, name in enumerate(names)]


def describe(stats: Stats) -> list[str]:
    """The numbers in words."""
    lines = [
        f"{stats.split}: {stats.num_listed} videos listed, {len(stats.frames)} readable,"
        f" {sum(stats.seconds) / 3600:.3g} hours, {stats.num_bytes / 2**30:.3g} GiB"
    ]
    for head, counts in enumerate(stats.classes):
        most = max(counts, key=lambda item: item[1])
        least = min(counts, key=lambda item: item[1])
        empty = sum(count == 0 for _, count in counts)
        lines.append(
            f"  classes{f' of head {head}' if len(stats.classes) > 1 else ''}: {len(counts)},"
            f" {empty} without videos; most {most[1]} ({most[0]}), fewest {least[1]} ({least[0]})"
        )
    if stats.frames:
        lines.append(f"  seconds: {_range(stats.seconds)}; frames: {_range(stats.frames)}")
        lines.append(f"  frames/s: {_range(stats.fps)}")
        sizes = ", ".join(f"{size} ({count})" for size, count in stats.sizes.most_common(5))
        lines.append(f"  sizes: {len(stats.sizes)} different, most often {sizes}")
    return lines


def _range(values: Sequence[float]) -> str:
    return f"{min(values):.4g} to {max(values):.4g}, median {median(values):.4g}"


def picture(stats: Stats, path: str) -> None:
    """Four panels as a PNG: videos a class (sorted), seconds, frame rates, sizes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7), layout="constrained")
    axes = figure.subplots(2, 2)
    _draw_classes(axes[0, 0], stats.classes)
    axes[0, 1].hist(stats.seconds, bins=40)
    axes[0, 1].set(title="Length", xlabel="s", ylabel="videos")
    axes[1, 0].hist(stats.fps, bins=40)
    axes[1, 0].set(title="Frame rate", xlabel="frames/s", ylabel="videos")
    sizes = stats.sizes.most_common(12)[::-1]
    axes[1, 1].barh([size for size, _ in sizes], [count for _, count in sizes])
    axes[1, 1].set(title="Most frequent sizes [px]", xlabel="videos")
    figure.suptitle(f"{stats.split}: {stats.num_listed} videos")
    figure.savefig(path, dpi=110)


def _draw_classes(axes: Any, classes: Sequence[Counts]) -> None:
    """Videos a class, most first: a bar with its name for a few classes, a line by rank for many."""
    if len(classes) == 1 and len(classes[0]) <= NAMED_CLASSES:
        ordered = sorted(classes[0], key=lambda item: item[1])
        axes.barh([name for name, _ in ordered], [count for _, count in ordered])
        axes.set(title="Videos a class", xlabel="videos")
        axes.tick_params(axis="y", labelsize=7)
        return
    for head, counts in enumerate(classes):
        ordered = sorted(counts, key=lambda item: -item[1])
        axes.step(range(len(ordered)), [n for _, n in ordered], where="mid", label=f"head {head}")
        for rank in (0, len(ordered) - 1):
            axes.annotate(ordered[rank][0], (rank, ordered[rank][1]), fontsize=7)
    if len(classes) > 1:
        axes.legend()
    axes.set(title="Videos a class", xlabel="rank of the class", ylabel="videos", ylim=(0, None))
