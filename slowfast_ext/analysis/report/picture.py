"""One picture of a run: some of its clips, and the curve of its training.

Shapes: T frames, C colours, H W pixels.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from yacs.config import CfgNode

from slowfast_ext.data.dataset import TestViews
from slowfast_ext.data.decode.source import VideoSource
from slowfast_ext.data.records import VideoSet
from slowfast_ext.data.sampling import centre_view
from slowfast_ext.engine.log import read_stats
from slowfast_ext.engine.results import class_names

SHOWN_FRAMES = 5


def draw_run(cfg: CfgNode, videos: VideoSet, num_clips: int = 6) -> Figure:
    """Clips of different classes on the left, accuracy over epochs from OUTPUT_DIR/stats.jsonl on the right."""
    views = TestViews.from_cfg(cfg, videos, centre_view(), VideoSource.from_cfg(cfg))
    names = class_names(videos, 0, cfg.MODEL.NUM_CLASSES)
    figure = Figure(figsize=(10, 0.9 * num_clips + 0.6), layout="constrained")
    both: Any = figure.subfigures(1, 2, width_ratios=[1.2, 1])
    left, right = both
    _draw_clips(left.subplots(num_clips, SHOWN_FRAMES), views, names, num_clips)
    _draw_curve(right.subplots(), cfg.OUTPUT_DIR)
    return figure


def _draw_clips(axes: Any, views: TestViews, names: Sequence[str], num_clips: int) -> None:
    videos = views.videos
    for row, index in zip(axes, _of_different_classes(videos, num_clips), strict=True):
        clip_TCHW = views.clips(index)[0]
        shown = [round(i * (len(clip_TCHW) - 1) / (SHOWN_FRAMES - 1)) for i in range(SHOWN_FRAMES)]
        row[0].set_title(names[videos.records[index].labels[0]], loc="left", fontsize=8, pad=2)
        for axis, frame in zip(row, shown, strict=True):
            axis.imshow(clip_TCHW[frame].permute(1, 2, 0).numpy())
            axis.set_axis_off()


def _of_different_classes(videos: VideoSet, count: int) -> Sequence[int]:
    first = {record.labels[0]: index for index, record in reversed(list(enumerate(videos)))}
    ordered = [first[label] for label in sorted(first)]
    return [ordered[i * len(ordered) // count] for i in range(count)]


def _draw_curve(axis: Axes, output_dir: str | Path) -> None:
    for kind, label in (("train_epoch", "training"), ("val_epoch", "validation")):
        stats = {int(s["epoch"].split("/")[0]): s["top1_acc"] for s in read_stats(output_dir, kind)}
        axis.plot(list(stats), list(stats.values()), marker="o", label=label)
    axis.set(xlabel="epoch", ylabel="top-1, %", ylim=(0, 100))
    axis.grid(alpha=0.3)
    axis.legend()
