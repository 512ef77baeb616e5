"""From folders of runs to the data of a page, and the page."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from slowfast_ext.analysis.page import render
from slowfast_ext.analysis.report.clips import galleries, to_show, worst_pairs
from slowfast_ext.analysis.report.curves import curves
from slowfast_ext.analysis.report.films import Film, decode_options, films
from slowfast_ext.analysis.report.groups import comparison, experiments, run_names
from slowfast_ext.analysis.report.runs import Run, find_runs, read_run
from slowfast_ext.analysis.report.settings import differences
from slowfast_ext.data.records import VideoRecord

TEMPLATE = "report/templates/report.html.j2"
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ReportOptions:
    """What a report shows.

    Attributes:
        base: a YAML file to compare the configurations with; none: the defaults.
        films: most videos of each run whose frames are put into the page.
        videos: where the videos are now, if no longer where the test found them.
        title: heading; empty: the names of the experiments.
    """

    base: Path | None = None
    films: int = 120
    videos: Path | None = None
    title: str = ""


def build_report(
    folders: Sequence[Path],
    options: ReportOptions = ReportOptions(),
    progress: Progress = lambda done, of: None,
) -> str:
    """The page of one or several runs, as text. Raises DataError or ConfigError for what cannot be read."""
    runs = [read_run(folder) for folder in find_runs(folders)]
    groups = experiments(runs)
    title = options.title or " · ".join(group.name for group in groups[:3])
    if not options.title and len(groups) > 3:
        title += f" and {len(groups) - 3} more"
    return render(TEMPLATE, title, _payload(runs, options, progress))


def _payload(runs: Sequence[Run], options: ReportOptions, progress: Progress) -> dict[str, Any]:
    groups = experiments(runs)
    names = run_names(runs, groups)
    lists, list_of = _video_lists(runs)
    made, places, failed = _films(runs, options, progress)
    return {
        "runs": [
            {**_run(run), "name": name, "videoList": place}
            for run, name, place in zip(runs, names, list_of, strict=True)
        ],
        "videoLists": [_videos(own, places) for own in lists],
        "films": [film.payload() for film in made],
        "filmsFailed": failed,
        "comparison": comparison(runs, groups),
        "settings": differences(runs, options.base),
    }


def _run(run: Run) -> dict[str, Any]:
    return {
        "folder": str(run.folder),
        "seed": run.settings.get("RNG_SEED"),
        "metrics": dict(run.metrics),
        "protocol": {key: run.protocol.get(key) for key in ("videos", "evaluated", "views")},
        "clip": {
            key: run.settings.get(f"DATA.{key}")
            for key in ("NUM_FRAMES", "SAMPLING_RATE", "SAMPLING")
        },
        "views": [
            run.settings.get(f"TEST.{key}") for key in ("NUM_ENSEMBLE_VIEWS", "NUM_SPATIAL_CROPS")
        ],
        "model": run.settings.get("MODEL.BACKBONE"),
        "curves": curves(run.stats),
        "heads": [
            {**head.payload(), "galleries": galleries(head), "pairs": worst_pairs(head)}
            for head in run.heads
        ],
        "unreadable": [list(row) for row in run.unreadable],
        "notes": list(run.notes),
    }


def _video_lists(runs: Sequence[Run]) -> tuple[list[Sequence[VideoRecord]], list[int]]:
    """The different lists of videos, and which one each run was tested on."""
    found: dict[tuple[VideoRecord, ...], int] = {}
    list_of = [found.setdefault(tuple(run.videos), len(found)) for run in runs]
    return list(found), list_of


def _videos(records: Sequence[VideoRecord], places: dict[VideoRecord, int]) -> dict[str, Any]:
    paths = [record.path for record in records]
    folder = os.path.commonpath([os.path.dirname(path) for path in paths]) if paths else ""
    shown = np.array([places.get(record, -1) for record in records], dtype=np.int32)
    return {
        "root": folder,
        "paths": [os.path.relpath(path, folder) if folder else path for path in paths],
        "film": shown,
    }


def _films(
    runs: Sequence[Run], options: ReportOptions, progress: Progress
) -> tuple[list[Film], dict[VideoRecord, int], int]:
    """The films, the number of each video's, and how many videos could not be read."""
    picks = to_show(runs, options.films)
    made: list[Film] = []
    places: dict[VideoRecord, int] = {}
    for number, run in enumerate(runs):
        records = [run.videos[video] for owner, video in picks if owner == number]
        for record, film in films(records, decode_options(run.folder), options.videos):
            if film:
                places[record] = len(made)
                made.append(film)
            progress(len(made), len(picks))
    return made, places, len(picks) - len(made)
