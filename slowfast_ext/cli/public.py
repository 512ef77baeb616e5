"""The test of public weights: what a file is taken for, and the configuration that follows."""

from collections.abc import Sequence
from pathlib import Path

import torch
from yacs.config import CfgNode

from slowfast_ext.config import load_config, options_of
from slowfast_ext.data.annotations import DATASETS, read_unchecked
from slowfast_ext.data.records import VideoSet
from slowfast_ext.engine.checks import CHECKS
from slowfast_ext.engine.log import CONFIG_FILE, prepare_output
from slowfast_ext.engine.setup import clip_in_words
from slowfast_ext.errors import CheckpointError, ConfigError
from slowfast_ext.files import read_weights, write_atomically
from slowfast_ext.hub import ZOO, list_models, matching_models
from slowfast_ext.models import build_model
from slowfast_ext.models.weights import (
    LoadOptions,
    State,
    class_order,
    fit_weights,
    head_classes,
    unwrap,
)
from slowfast_ext.models.weights.base import recognise
from slowfast_ext.models.weights.classes import class_rows, same_order
from slowfast_ext.registry import unknown_name
from slowfast_ext.released.find import find_weights

_KEY = "TRAIN.CHECKPOINT_CLASSES"


def configured(
    files: Sequence[str], model: str, data: str, root: str, pairs: Sequence[str]
) -> tuple[CfgNode, list[str]]:
    """The checked configuration of a test of weights on a data set, `pairs` over it; and what was concluded, in lines.

    Raises CheckpointError for weights that fit no model, several models or other classes, ConfigError for names.
    """
    if data not in DATASETS:
        raise ConfigError(f"--data {data}: {unknown_name(data, DATASETS.names())}")
    files = [str(find_weights(file)) for file in files]
    state = _read(files)
    try:
        family = recognise(state)
    except CheckpointError as error:
        raise CheckpointError(f"{files[0]}: {error}") from error
    name = model or _recognised(state, files[0])
    own = ["DATA.PATH_TO_DATA_DIR", root, "TRAIN.DATASET", data, "TEST.DATASET", data, "NUM_GPUS", "-1"]  # fmt: skip
    own += ["OUTPUT_DIR", f"output/test_{Path(name).stem}_{data}"]
    if data == "kinetics":  # videos vanish from YouTube; what is there is counted and printed
        own += ["DATA.ALLOW_MISSING", "0.2"]
    first = load_config(_file(name), [*own, *pairs])
    classes, settings = _classes(state, first, files[0])
    weights = files[0] if len(files) == 1 else f"{first.OUTPUT_DIR}/weights.pth"
    own += ["TEST.CHECKPOINT_FILE_PATH", weights, *settings]
    cfg = load_config(_file(name), [*own, *pairs], CHECKS)
    _require_fit(state, cfg, files[0])
    if len(files) > 1:  # an encoder and its probe
        prepare_output(cfg.OUTPUT_DIR)
        torch.save(state, weights)
    how = "as --model says" if model else "recognised"
    taken = f"{' and '.join(files)}: {name} ({how}), names of {family}"
    return cfg, [taken, *_input(cfg), classes]


def saved(cfg: CfgNode) -> str:
    """Path of a file with the configuration, in its OUTPUT_DIR."""
    path = prepare_output(cfg.OUTPUT_DIR) / CONFIG_FILE
    write_atomically(path, lambda part: Path(part).write_text(cfg.dump(), encoding="utf-8"))
    return str(path)


def _read(files: Sequence[str]) -> State:
    parts = [read_weights(file) for file in files]
    for file, part in zip(files, parts, strict=True):
        if isinstance(part.get("cfg"), str):
            raise CheckpointError(
                f"{file}: was trained here; test it with --cfg OUTPUT_DIR/config.yaml"
            )
    return unwrap({key: value for part in parts for key, value in part.items()})


def _file(name: str) -> Path:
    if Path(name).suffix in (".yaml", ".yml"):
        return Path(name)
    if name not in list_models():
        raise ConfigError(f"--model {name}: {unknown_name(name, list_models())}")
    return ZOO / f"{name}.yaml"


def _recognised(state: State, file: str) -> str:
    names = matching_models(state)
    if not names:
        raise CheckpointError(
            f"{file}: has tensors of {recognise(state)}, but fits no model that is known here; write its sizes into a YAML "
            "file and give --model FILE.yaml"
        )
    _head(state, load_config(_file(names[0])), file)
    if len(names) > 1:
        raise CheckpointError(f"{file}: fits {', '.join(names)}; say which with --model NAME")
    return names[0]


