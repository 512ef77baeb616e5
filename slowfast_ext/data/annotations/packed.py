"""Records in one block of memory.

A list of a million Python objects is copied page by page into every loader process, because reading an
object writes its reference count. Pickled into one array, the records stay shared.
"""

import pickle
from collections.abc import Iterable, Sequence
from dataclasses import fields
from operator import attrgetter

import numpy as np

from slowfast_ext.data.records import VideoRecord

_values = attrgetter(*(field.name for field in fields(VideoRecord)))


class PackedRecords(Sequence[VideoRecord]):
    """An immutable sequence of records, about 100 bytes each; `records[i]` takes microseconds."""

    def __init__(self, records: Iterable[VideoRecord]) -> None:
        blocks = [pickle.dumps(_values(record), pickle.HIGHEST_PROTOCOL) for record in records]
        self._ends = np.cumsum([len(block) for block in blocks], dtype=np.int64)
        self._bytes = np.frombuffer(b"".join(blocks), dtype=np.uint8)

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, index: int) -> VideoRecord:  # type: ignore[override]
        index = range(len(self))[index]
        start = self._ends[index - 1] if index else 0
        return VideoRecord(*pickle.loads(self._bytes[start : self._ends[index]].tobytes()))
