"""Models by name and from checkpoints, and their evaluation: what a notebook calls."""

import logging
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import torch
from yacs.config import CfgNode

from slowfast_ext.config import load_config, load_text
from slowfast_ext.data.create import ClipDataset
from slowfast_ext.data.dataset import TestViews
from slowfast_ext.data.loader import EvalLoader, LoaderOptions
from slowfast_ext.engine import evaluate as engine
from slowfast_ext.engine.options import TestOptions
from slowfast_ext.errors import CheckpointError, ConfigError
from slowfast_ext.files import read_weights
from slowfast_ext.models import VideoModel, build_model
from slowfast_ext.models.weights import (
    LoadOptions,
    build_with_weights,
    class_order,
    fit_weights,
    unwrap,
)
from slowfast_ext.models.weights.base import recognise
from slowfast_ext.options import Size
from slowfast_ext.registry import unknown_name
from slowfast_ext.released.find import find_weights
from slowfast_ext.tasks import Metrics

logger = logging.getLogger(__name__)

ZOO = Path(__file__).parent / "configs" / "zoo"
_ANY_CHANGE = ("head", "time", "space", "new", "unused")
_USUAL_CHANGES = ("head", "time", "space", "new")


def list_models(pattern: str = "*") -> list[str]:
    """Names that `create_model` knows, those that match a shell pattern: `list_models("*former*")`."""
    return sorted(path.stem for path in ZOO.glob("*.yaml") if fnmatch(path.stem, pattern))


def model_config(name: str | Path, settings: Mapping[str, Any] | None = None) -> CfgNode:
    """The configuration of a model of the zoo (or of a YAML file), with settings like {"VIT.DEPTH": 2} over it.

    Raises ConfigError for a name that is neither.
    """
    pairs = [str(part) for setting in (settings or {}).items() for part in setting]
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        return load_config(path, pairs)
    if str(name) not in list_models():
        raise ConfigError(f"no model '{name}': {unknown_name(str(name), list_models())}")
    return load_config(ZOO / f"{name}.yaml", pairs)


def create_model(
    name: str | Path,
    num_classes: int | Sequence[int] | None = None,
    weights: str | Path | Sequence[str | Path] | None = None,
    *,
    num_frames: int | None = None,
    img_size: Size | None = None,
    settings: Mapping[str, Any] | None = None,
    inflate: str = "mean",
    allow: Sequence[str] = _USUAL_CHANGES,
    classes: Sequence[str] = (),
) -> VideoModel:
    """A model on the CPU, in training mode, for normalised clips [B, 3, T, H, W].

    `name` is one of `list_models()` or a YAML file; `num_classes` is a number, or two for verb and noun;
    `settings` are further keys of the configuration. `weights` is a checkpoint of any family that the program
    knows, or the name of a published one (slowfast-ext weights; V-JEPA 2: two, encoder and probe): images' kernels are spread over time (`inflate`: mean or centre); what may differ from the model is in
    `allow`: head (classes), time, space, new (parameters that the file lacks), unused (tensors that the model lacks).
    `classes` are the order of the file's classes and that of the model's (TRAIN.CHECKPOINT_CLASSES): ("k710", "k400")
    takes 400 rows of a Kinetics-710 head. What starts anew is reported as a warning. `model.config` holds the configuration.
    Raises ConfigError for an unknown name, CheckpointError for weights of another architecture.
    """
    chosen = {
        "MODEL.NUM_CLASSES": num_classes if isinstance(num_classes, int) else _listed(num_classes),
        "DATA.NUM_FRAMES": num_frames,
        "DATA.TRAIN_CROP_SIZE": img_size if isinstance(img_size, int) else _listed(img_size),
    }
    chosen["DATA.TEST_CROP_SIZE"] = chosen["DATA.TRAIN_CROP_SIZE"]
    given = {key: value for key, value in chosen.items() if value is not None}
    cfg = model_config(name, given | dict(settings or {}))
    if weights is None:
        model = build_model(cfg)
    else:
        model = _load(
            lambda: build_model(cfg),
            _read(weights),
            weights,
            LoadOptions("auto", inflate, tuple(allow), tuple(classes)),
        )
        model.class_names = (class_order(classes[-1]),) if classes else ()
    model.config = cfg
    return model


