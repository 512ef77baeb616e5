"""Weights that a model starts or is tested with: ours, public ones, images'; safely read, fully accounted for."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slowfast_ext.data.records import VideoSet
from slowfast_ext.errors import CheckpointError
from slowfast_ext.files import read_weights
from slowfast_ext.models import VideoModel
from slowfast_ext.models.weights import LoadOptions, Report, load_weights
from slowfast_ext.released.find import find_weights

logger = logging.getLogger(__name__)


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


def load_test_weights(
    model: VideoModel, path: Path, options: LoadOptions, videos: VideoSet | None = None
) -> Report:
    """Weights to test, averaged ones where the run has them; class names must be those of the test set, if given."""
    checkpoint = read_weights(path)
    if videos is not None:
        _require_same_classes(checkpoint.get("class_names"), videos, path)
        model.class_names = videos.class_names
    average = checkpoint.get("ema_state")
    return _load(model, average if isinstance(average, Mapping) else checkpoint, path, options)


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
