"""Retrieval: does one paper cite the other? From the bytes of both (ACL Anthology Network)."""

from pathlib import Path

import numpy as np

from projects.lra.tasks.base import TASKS, Examples, Splits, Task, byte_ids
from slowfast_ext.errors import DataError

LENGTH = 4000


@TASKS.register("retrieval")
class Retrieval(Task):
    """Two classes of pairs of texts."""

    vocabulary, classes, towers, length = 512, 2, 2, LENGTH

    def read(self) -> Splits:
        """The three tables of the official release."""
        source = "tsv_data of lra_release.gz"
        names = (f"new_aan_pairs.{split}.tsv" for split in ("train", "eval", "test"))
        return Splits(*(_pairs(self.official_file(name, source)) for name in names))


def _pairs(path: Path) -> Examples:
    texts: list[np.ndarray] = []
    labels: list[int] = []
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            location = f"{path}:{number}"
            columns = line.rstrip(b"\r\n").split(b"\t")
            if len(columns) != 5 or columns[0] not in (b"0.0", b"1.0", b"0", b"1"):
                raise DataError(
                    f"{location}: {len(columns)} columns, the first {columns[0][:20]!r}; "
                    "expected label 0.0 or 1.0, two ids and two texts, separated by tabs"
                )
            labels.append(int(float(columns[0])))
            texts += [byte_ids(text, LENGTH, location) for text in columns[3:]]
    if not labels:
        raise DataError(f"{path}: empty; expected a pair of texts a line")
    return Examples.join(texts, labels, towers=2)
