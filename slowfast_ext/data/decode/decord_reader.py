"""decord: silently wrong on some kinds of files, and right on those it is asked for.

Measured on frames that carry their number: wrong after open groups of pictures, edit lists and
B-frames in AVI; may hang where the container claims more frames than there are. The index tells.
"""

import contextlib
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from types import ModuleType

from slowfast_ext.data.decode.base import DECODERS, Frames, scaled_size
from slowfast_ext.data.decode.ffmpeg import local_file
from slowfast_ext.data.decode.index import VideoIndex
from slowfast_ext.data.storage import store
from slowfast_ext.errors import DataError


@DECODERS.register("decord")
class DecordReader:
    """Reader over decord or decord2; see `base.Reader`."""

    guarded = True

    def __init__(self, path: str, index: VideoIndex, short_side: int = 0) -> None:
        decord = import_decord()
        decord.logging.set_level(decord.logging.QUIET)
        # decord scales before it turns, so turned files keep their size.
        self.size = index.size if index.rotation else scaled_size(index.size, short_side)
        height, width = self.size if self.size != index.size else (-1, -1)
        try:
            self.video = decord.VideoReader(
                store.packed(path) or local_file(path),
                width=width,
                height=height,
                num_threads=1,
            )
        except decord.DECORDError as error:
            raise DataError(f"decord cannot open it: {str(error).splitlines()[0]}") from error
        if len(self.video) != len(index):
            raise DataError(f"decord sees {len(self.video)} frames, there are {len(index)}")

    @staticmethod
    def missing() -> str:
        """The package to install where decord is not there."""
        return "" if importlib.util.find_spec("decord") else "pip install decord2"

    @staticmethod
    def exact(index: VideoIndex) -> bool:
        """Where the scan found nothing that decord is known to get wrong."""
        return index.decord_exact

    def frames(self, indices: Sequence[int], out: Frames) -> None:
        """Fill out [T, H, W, 3]. Raises DataError where decord fails."""
        decord = import_decord()
        try:
            batch = self.video.get_batch(indices).asnumpy()
        except decord.DECORDError as error:
            raise DataError(f"decord cannot decode it: {str(error).splitlines()[0]}") from error
        if batch.shape != out.shape:
            raise DataError(f"decord gives frames of {batch.shape[1:3]}, expected {out.shape[1:3]}")
        out[:] = batch

    def close(self) -> None:
        """Give back the decoder's memory and file."""
        del self.video


def import_decord() -> ModuleType:
    """The module, without the CUDA libraries: it would load all that it finds (480 MB a process).

    Builds of decord for CUDA do not load without them, and get them.
    """
    with contextlib.suppress(OSError), _hidden("nvidia"):
        return importlib.import_module("decord")
    return importlib.import_module("decord")


@contextlib.contextmanager
def _hidden(package: str) -> Iterator[None]:
    """Whoever looks for the package finds none."""
    loaded = sys.modules.get(package)
    sys.modules[package] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[package]
        if loaded is not None:
            sys.modules[package] = loaded
