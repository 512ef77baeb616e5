"""Reading frames: an index of each file, readers, and the process that survives their failures.

`DECODERS` is filled on first use and not on import: the decoding process passes through here, and
wants to load one reader, not all.
"""

from typing import Any


def __getattr__(name: str) -> Any:
    if name != "DECODERS":
        raise AttributeError(f"module {__name__} has no attribute {name}")
    from slowfast_ext.data.decode.base import DECODERS
    from slowfast_ext.registry import import_submodules

    import_submodules(__name__)
    return DECODERS