def matching_models(weights: str | Path | Sequence[str | Path] | Mapping[str, Any]) -> list[str]:
    """Names of the models that a checkpoint fits as it is, else of those that only lack or change its classifier.

    Their configurations say which input it wants (`model_config(name)`: frames, pixels, colours, views). Raises
    CheckpointError for weights of no family that is known here.
    """
    checkpoint = weights if isinstance(weights, Mapping) else _read(weights)
    state = unwrap(checkpoint)
    recognise(state)
    widths = {side for tensor in state.values() for side in tensor.shape}
    changes = {name: _changes(name, checkpoint, widths) for name in list_models()}
    for allowed in (set(), {"new"}, {"head"}):
        found = [name for name, kinds in changes.items() if kinds is not None and kinds <= allowed]
        if found:
            return found
    return []


def _changes(name: str, checkpoint: Mapping[str, Any], widths: set[int]) -> set[str] | None:
    """What differs between a checkpoint and a model of the zoo, without data; None: the architecture."""
    cfg = model_config(name)
    backbone = cfg.MODEL.BACKBONE.upper()
    own = cfg.VIT if backbone == "XVIT" else cfg.get(backbone, cfg.VIT)
    if not widths.issuperset(own.EMBED_DIM if isinstance(own.EMBED_DIM, list) else [own.EMBED_DIM]):
        return None
    with torch.device("meta"):
        model = build_model(cfg)
    try:
        _, report = fit_weights(checkpoint, model, LoadOptions(changed=_ANY_CHANGE))
    except (CheckpointError, RuntimeError, KeyError, ValueError):
        return None
    classifier = all(part.startswith(("head.", "backbone.fc_norm.")) for part in report.new)
    return set(report.changes()) if classifier else None


def load_model(checkpoint: str | Path, device: str | torch.device = "cpu") -> VideoModel:
    """The model of a checkpoint that training here has written, in evaluation mode.

    The file holds its own configuration (`model.config`) and class names (`model.class_names`, one tuple a head); the
    averaged weights are taken where the run has them. Raises CheckpointError for any other file.
    """
    state = read_weights(find_weights(checkpoint))
    if not isinstance(state.get("cfg"), str):
        raise CheckpointError(
            f"{checkpoint}: holds no configuration of ours; for weights of other programs use "
            "create_model(NAME, weights=FILE)"
        )
    cfg = load_text(state["cfg"], str(checkpoint))
    average = state.get("ema_state")
    tensors = average if isinstance(average, Mapping) else state
    model = _load(lambda: build_model(cfg), tensors, checkpoint, LoadOptions())
    model.config = cfg
    model.class_names = tuple(tuple(names) for names in state.get("class_names") or ())
    return model.to(device).eval()


def evaluate(
    model: torch.nn.Module,
    dataset: ClipDataset,
    *,
    view_batch: int = 16,
    num_workers: int = 0,
    device: str | torch.device | None = None,
    precision: str = "fp32",
) -> Metrics:
    """Metrics of a model on a split that `create_dataset` made: top1_acc, ... in percent.

    Scores are averaged over the views that the data set has for each video; a video that cannot be read counts as
    wrong. `view_batch` views are computed at a time, on `device` (where the model is), in fp32, bf16 or fp16.
    Raises ConfigError for a training split, whose clips are random.
    """
    if not isinstance(dataset.clips, TestViews):
        raise ConfigError("evaluate: a training split has random clips; create it with split='val'")
    if device is not None:
        model.to(device)
    videos = max(1, view_batch // dataset.clips.shape[0])
    loader = EvalLoader(
        dataset.clips, dataset.task, videos, options=LoaderOptions(num_workers=num_workers)
    )
    options = TestOptions(view_batch=view_batch, precision=precision)
    found = engine.evaluate(model, loader, dataset.task, pixels=dataset.pixels, options=options)
    return dataset.task.evaluate(found)


def _read(files: str | Path | Sequence[str | Path]) -> Mapping[str, Any]:
    """What is in a file, or in several; each may be a registered name or a link."""
    if isinstance(files, (str, Path)):
        return read_weights(find_weights(files))
    return {key: value for file in files for key, value in _read(file).items()}


def _load(
    build: Callable[[], VideoModel],
    state: Mapping[str, Any],
    path: object,
    options: LoadOptions,
) -> VideoModel:
    try:
        model, report = build_with_weights(build, state, options)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    level = logging.WARNING if report.changes() else logging.INFO
    logger.log(level, "%s: %s", path, report)
    return model


def _listed(values: Sequence[int] | None) -> list[int] | None:
    return None if values is None else list(values)
