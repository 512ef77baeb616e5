"""Weights -> a model that knows its configuration and the names of its classes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from slowfast_ext.engine.checkpoint import FOLDER, CheckpointStore
from slowfast_ext.errors import CheckpointError, ConfigError
from slowfast_ext.files import read_weights
from slowfast_ext.hub import create_model, load_model, model_config
from slowfast_ext.models import VideoModel, build_model
from slowfast_ext.models.weights import class_order, head_classes, unwrap
from slowfast_ext.predict.prediction import Classes
from slowfast_ext.released.find import find_weights
from slowfast_ext.tasks import build_task

Names = tuple[tuple[str, ...], ...]


def model_of(
    weights: str | Path,
    name: str | Path = "",
    classes: Sequence[str | Path | Sequence[str]] = (),
    settings: Mapping[str, Any] | None = None,
) -> VideoModel:
    """The model of a checkpoint of ours, or, with the `name` of a model of the zoo, of weights of any known family.

    `weights` may be the OUTPUT_DIR of a run: its newest checkpoint. `classes` are for each head the names, a file with one
    a line, or a published order (k400); without them they are the checkpoint's own, or those of published heads.
    `settings` like {"DATA.NUM_FRAMES": 32} belong to `name`. Raises CheckpointError, ConfigError.
    """
    path = checkpoint_in(weights)
    if name:
        model = _public(path, name, dict(settings or {}))
    elif settings:
        raise ConfigError("settings need the name of a model; a checkpoint has its own")
    else:
        model = _ours(path)
    if classes:
        model.class_names = tuple(map(_names, classes))
    Classes.of(build_task(model.config), model.class_names)
    return model


def checkpoint_in(weights: str | Path) -> Path:
    """The file itself; of a run's folder the newest checkpoint, which is also what is tested. Raises CheckpointError."""
    path = find_weights(weights)
    if not path.is_dir():
        return path
    found = CheckpointStore(path.parent if path.name == FOLDER else path, 0).newest_first()
    if not found:
        raise CheckpointError(f"{path}: a folder without checkpoints; name a file of weights")
    return found[0]


def _ours(path: Path) -> VideoModel:
    state = read_weights(path)
    if not isinstance(state.get("cfg"), str):
        raise CheckpointError(
            f"{path}: holds no configuration of ours; name its model too (--model NAME, see "
            "slowfast_ext.list_models()), or give a checkpoint that was trained here"
        )
    return load_model(path)


def _public(path: Path, name: str | Path, settings: dict[str, Any]) -> VideoModel:
    """Nothing of it may start anew: the head has the classes that the file has."""
    state = unwrap(read_weights(path))
    cfg = model_config(name, settings)
    counts, order = head_classes(state, build_model(cfg))
    if not counts:
        raise CheckpointError(f"{path}: has no classifier, only a backbone; train one on it")
    settings["MODEL.NUM_CLASSES"] = counts[0] if len(counts) == 1 else list(counts)
    try:
        model = create_model(name, weights=path, settings=settings, allow=("time", "space"))
    except CheckpointError as error:
        text = str(error).replace("; allow what is meant in TRAIN.CHECKPOINT_CHANGED", "")
        raise CheckpointError(f"{text}\nit is not a {name}; slowfast_ext.list_models()") from error
    model.class_names = (class_order(order),) if order else ()
    return model


def _names(given: str | Path | Sequence[str]) -> tuple[str, ...]:
    if isinstance(given, (str, Path)):
        return class_order(str(given))
    return tuple(map(str, given))
