"""What a task is, and labelled sequences of ids in memory.

Shapes: B batch, X sequences of an example (2 in retrieval), N tokens.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from yacs.config import CfgNode

from projects.lra.options import LraOptions
from slowfast_ext.config import options_of
from slowfast_ext.errors import DataError
from slowfast_ext.registry import Registry

PADDING = 0
TASKS = Registry("TASKS")


@dataclass(frozen=True)
class Examples:
    """Labelled sequences end to end in `ids` (uint8); sequence i is ids[starts[i]:starts[i + 1]].

    An example has `towers` successive sequences.
    """

    ids: np.ndarray
    starts: np.ndarray
    labels: np.ndarray
    towers: int = 1

    @classmethod
    def join(
        cls, sequences: Sequence[np.ndarray], labels: Sequence[int], towers: int = 1
    ) -> "Examples":
        """Examples of separate arrays of ids."""
        starts = np.cumsum([0, *(len(ids) for ids in sequences)])
        joined = np.concatenate(sequences).astype(np.uint8, copy=False)
        return cls(joined, starts, np.asarray(labels, dtype=np.int64), towers)

    def __len__(self) -> int:
        return len(self.labels)

    def part(self, start: int, stop: int) -> "Examples":
        """The examples from `start` up to `stop`."""
        starts = self.starts[start * self.towers : stop * self.towers + 1]
        ids = self.ids[starts[0] : starts[-1]]
        return Examples(ids, starts - starts[0], self.labels[start:stop], self.towers)

    def batch(self, index_B: Iterable[int], length: int) -> tuple[Tensor, Tensor]:
        """Ids [B, X, length], padded at the end, and labels [B]."""
        chosen = np.asarray(index_B)
        ids_BXN = np.full((len(chosen), self.towers, length), PADDING, dtype=np.int64)
        for row, example in enumerate(chosen):
            for tower in range(self.towers):
                begin, end = self.starts[example * self.towers + tower :][:2]
                ids_BXN[row, tower, : end - begin] = self.ids[begin:end]
        return torch.from_numpy(ids_BXN), torch.from_numpy(self.labels[chosen])


@dataclass(frozen=True)
class Splits:
    """The three sets of a task."""

    train: Examples
    val: Examples
    test: Examples


class Task:
    """The facts of a task and where its examples come from. Id 0 is padding, whoever wrote it.

    Register with `@TASKS.register("name", MyOptions)`; it is constructed with LraOptions and its own options.
    `length` is that of the longest sequence, in tokens.
    """

    vocabulary: ClassVar[int]
    classes: ClassVar[int]
    towers: ClassVar[int] = 1
    length: int

    def __init__(self, options: LraOptions) -> None:
        self.options = options

    def read(self) -> Splits:
        """The examples. Raises DataError where official files are missing or broken."""
        raise NotImplementedError

    def official_file(self, name: str, source: str) -> Path:
        """A file or folder below LRA.DATA_DIR. Raises DataError that says where it comes from."""
        path = Path(self.options.data_dir) / name
        if not path.exists():
            raise DataError(
                f"{path} is not there: the task {self.options.task} reads {source}; "
                "put it there or set LRA.DATA_DIR to its folder"
            )
        return path


def build_task(cfg: CfgNode) -> Task:
    """The task that LRA.TASK names. Raises ConfigError."""
    own = (options_of(cfg, kind) for kind in TASKS.options(cfg.LRA.TASK))
    return TASKS.get(cfg.LRA.TASK)(options_of(cfg, LraOptions), *own)


def padded_length(length: int) -> int:
    """The next power of two, to which the sequences of a task are padded."""
    return 1 << (length - 1).bit_length()


def byte_ids(text: bytes, length: int, place: str) -> np.ndarray:
    """The first `length` bytes, each plus one. Raises DataError for no text, or bytes that no text has."""
    ids = np.frombuffer(text[:length], dtype=np.uint8)
    if not ids.size:
        raise DataError(f"{place}: no text; every example needs at least one byte")
    if ids.max() == 255:
        raise DataError(f"{place}: a byte 255, which is no UTF-8; the file is damaged")
    return ids + 1
