"""What a training starts from: nothing, a checkpoint of ours, or public weights; and the settings that come with it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from yacs.config import CfgNode

from slowfast_ext.config import load_text
from slowfast_ext.config.explain import changed_keys
from slowfast_ext.data.sampling import SamplingOptions, ViewOptions
from slowfast_ext.data.transforms.device import PixelOptions
from slowfast_ext.data.transforms.resize_crop import CropOptions
from slowfast_ext.engine.checkpoint import CheckpointStore
from slowfast_ext.errors import CheckpointError, ConfigError
from slowfast_ext.files import read_weights
from slowfast_ext.hub import list_models, model_config
from slowfast_ext.models import VideoModel, build_model
from slowfast_ext.models.attention import AttentionOptions
from slowfast_ext.models.backbones import BACKBONES
from slowfast_ext.models.build import ModelOptions
from slowfast_ext.models.weights import LoadOptions, Report, fit_weights
from slowfast_ext.options import Options, keys_of
from slowfast_ext.registry import unknown_name
from slowfast_ext.released.find import find_weights

Settings = dict[str, Any]
"""Dotted keys of a configuration and their values."""

_ALL_CHANGES = ("head", "time", "space", "new", "unused")
_INPUTS: tuple[type[Options], ...] = (SamplingOptions, CropOptions, PixelOptions, ViewOptions)
_UNTAKEN = (
    "MODEL.DROP_PATH",
    "MODEL.CHECKPOINT_BLOCKS",
    "MODEL.CHECKPOINT_EVERY",
    "DATA.RANDOM_FLIP",
)
"""Of the training that made the weights, not of the model."""


@dataclass(frozen=True)
class Start:
    """Weights, if any, the settings of their model and its inputs, and what this is in words."""

    words: str
    settings: Settings
    weights: Path | None = None
    class_names: tuple[str, ...] = ()

    @property
    def from_nothing(self) -> bool:
        """Whether there are no weights."""
        return self.weights is None


def find_start(weights: str, model: str) -> Start:
    """The start that --from and --model name. Raises ConfigError or CheckpointError saying what is missing."""
    if model and model not in list_models() and Path(model).suffix not in (".yaml", ".yml"):
        raise ConfigError(f"--model {model}: {unknown_name(model, list_models())}")
    if not weights:
        if not model:
            return Start("from scratch: no weights are given", {})
        return Start(
            f"{model} from scratch: no weights are given", _settings_of(model_config(model))
        )
    path = _weights_file(weights)
    checkpoint = read_weights(path)
    if isinstance(checkpoint.get("cfg"), str):
        return _from_ours(path, checkpoint, model)
    name = model or recognised(path, checkpoint)
    how = "" if model else ", recognised"
    return Start(f"{name}{how}, weights of {path}", _settings_of(model_config(name)), path)


def _weights_file(weights: str) -> Path:
    """A file, or the best checkpoint of an output folder."""
    path = Path(weights)
    if path.is_dir():
        store = CheckpointStore(path, 0)
        best = store.folder / "checkpoint_best.pyth"
        return best.resolve() if best.is_file() else store.find("").resolve()
    if not path.is_file() and weights in list_models():
        raise ConfigError(
            f"--from {weights}: that is the name of a model, not of weights; name its weights (slowfast-ext weights) or a file "
            f"of them: --from WEIGHTS --model {weights}"
        )
    return find_weights(weights).resolve()


def _from_ours(path: Path, checkpoint: Mapping[str, Any], model: str) -> Start:
    if model:
        raise ConfigError(
            f"--model {model}: {path} brings its own configuration; leave --model out"
        )
    cfg = load_text(checkpoint["cfg"], str(path))
    names = checkpoint.get("class_names") or [[]]
    own = tuple(names[0]) if len(names) == 1 else ()
    classes = f" of {len(own)} classes" if own else ""
    words = f"{cfg.MODEL.BACKBONE} of {path}, a model{classes} that was trained here"
    return Start(words, _settings_of(cfg), path, own)


def _settings_of(cfg: CfgNode) -> Settings:
    """What makes the model and its inputs, without the data and the training of `cfg`."""
    taken = set(_dotted((*_INPUTS, ModelOptions, AttentionOptions)))
    sections = {kind.section for name in BACKBONES.names() for kind in BACKBONES.options(name)}
    return {
        key: value
        for key, value in changed_keys(cfg).items()
        if (key in taken or key.startswith("ATTENTION.") or key.rpartition(".")[0] in sections)
        and key not in _UNTAKEN
    }


def _dotted(kinds: Iterable[type[Options]]) -> list[str]:
    return [f"{kind.section}.{key.name}" for kind in kinds for key in keys_of(kind)]


def recognised(path: Path, checkpoint: Mapping[str, Any]) -> str:
    """The one model of the zoo that public weights fit, head aside. Raises CheckpointError for none or several."""
    reports = {name: _try(checkpoint, name) for name in list_models()}
    fitting = {name: report for name, report in reports.items() if report is not None}
    exact = [name for name, report in fitting.items() if not report.head] or list(fitting)
    if len(exact) == 1:
        return exact[0]
    if exact:
        raise CheckpointError(f"{path}: fits {', '.join(exact)}: say which with --model NAME")
    raise CheckpointError(
        f"{path}: fits no known model; say which with --model NAME, one of {', '.join(list_models())}"
    )


def _try(checkpoint: Mapping[str, Any], name: str) -> Report | None:
    try:
        report = _report(checkpoint, model_config(name), "")
    except (CheckpointError, ConfigError):
        return None
    differs = report.inflated or report.resized or report.unused or _new_but_head(report)
    return None if differs else report


def _report(checkpoint: Mapping[str, Any], cfg: CfgNode, inflate: str) -> Report:
    options = LoadOptions(inflate=inflate, changed=_ALL_CHANGES)
    return fit_weights(checkpoint, _empty(cfg), options)[1]


def _empty(cfg: CfgNode) -> VideoModel:
    with torch.device("meta"):
        return build_model(cfg)


def _new_but_head(report: Report) -> list[str]:
    return [name for name in report.new if not name.startswith("head.")]


def loading(start: Start, cfg: CfgNode) -> Settings:
    """The settings under which the weights of `start` load into the model of `cfg`.

    Raises CheckpointError where they are those of another model.
    """
    if start.weights is None:
        return {}
    try:
        report = _report(read_weights(start.weights), cfg, "mean")
    except CheckpointError as error:
        raise CheckpointError(f"{start.weights}: weights of another model: {error}") from error
    strange = report.unused, _new_but_head(report)
    if any(strange):
        unused, new = (", ".join(names[:3]) or "none" for names in strange)
        raise CheckpointError(
            f"{start.weights}: weights of another model than {cfg.MODEL.BACKBONE} as configured; not in the model: "
            f"{unused}; not in the file: {new}. Say which model it is with --model NAME"
        )
    settings: Settings = {"TRAIN.CHECKPOINT_FILE_PATH": str(start.weights)}
    if report.inflated:
        settings["TRAIN.CHECKPOINT_INFLATE"] = "mean"
    if report.changes():
        settings["TRAIN.CHECKPOINT_CHANGED"] = list(report.changes())
    return settings


def frozen_patterns(cfg: CfgNode, trained_blocks: int) -> list[str]:
    """TRAIN.FREEZE for a model of which only the last blocks (0: only the head) are trained."""
    if trained_blocks == 0:
        return [r"^backbone\."]
    model = _empty(cfg)
    backbone: Any = model.backbone
    names = [name for name, _ in backbone.named_parameters()]
    first = backbone.num_layers - 1 - trained_blocks  # the norm after the blocks is a layer too
    frozen = {name for name in names if backbone.layer_index(name) < first}
    return _prefixes(sorted(frozen), [name for name in names if name not in frozen])


def _prefixes(frozen: Sequence[str], trained: Sequence[str]) -> list[str]:
    """The shortest module names below which nothing is trained, as regular expressions."""
    found: dict[str, None] = {}
    for name in frozen:
        parts = name.split(".")
        starts = [".".join(parts[: end + 1]) for end in range(len(parts))]
        prefix = next(
            p
            for p in starts
            if not any(other == p or other.startswith(f"{p}.") for other in trained)
        )
        found[prefix] = None
    return [rf"^backbone\.{re.escape(prefix)}(\.|$)" for prefix in found]


def with_head(start: Start, classes: Sequence[str]) -> Start:
    """The start, with what becomes of its head in words."""
    if not start.class_names:
        return start
    head = "its head is kept" if start.class_names == tuple(classes) else "its head starts anew"
    return replace(start, words=f"{start.words}; {head}")
