"""Weights that a model starts or is tested with: ours, public ones, images'; safely read, fully accounted for."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from slowfast_ext.data.records import VideoSet
from slowfast_ext.errors import CheckpointError
from slowfast_ext.files import read_weights
from slowfast_ext.models import VideoModel
from slowfast_ext.models.weights import LoadOptions, Report, fit_weights, load_weights, unwrap
from slowfast_ext.released.find import find_weights

logger = logging.getLogger(__name__)

ANEW = ("head", "new", "unused")
"""Differences that a training may start with (TRAIN.CHECKPOINT_CHANGED), and that no test can have."""

_ANEW_IN_WORDS = {
    "head": "its head is for other classes",
    "new": "the file lacks",
    "unused": "the model lacks",
}
_SHOWN = 4


def start_weights(name: str, output_dir: str) -> Path:
    """The file of TRAIN.CHECKPOINT_FILE_PATH. Raises CheckpointError saying where it comes from."""
    try:
        path = find_weights(name, output_dir)
        if not path.is_file():
            raise CheckpointError(f"{path}: no such file")
    except CheckpointError as error:
        raise CheckpointError(
            f"the weights to start from: {error}. TRAIN.FROM_SCRATCH True starts from random weights instead"
        ) from error
    return path


def load_initial_weights(model: VideoModel, path: str | Path, options: LoadOptions) -> Report:
    """Weights of a file into the model, with the differences that the options allow."""
    return _load(model, read_weights(path), path, options)


def load_trained_weights(model: VideoModel, path: Path, options: LoadOptions) -> Report:
    """Weights of a run, averaged ones where it has them, with the differences that the options allow."""
    return _load(model, _averaged(read_weights(path)), path, options)


def load_test_weights(
    model: VideoModel, path: Path, options: LoadOptions, videos: VideoSet | None = None
) -> Report:
    """Weights to test, averaged ones where the run has them; class names must be those of the test set, if given.

    Raises CheckpointError where they do not fill the model, whatever the options allow a training to start anew.
    """
    checkpoint = read_weights(path)
    if videos is not None:
        _require_same_classes(checkpoint.get("class_names"), videos, path)
        model.class_names = videos.class_names
    kept = tuple(kind for kind in options.changed if kind not in ANEW)
    try:
        _, report = fit_weights(
            _averaged(checkpoint), model, replace(options, changed=(*kept, *ANEW))
        )
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    anew = {kind: names for kind, names in report.changes().items() if kind in ANEW}
    if anew:
        raise CheckpointError(_not_filled(path, anew, checkpoint, model))
    return _load(model, _averaged(checkpoint), path, replace(options, changed=kept))


def _averaged(checkpoint: Mapping[str, Any]) -> Mapping[str, Any]:
    average = checkpoint.get("ema_state")
    return average if isinstance(average, Mapping) else checkpoint


def _not_filled(
    path: Path, anew: Mapping[str, Sequence[str]], checkpoint: Mapping[str, Any], model: VideoModel
) -> str:
    lines = [f"{path}: does not fill the model, and a test starts nothing anew:"]
    for kind, names in anew.items():
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        lines.append(f"  {_ANEW_IN_WORDS[kind]}: {', '.join(names[:_SHOWN])}{more}")
    if "head" in anew:
        own = unwrap(_averaged(checkpoint))
        counts = [len(x) for name, x in own.items() if "head" in name and x.ndim == 2]
        known = f" {counts[0]}, as the file has" if len(counts) == 1 else " as the file has"
        lines.append(f"set MODEL.NUM_CLASSES to{known}, or train a head for these classes first")
    else:
        lines.append("give the configuration that the weights were trained with, or train first")
    how = "training starts from these weights with TRAIN.CHECKPOINT_FILE_PATH; this test wants those of its end"
    return "\n".join([*lines, how])


def _load(
    model: VideoModel, checkpoint: Mapping[str, Any], path: str | Path, options: LoadOptions
) -> Report:
    try:
        report = load_weights(model, checkpoint, options)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    logger.info("%s: %s", path, report)
    return report


def _require_same_classes(names: Any, videos: VideoSet, path: Path) -> None:
    """The same class order in checkpoint and test set; a silent swap costs all of the accuracy."""
    if not names or not videos.class_names:
        return
    for head, (theirs, ours) in enumerate(zip(names, videos.class_names, strict=False)):
        differing = [
            i for i, pair in enumerate(zip(theirs, ours, strict=False)) if pair[0] != pair[1]
        ]
        if differing or len(theirs) != len(ours):
            first = differing[0] if differing else min(len(theirs), len(ours))
            raise CheckpointError(
                f"{path}: its classes are not those of {videos.name} (head {head}, first difference at class "
                f"{first}); test on the set it was trained on, or train a new head"
            )
