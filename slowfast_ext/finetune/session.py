"""From a folder of videos to a run that is ready to start; every step says what it found and what follows from it."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from yacs.config import CfgNode

from slowfast_ext.config import load_config
from slowfast_ext.data.annotations.media import some
from slowfast_ext.data.curation import health
from slowfast_ext.data.decode.source import DecodeOptions, VideoSource
from slowfast_ext.data.records import VideoRecord
from slowfast_ext.engine.checks import CHECKS
from slowfast_ext.engine.distributed import pick_device
from slowfast_ext.engine.log import prepare_output
from slowfast_ext.errors import DataError
from slowfast_ext.finetune.clips import Clip, class_names, empty_folders, read_clips
from slowfast_ext.finetune.cost import Cost, measure
from slowfast_ext.finetune.folder import RunFolder
from slowfast_ext.finetune.recipe import (
    LAST_BLOCKS,
    Choice,
    Material,
    Wishes,
    base_settings,
    choose,
    timing,
    trained_part,
    training,
)
from slowfast_ext.finetune.split import require_classes, straddling_groups, with_split
from slowfast_ext.finetune.start import (
    Settings,
    Start,
    find_start,
    frozen_patterns,
    loading,
    with_head,
)

Say = Callable[[str], None]
Verdicts = dict[str, health.Verdict]
Watch = Callable[[Iterable[health.Found], int], Iterable[health.Found]]
"""Passes on what is found of each of so many files, perhaps with a progress bar."""

_FREE_BLOCKS = {"head": 0, "last": LAST_BLOCKS}


@dataclass(frozen=True)
class Request:
    """What a command asks for; the same request goes on where it was interrupted."""

    source: str
    weights: str = ""
    model: str = ""
    trained: str = "auto"
    epochs: int = 0
    minutes: float = 0.0
    pairs: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """Plain values, with the names of the command's options."""
        return {
            "source": os.path.abspath(self.source),
            "from": os.path.abspath(self.weights) if self.weights else "",
            "model": self.model,
            "train": self.trained,
            "epochs": self.epochs,
            "minutes": self.minutes,
            "settings": list(self.pairs),
        }


def prepare(request: Request, folder: RunFolder, workers: int, say: Say, watch: Watch) -> CfgNode:
    """The configuration of the run in `folder`, which goes on where it was begun.

    Raises DataError, ConfigError or CheckpointError for what cannot be trained, before anything is trained.
    """
    if folder.is_begun(request.as_dict()):
        say(f"goes on: {folder.path}, with the split and the recipe that it has")
        _say_new_videos(request, folder, say)
        return load_config([folder.config], (), CHECKS)
    start = find_start(request.weights, request.model)
    clips = read_clips(Path(request.source))
    require_classes(clips)
    prepare_output(folder.path)
    say(f"videos: {request.source}: {len(clips)} of {len(class_names(clips))} classes")
    _say_empty_folders(request, say)
    clips, verdicts = _checked(clips, folder, workers, say, watch)
    require_classes(clips)
    was_given = all(clip.split for clip in clips)
    clips = with_split(clips)
    classes = class_names(clips)
    folder.write_split(clips, classes)
    _say_split(clips, was_given, folder, say)
    material = Material.of(clips, [verdicts[clip.path] for clip in clips])
    cfg, cost = _recipe(request, folder, material, with_head(start, classes), say)
    say(
        f"time: about {cost.minutes:.0f} min on {cost.device} as busy as it is now, {cost.mebibytes:.0f} MiB of memory"
    )
    folder.begin(request.as_dict(), cfg.dump())
    return cfg


def _say_new_videos(request: Request, folder: RunFolder, say: Say) -> None:
    """Videos that came after the split are not trained on: that is to be known."""
    known = {clip.path for clip in read_clips(folder.split)}
    new = [clip.path for clip in read_clips(Path(request.source)) if clip.path not in known]
    if new:
        say(f"  not in {folder.split}, left out: {some(new)}")


def _say_empty_folders(request: Request, say: Say) -> None:
    empty = empty_folders(Path(request.source))
    if empty:
        say(f"  folders without a video, left out: {some(empty, 10)}")


