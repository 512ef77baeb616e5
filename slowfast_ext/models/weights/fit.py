"""A foreign or older state onto a model: every tensor of either side is accounted for in a report."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor
from yacs.config import CfgNode

from slowfast_ext.errors import CheckpointError
from slowfast_ext.models.weights.base import (
    WEIGHTS,
    Importer,
    Ours,
    State,
    recognise,
    shapes_of,
    unwrap,
)
from slowfast_ext.models.weights.inflate import can_inflate, inflate
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

    def __str__(self) -> str:
        counts = f"{len(self.loaded)} tensors from {self.source}"
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
        ]
        return [(what, _shorten(names)) for what, names in lists if names]

    def changes(self) -> dict[str, list[str]]:
        """Differences that TRAIN.CHECKPOINT_CHANGED must allow, by the word it uses."""
        kinds = {kind: self._resized(kind) for kind in ("time", "space")}
        kinds |= {"head": self.head, "new": self.new, "unused": self.unused}
        return {kind: names for kind, names in kinds.items() if names}

    def _resized(self, kind: str) -> list[str]:
        return [name for name, change in self.resized.items() if change == kind]


def import_state(
    checkpoint: Mapping[str, object], cfg: CfgNode, model: Mapping[str, Tensor]
) -> tuple[State, Report]:
    """The tensors of `checkpoint` for a model of `cfg` whose state dict is `model`, and what was done.

    Reads TRAIN.CHECKPOINT_SOURCE (our own names are known whatever it says), CHECKPOINT_INFLATE and
    CHECKPOINT_CHANGED; tensors that start anew are not in the result. Raises CheckpointError for differences
    that are not allowed there.
    """
    state = unwrap(checkpoint)
    source = cfg.TRAIN.CHECKPOINT_SOURCE
    if source == "auto" or Ours.recognise(shapes_of(state)):
        source = recognise(state)
    importer = WEIGHTS.get(source)
    fitted, report = fit(importer.to_ours(state, cfg), cfg, model, importer, source)
    _require_allowed(report, cfg.TRAIN.CHECKPOINT_CHANGED)
    return fitted, report


def fit(
    state: State, cfg: CfgNode, model: Mapping[str, Tensor], importer: type[Importer], source: str
) -> tuple[State, Report]:
    """`state` (our names) as far as it goes onto `model`: inflated, resized, and an account of the rest."""
    report, fitted = Report(source), {}
    for name, tensor in state.items():
        if name not in model:
            (report.idle if importer.idle(name, cfg) else report.unused).append(name)
            continue
        adapted = _adapt(name, tensor, tuple(model[name].shape), cfg, importer, report)
        if adapted is not None:
            fitted[name] = adapted
    report.new = [name for name in model if name not in state]
    return fitted, report


def _adapt(
    name: str,
    tensor: Tensor,
    shape: tuple[int, ...],
    cfg: CfgNode,
    importer: type[Importer],
    report: Report,
) -> Tensor | None:
    if tuple(tensor.shape) == shape:
        report.loaded.append(name)
        return tensor
    if name.startswith("head.") and tensor.shape[1:] == shape[1:]:
        report.head.append(name)
        return None
    if can_inflate(tensor, shape):
        report.inflated.append(name)
        return inflate(tensor, shape[2], _inflation(cfg, name))
    resized = importer.resize(name, tensor, shape, cfg)
    if resized is None:
        raise CheckpointError(
            f"{name}: shape {tuple(tensor.shape)} in the checkpoint, {shape} in the model; the configuration "
            "describes another architecture than the checkpoint's"
        )
    report.resized[name] = resized.change
    return resized.tensor


def _inflation(cfg: CfgNode, name: str) -> str:
    if not cfg.TRAIN.CHECKPOINT_INFLATE:
        raise CheckpointError(
            f"{name}: the checkpoint's kernel has no extent in time; set TRAIN.CHECKPOINT_INFLATE to mean or centre"
        )
    return cfg.TRAIN.CHECKPOINT_INFLATE


def _require_allowed(report: Report, allowed: list[str]) -> None:
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