def _head(state: State, cfg: CfgNode, file: str) -> tuple[tuple[int, ...], str]:
    with torch.device("meta"):
        counts, order = head_classes(state, build_model(cfg))
    if not counts:
        raise CheckpointError(
            f"{file}: has no classifier, only a backbone: finetune it (slowfast-ext finetune), or name the file of its "
            "probe too"
        )
    return counts, order


def _classes(state: State, cfg: CfgNode, file: str) -> tuple[str, list[str]]:
    """How the classes of the file become those of the data, in words and as settings. Raises CheckpointError."""
    counts, order = _head(state, cfg, file)
    if len(counts) > 1:
        return f"classes: {' and '.join(map(str, counts))}", ["MODEL.NUM_CLASSES", str([*counts])]
    videos = read_unchecked(cfg, "test")
    names = videos.class_names[0] if videos.class_names else ()
    named = options_of(cfg, LoadOptions).classes
    if named:
        count = len(class_order(named[1])) if len(named) > 1 else len(names) or counts[0]
        return f"classes: {' -> '.join(named)} ({_KEY})", ["MODEL.NUM_CLASSES", str(count)]
    count = len(names) or 1 + max((label for video in videos for label in video.labels), default=0)
    if order == "k710" and count < counts[0]:
        return _rows_of_k710(names, count, videos, file)
    if names and count != counts[0]:
        raise CheckpointError(
            f"{file}: its head has {counts[0]} classes, {videos.name} has {count}: train a new head"
        )
    words = f"classes: {counts[0]}, in the order {order or 'of the data'}"
    if order and names:
        _require_order(order, names, file)
        words += ", as the data's names"
    elif order:
        words += "; the data's have no names, their order is not checked"
    return words, ["MODEL.NUM_CLASSES", str(counts[0])]


def _rows_of_k710(
    names: Sequence[str], count: int, videos: VideoSet, file: str
) -> tuple[str, list[str]]:
    if not names:
        raise CheckpointError(
            f"{file}: its head has the 710 classes of Kinetics-710, {videos.name} has {count} without names: put a "
            f"classes.txt beside the lists, or name their order, e.g. {_KEY} '[k710, k400]' (alphabetical), "
            "'[k710, k400_uniformer]', '[k710, k600]', '[k710, k700]'"
        )
    class_rows(class_order("k710"), names)
    words = f"classes: {count} of the 710 of its Kinetics-710 head, by the names of the data"
    return f"{words} ({_KEY} [k710])", ["MODEL.NUM_CLASSES", str(count), _KEY, "[k710]"]


def _require_order(order: str, names: Sequence[str], file: str) -> None:
    """Where the file's order is known and the data's classes have names, they are the same."""
    if same_order(class_order(order), names):
        return
    try:
        class_rows(class_order(order), names)
    except CheckpointError as error:
        raise CheckpointError(
            f"{file}: its {len(names)} classes ({order}) are not the data's: {error}"
        ) from error
    raise CheckpointError(
        f"{file}: its classes are in the order {order}, the data's in another; set {_KEY} '[{order}]'"
    )


def _require_fit(state: State, cfg: CfgNode, file: str) -> None:
    """The weights fit before anything is written; what the test's own load allows is allowed."""
    options = options_of(cfg, LoadOptions)
    if options.classes:  # the data's names belong to the load
        options = LoadOptions(options.source, options.inflate, (*options.changed, "head"))
    with torch.device("meta"):
        model = build_model(cfg)
    try:
        fit_weights(state, model, options)
    except CheckpointError as error:
        raise CheckpointError(f"{file}: {error}") from error


def _input(cfg: CfgNode) -> list[str]:
    """The input that a model wants, in lines."""
    data, test = cfg.DATA, cfg.TEST
    mean, std = (" ".join(f"{value:g}" for value in values) for values in (data.MEAN, data.STD))
    return [
        clip_in_words(cfg),
        f"pixels: {data.TEST_CROP_SIZE}, mean {mean}, std {std}",
        f"views: {test.NUM_ENSEMBLE_VIEWS} clips x {test.NUM_SPATIAL_CROPS} crops, {test.ENSEMBLE} averaged",
    ]