def _checked(
    clips: Sequence[Clip], folder: RunFolder, workers: int, say: Say, watch: Watch
) -> tuple[list[Clip], Verdicts]:
    """The clips that can be read, after each file was decoded to its end."""
    records = [VideoRecord(clip.path, (0,), clip.location) for clip in clips]
    source = partial(VideoSource, DecodeOptions(), (str(folder.data),), "")
    jobs = health.inspect_all(records, source, str(folder.data / "verdicts.jsonl"), workers)
    found = list(watch(jobs, len(records)))
    report = folder.data / "check.tsv"
    health.write_report(found, str(report))
    verdicts = {record.path: verdict for record, verdict in found}
    usable = [clip for clip in clips if verdicts[clip.path].verdict in health.USABLE]
    say(f"checked: {len(usable)} of {len(clips)} can be read: {report}")
    for clip in clips:
        verdict = verdicts[clip.path]
        if verdict.verdict != health.OK:
            left_out = "" if verdict.verdict in health.USABLE else ", left out"
            say(f"  {verdict.verdict}{left_out}: {clip.path}: {verdict.detail}")
    if not usable:
        raise DataError(f"none of the {len(clips)} videos can be read: see {report}")
    lost = {clip.label for clip in clips} - {clip.label for clip in usable}
    if lost:
        raise DataError(
            f"no video of {some(sorted(lost), 10)} can be read: mend the files or take the class out; see {report}"
        )
    return usable, verdicts


def _say_split(clips: Sequence[Clip], was_given: bool, folder: RunFolder, say: Say) -> None:
    splits = [split for split in ("train", "val", "test") if any(c.split == split for c in clips)]
    counts = Counter((clip.label, clip.split) for clip in clips)
    classes = class_names(clips)
    width = max(map(len, classes), default=0) + 2
    grouped = any(clip.group for clip in clips)
    how = "as given" if was_given else "a fifth of each class validates"
    how += ", groups stay together" if grouped and not was_given else ""
    say(f"split: {how}: {folder.split}")
    say("  " + "class".ljust(width) + "".join(split.rjust(7) for split in splits))
    for name in classes:
        say(
            "  "
            + name.ljust(width)
            + "".join(str(counts[name, split]).rjust(7) for split in splits)
        )
    without = [name for name in classes if not counts[name, "val"]]
    if without:
        say(f"  no video to validate with: {some(without, 10)}")
    straddling = straddling_groups(clips)
    if straddling:
        say(
            f"  groups on both sides of the split: {some(straddling)}; the accuracy will look better than it is"
        )


def _recipe(
    request: Request, folder: RunFolder, material: Material, start: Start, say: Say
) -> tuple[CfgNode, Cost]:
    """Choose the settings, write them, measure them, and fit the epochs into the minutes if these are given."""
    wishes = Wishes(request.trained, request.epochs, pick_device().type == "cuda")
    base = base_settings(start)
    choices = [*choose(material, start, wishes), _data(folder, material)]
    part, why = trained_part(material, start, wishes)
    heading = f"slowfast-ext finetune {request.source}: {start.words}"
    cfg = _merged(folder, base, choices, heading, request.pairs)
    frozen = frozen_patterns(cfg, _FREE_BLOCKS[part]) if part in _FREE_BLOCKS else ()
    choices += [training(part, why, start, frozen), Choice("", "", loading(start, cfg))]
    cfg = _merged(folder, base, choices, heading, request.pairs)
    say(f"start: {start.words}")
    say(f"recipe: {folder.recipe}")
    for choice in choices:
        if choice.what:
            say(f"  {choice.what} ({choice.why})")
    if request.pairs:
        say(f"  as asked for: {' '.join(request.pairs)}")
    cost = measure(cfg)
    if request.minutes:
        epochs = cost.epochs_in(request.minutes)
        say(f"  {epochs} epochs fit into {request.minutes:g} min")
        choices.append(
            Choice(f"{epochs} epochs", f"fit into {request.minutes:g} min", timing(epochs))
        )
        cfg = _merged(folder, base, choices, heading, request.pairs)
        cost = Cost(**{**asdict(cost), "epochs": cfg.SOLVER.MAX_EPOCH})
    return cfg, cost


def _data(folder: RunFolder, material: Material) -> Choice:
    """Where the lists are, and the number of classes: facts, not choices."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    settings: Settings = {
        "TRAIN.DATASET": "manifest",
        "TEST.DATASET": "manifest",
        "DATA.PATH_TO_DATA_DIR": os.path.abspath(folder.data),
        "MODEL.NUM_CLASSES": len(material.classes),
        "OUTPUT_DIR": os.path.abspath(folder.path),
        "DATA_LOADER.NUM_WORKERS": max(1, min(8, cores - 1)),
    }
    return Choice("", "", settings)


def _merged(
    folder: RunFolder,
    base: Mapping[str, object],
    choices: Sequence[Choice],
    heading: str,
    pairs: Sequence[str],
) -> CfgNode:
    """The tree of recipe.yaml, which is written, and the pairs of the command line over it."""
    folder.write_recipe(dict(base), choices, heading)
    return load_config([folder.recipe], pairs, CHECKS)
