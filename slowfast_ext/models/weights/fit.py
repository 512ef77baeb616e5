"""A foreign or older state onto a model: every tensor of either side is accounted for in a report."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from slowfast_ext.errors import CheckpointError
from slowfast_ext.models.build import VideoModel
from slowfast_ext.models.weights.base import (
    TOKEN_HEAD,
    WEIGHTS,
    Importer,
    Resized,
    State,
    recognise,
    shapes_of,
    unwrap,
)
from slowfast_ext.models.weights.classes import in_class_order
from slowfast_ext.models.weights.inflate import can_inflate, inflate
from slowfast_ext.models.weights.ours import Ours
from slowfast_ext.options import Options, option, section


@section("TRAIN", "Training")
@dataclass(frozen=True)
class LoadOptions(Options):
    """Training: the section TRAIN."""

    source: str = option(
        "auto",
        "whose names the weights file uses; auto: recognised from the keys",
        key="CHECKPOINT_SOURCE",
    )
    inflate: str = option(
        "",
        "how 2-D kernels become 3-D ones: mean over time, or centre slice",
        key="CHECKPOINT_INFLATE",
        choices=("", "mean", "centre"),
    )
    changed: tuple[str, ...] = option(
        (),
        "differences that are allowed when loading: head (classes), time (frames), space (resolution), new (parameters the file lacks), unused (tensors the model lacks)",
        key="CHECKPOINT_CHANGED",
    )
    classes: tuple[str, ...] = option(
        (),
        "order of the classes of the file's head, then that of the data, needed where its classes have no names: k400 (alphabetical), k400_uniformer, k600, k700, k710, or a file with a name a line; the data's may be fewer. Empty: the same",
        key="CHECKPOINT_CLASSES",
    )


_REMEDY = "TRAIN.CHECKPOINT_CHANGED"


@dataclass
class Report:
    """Which tensors were taken as they are and which were not, by our names."""

    source: str
    loaded: list[str] = field(default_factory=list)
    inflated: list[str] = field(default_factory=list)
    resized: dict[str, str] = field(default_factory=dict)
    head: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    idle: list[str] = field(default_factory=list)
    token_head: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        counts = f"{len(self.loaded)} tensors loaded (format: {self.source})"
        return "\n".join([counts, *(f"  {what}: {names}" for what, names in self.differences())])

    def differences(self) -> list[tuple[str, str]]:
        """What was not taken as it is, in words."""
        lists = [
            ("inflated over time", self.inflated),
            *((f"resized in {kind}", self._resized(kind)) for kind in ("time", "space")),
            ("head for other classes, starts anew", self.head),
            ("not in the checkpoint, starts anew", self.new),
            ("not in the model, left out", self.unused),
            ("without effect in the published model, left out", self.idle),
            ("classifier of tokens (token labelling), left out", self.token_head),
        ]
        return [(what, _shorten(names)) for what, names in lists if names]

    def changes(self) -> dict[str, list[str]]:
        """Differences that TRAIN.CHECKPOINT_CHANGED must allow, by the word it uses."""
        kinds = {kind: self._resized(kind) for kind in ("time", "space")}
        kinds |= {"head": self.head, "new": self.new, "unused": self.unused}
        return {kind: names for kind, names in kinds.items() if names}

    def _resized(self, kind: str) -> list[str]:
        return [name for name, change in self.resized.items() if change == kind]


def fit_weights(
    checkpoint: Mapping[str, object], model: VideoModel, options: LoadOptions = LoadOptions()
) -> tuple[State, Report]:
    """The tensors of `checkpoint` under the names and in the shapes of `model`, and what was done.

    Our own names are known whatever `options.source` says; tensors that start anew are not in the result.
    Raises CheckpointError for differences that `options.changed` does not allow.
    """
    state = unwrap(checkpoint)
    source = options.source
    if source == "auto" or Ours.recognise(shapes_of(state)):
        source = recognise(state)
    fitted, report = fit(state, model, source, options.inflate, options.classes)
    _require_allowed(report, options.changed)
    return fitted, report


def load_weights(
    model: VideoModel, checkpoint: Mapping[str, object], options: LoadOptions = LoadOptions()
) -> Report:
    """`fit_weights` into the model itself; tensors that the checkpoint lacks stay as they are."""
    state, report = fit_weights(checkpoint, model, options)
    model.load_state_dict(state, strict=False)
    return report


def build_with_weights(
    build: Callable[[], VideoModel],
    checkpoint: Mapping[str, object],
    options: LoadOptions = LoadOptions(),
) -> tuple[VideoModel, Report]:
    """A new model that holds the tensors of the checkpoint themselves: those of a file are read when they are used.

    What the checkpoint lacks starts as in a model that is built without it.
    """
    with torch.device("meta"):
        model = build()
    state, report = fit_weights(checkpoint, model, options)
    empty = {name for name, x in (*model.named_parameters(), *model.named_buffers()) if x.is_meta}
    own = model.state_dict()
    if not empty <= state.keys():
        model = build()
    exact = {name: x.to(own[name].dtype).contiguous() for name, x in state.items()}
    model.load_state_dict(exact, strict=False, assign=True)
    return model, report


def fit(
    state: State,
    model: VideoModel,
    source: str,
    inflation: str = "",
    classes: Sequence[str] = (),
) -> tuple[State, Report]:
    """`state` as far as it goes onto `model`: renamed, inflated, resized, and an account of the rest."""
    importer: type[Importer] = WEIGHTS.get(source)
    report, fitted, own = Report(source), {}, model.state_dict()
    ours = in_class_order(importer.to_ours(state, model), model, importer, classes)
    for name, tensor in ours.items():
        if name not in own:
            _left_out(name, importer, model, report).append(name)
            continue
        shape = tuple(own[name].shape)
        if tuple(tensor.shape) == shape:
            report.loaded.append(name)
            fitted[name] = tensor
        elif name.startswith("head.") and tensor.shape[1:] == shape[1:]:
            report.head.append(name)
        elif can_inflate(tensor, shape):
            report.inflated.append(name)
            fitted[name] = inflate(tensor, shape[2], _known(inflation, name))
        else:
            resized = _resized(importer, name, tensor, shape, model)
            report.resized[name] = resized.change
            fitted[name] = resized.tensor
    report.new = [name for name in own if name not in ours]
    return fitted, report


def _left_out(name: str, importer: type[Importer], model: VideoModel, report: Report) -> list[str]:
    """Where a tensor that the model does not have is reported; heads of another task count as other classes."""
    if importer.idle(name, model):
        return report.idle
    if name.startswith(TOKEN_HEAD):
        return report.token_head
    return report.head if name.startswith("head.") else report.unused


def _resized(
    importer: type[Importer], name: str, tensor: Tensor, shape: tuple[int, ...], model: VideoModel
) -> Resized:
    resized = importer.resize(name, tensor, shape, model)
    if resized is None:
        raise CheckpointError(
            f"{name}: shape {tuple(tensor.shape)} in the checkpoint, {shape} in the model; the configuration "
            "describes another architecture than the checkpoint's"
        )
    return resized


def _known(inflation: str, name: str) -> str:
    if not inflation:
        raise CheckpointError(
            f"{name}: the checkpoint's kernel has no extent in time; set TRAIN.CHECKPOINT_INFLATE to mean or centre"
        )
    return inflation


def _require_allowed(report: Report, allowed: Sequence[str]) -> None:
    lines = [
        f"  {kind}: {_shorten(names)}"
        for kind, names in report.changes().items()
        if kind not in allowed
    ]
    if lines:
        raise CheckpointError(
            "\n".join([f"checkpoint and model differ; allow what is meant in {_REMEDY}:", *lines])
        )


def _shorten(names: list[str], most: int = 6) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest
