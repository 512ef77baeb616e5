"""Generated sets: made once, each example a pure function of the seed and its index, then read from a file."""

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import numpy as np

from projects.lra.options import LraOptions
from projects.lra.tasks.base import Examples, Splits
from slowfast_ext.errors import DataError

T = TypeVar("T")


def generated_splits(options: LraOptions, name: str, make: Callable[[int], Examples]) -> Splits:
    """The set called `name` out of `make(count)`, in LRA.DATA_DIR; `name` says all but size and seed."""
    sizes = (options.num_train, options.num_val, options.num_test)
    file = Path(options.data_dir) / f"{name}-{'-'.join(map(str, sizes))}-seed{options.seed}.npz"
    if not file.exists():
        _save(file, make(sum(sizes)))
    examples = _load(file)
    ends = np.cumsum(sizes)
    return Splits(
        examples.part(0, ends[0]), examples.part(ends[0], ends[1]), examples.part(ends[1], ends[2])
    )


def make_all(make: Callable[[int], T], count: int, workers: int) -> list[T]:
    """`make(index)` for every index, over processes where asked for."""
    if workers == 1:
        return [make(index) for index in range(count)]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return list(pool.map(make, range(count), chunksize=64))


def _save(file: Path, examples: Examples) -> None:
    """Whole or not at all."""
    part = file.with_suffix(f".{os.getpid()}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as out:
            np.savez_compressed(
                out, ids=examples.ids, starts=examples.starts, labels=examples.labels
            )
        part.replace(file)
    except OSError as error:
        raise DataError(
            f"LRA.DATA_DIR: {file} cannot be written ({error}); set it to a folder that can be"
        ) from error


def _load(file: Path) -> Examples:
    try:
        with np.load(file) as arrays:
            return Examples(arrays["ids"], arrays["starts"], arrays["labels"])
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{file}: damaged ({error}); delete it, it is made again") from error
