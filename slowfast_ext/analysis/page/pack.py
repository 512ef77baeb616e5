"""Data of a page in one compressed block: JSON with typed arrays and files beside it; base.js reads it.

Layout before compression: length of the header (uint32), header (JSON), then each array and file at a multiple of 8
bytes. In the header an array stands as {"$array": [type, offset, count]}, a file as {"$bytes": [offset, count]}.
"""

import base64
import gzip
import json
import math
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

_TYPES = ("u1", "i1", "u2", "i2", "u4", "i4", "f4")
_ALIGN = 8


def packed(data: Mapping[str, Any]) -> str:
    """The block as base64. Values: what JSON knows, numpy arrays, and bytes. NaN and infinity become null."""
    parts: list[bytes] = []
    header = json.dumps(_Writer(parts).plain(data), separators=(",", ":"), allow_nan=False)
    text = header.encode()
    text += b" " * (-(len(text) + 4) % _ALIGN)
    block = b"".join([struct.pack("<I", len(text)), text, *parts])
    return base64.b64encode(gzip.compress(block, 6, mtime=0)).decode("ascii")


class _Writer:
    """Collects the binary parts of a tree."""

    def __init__(self, parts: list[bytes]) -> None:
        self._parts, self._size = parts, 0

    def plain(self, value: Any) -> Any:
        """The tree as JSON has it."""
        if isinstance(value, np.ndarray):
            kind = value.dtype.newbyteorder("<").str[1:]
            if kind not in _TYPES:
                raise TypeError(f"arrays of {value.dtype} are not packed; use one of {_TYPES}")
            offset = self._add(np.ascontiguousarray(value, f"<{kind}").tobytes())
            return {"$array": [kind, offset, value.size]}
        if isinstance(value, bytes):
            return {"$bytes": [self._add(value), len(value)]}
        if isinstance(value, Mapping):
            return {str(key): self.plain(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.plain(item) for item in value]
        if isinstance(value, float) and not math.isfinite(value):
            return None
        return value.item() if isinstance(value, np.generic) else value

    def _add(self, data: bytes) -> int:
        offset = self._size
        padded = data + bytes(-len(data) % _ALIGN)
        self._parts.append(padded)
        self._size += len(padded)
        return offset
