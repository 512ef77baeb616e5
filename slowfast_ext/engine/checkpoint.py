"""Checkpoints of a run: atomic writes, the last K and the best, damaged files passed over.

A checkpoint is a dict of tensors and plain values: model_state, ema_state, optimizer_state, optimizer_names,
stepper_state, position, meter, best, best_epoch, evaluation_pending, class_names, cfg (TrainingRun.state_dict in run.py).
"""

import itertools
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from slowfast_ext.errors import CheckpointError
from slowfast_ext.files import read_torch_file, write_atomically
from slowfast_ext.released.find import find_weights

logger = logging.getLogger(__name__)

FOLDER = "checkpoints"
BEST = "checkpoint_best.pyth"
_NAME = re.compile(r"checkpoint_epoch_(\d+)(?:_step_(\d+))?\.pyth")


@dataclass(frozen=True)
class Position:
    """`step` optimizer steps of epoch `epoch` are done; step 0 is the start of the epoch."""

    epoch: int
    step: int = 0

    @property
    def file_name(self) -> str:
        """Name of the checkpoint written here; whole epochs count from 1 as PySlowFast's do."""
        if self.step == 0:
            return f"checkpoint_epoch_{self.epoch:05d}.pyth"
        return f"checkpoint_epoch_{self.epoch:05d}_step_{self.step:06d}.pyth"


class CheckpointStore:
    """The checkpoints in OUTPUT_DIR/checkpoints."""

    def __init__(self, output_dir: str | Path, keep: int) -> None:
        self.folder = Path(output_dir) / FOLDER
        self._keep = keep
        self._saved_at = time.monotonic()

    def path(self, position: Position) -> Path:
        """File of the state reached at `position`."""
        return self.folder / position.file_name

    @property
    def minutes_since_save(self) -> float:
        """Minutes since this object wrote a checkpoint, or was made."""
        return (time.monotonic() - self._saved_at) / 60

    def save(self, state: dict[str, Any], position: Position) -> Path:
        """Write the state reached at `position` and drop what is older than the last K."""
        path, self._saved_at = self.path(position), time.monotonic()
        write_atomically(path, lambda temporary: torch.save(state, temporary))
        # By age: another run may have left later positions here, and what was just written must stay.
        others = [file for file in self.newest_first() if file != path]
        by_age = sorted(others, key=_written_at, reverse=True)
        for old in by_age[self._keep - 1 :] if self._keep else []:
            old.unlink(missing_ok=True)
        return path

    def set_aside(self, *others: Path) -> Path | None:
        """Move the checkpoints of earlier runs away, for a run that does not go on from them; returns where to.

        `others` are files and folders of the same runs: stats.jsonl becomes stats_before_1.jsonl.
        """
        if not any(self.folder.glob("*.pyth")):
            return None
        for number in itertools.count(1):
            moved = {
                path: path.with_stem(f"{path.stem}_before_{number}")
                for path in (self.folder, *others)
            }
            if not any(aside.exists() for aside in moved.values()):
                break
        # The checkpoints last: they say whether all is done.
        for path, aside in reversed(moved.items()):
            if path.exists():
                path.rename(aside)
        return moved[self.folder]

    def mark_best(self, position: Position) -> None:
        """Keep a copy of the checkpoint of `position` as the best."""
        path = self.path(position)
        write_atomically(self.folder / BEST, lambda temporary: _link_or_copy(path, temporary))

    def newest_first(self) -> list[Path]:
        """Checkpoints by position, the newest first; the best is not among them."""
        found = [
            (match, path)
            for path in self.folder.glob("*.pyth")
            if (match := _NAME.fullmatch(path.name))
        ]
        found.sort(key=lambda item: _progress(item[0]), reverse=True)
        return [path for _, path in found]

    def newest_sound(self) -> tuple[Path, dict[str, Any]] | None:
        """The newest checkpoint that a run can go on from, the best included; each damaged one before it is reported."""
        best = self.folder / BEST
        for path in [*self.newest_first(), *([best] if best.exists() else [])]:
            try:
                return path, read_resumable(path)
            except CheckpointError as error:
                logger.warning("damaged checkpoint passed over: %s", error)
        return None

    def find(self, choice: str) -> Path:
        """TEST.CHECKPOINT_FILE_PATH as a file: "" the newest sound one here, "best" the best here, or a name of weights.

        Raises CheckpointError where there is none.
        """
        if choice not in ("", "best"):
            return find_weights(choice, self.folder.parent)
        path = self.folder / BEST if choice == "best" else self._newest_readable()
        if path is None or not path.exists():
            raise CheckpointError(
                f"{self.folder}: no checkpoint to test; train first, or set TEST.CHECKPOINT_FILE_PATH"
            )
        return path

    def _newest_readable(self) -> Path | None:
        found = self.newest_first()
        for path in found:
            try:
                read_checkpoint(path)
                return path
            except CheckpointError as error:
                logger.warning("damaged checkpoint passed over: %s", error)
        return next(iter(found), None)


def _written_at(path: Path) -> int:
    """0 for a file that another process has removed meanwhile."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _progress(match: re.Match[str]) -> tuple[int, int]:
    """A whole-epoch file of epoch e comes after every step of the e epochs before it."""
    return int(match[1]), int(match[2] or 0)


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """A checkpoint of ours, verified by its checksums. Raises CheckpointError saying what is wrong."""
    state = read_torch_file(Path(path))
    for key in ("model_state", "position"):
        if not _PARTS[key](state.get(key)):
            raise CheckpointError(f"{path}: is not a training checkpoint: it has no {key}")
    return state


def read_resumable(path: str | Path) -> dict[str, Any]:
    """A checkpoint that training can go on from: every part is there and of its kind. Raises CheckpointError."""
    state = read_checkpoint(path)
    for key, is_sound in _PARTS.items():
        if not is_sound(state.get(key)):
            raise CheckpointError(
                f"{path}: no run can go on from it, its {key} is missing or malformed"
            )
    return state


def _are_tensors(found: Any) -> bool:
    return isinstance(found, Mapping) and all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in found.items()
    )


def _is_position(found: Any) -> bool:
    return isinstance(found, Mapping) and all(
        isinstance(found.get(key), int) and found[key] >= 0 for key in ("epoch", "step")
    )


def _is_optimizer(found: Any) -> bool:
    if not isinstance(found, Mapping) or not isinstance(found.get("state"), Mapping):
        return False
    groups, states = found.get("param_groups"), found["state"].values()
    return (
        all(isinstance(state, Mapping) for state in states)
        and isinstance(groups, Sequence)
        and all(isinstance(group, Mapping) and "params" in group for group in groups)
    )


def _is_stepper(found: Any) -> bool:
    return (
        isinstance(found, Mapping)
        and isinstance(found.get("scaler"), Mapping)
        and getattr(found.get("counts"), "shape", None) == (3,)
    )


def _are_sums(found: Any) -> bool:
    return isinstance(found, Mapping) and all(
        isinstance(sums, Mapping) and all(isinstance(value, float) for value in sums.values())
        for sums in found.values()
    )


_PARTS: dict[str, Callable[[Any], bool]] = {
    "model_state": _are_tensors,
    "ema_state": lambda found: found is None or _are_tensors(found),
    "optimizer_state": _is_optimizer,
    "stepper_state": _is_stepper,
    "position": _is_position,
    "meter": _are_sums,
    "best": lambda found: isinstance(found, float),
    "evaluation_pending": lambda found: isinstance(found, bool),
    "cfg": lambda found: isinstance(found, str),
}
"""What resuming reads of a checkpoint, and whether it is of its kind."""
