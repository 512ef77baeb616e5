"""torchcodec, where it and a system FFmpeg are installed: exact by its own scan of the file.

Not in one process with decord, whose FFmpeg it then crashes on (AV1): no chain of readers has both.
"""

import importlib.util
from collections.abc import Sequence

from slowfast_ext.data.decode.base import DECODERS, Frames
from slowfast_ext.data.decode.ffmpeg import local_file
from slowfast_ext.data.decode.index import VideoIndex
from slowfast_ext.data.storage import store
from slowfast_ext.errors import DataError


@DECODERS.register("torchcodec")
class TorchCodecReader:
    """Reader over torchcodec; see `base.Reader`. Frames keep their size."""

    guarded = True

    def __init__(self, path: str, index: VideoIndex, short_side: int = 0) -> None:
        from torchcodec.decoders import VideoDecoder

        self.size = index.size
        self.video = VideoDecoder(
            store.packed(path) or local_file(path),
            stream_index=index.stream,
            dimension_order="NHWC",
            num_ffmpeg_threads=1,
            seek_mode="exact",
        )
        if len(self.video) != len(index):
            raise DataError(f"torchcodec sees {len(self.video)} frames, there are {len(index)}")

    @staticmethod
    def missing() -> str:
        """The package to install where torchcodec is not there; a folder of that name does not count."""
        spec = importlib.util.find_spec("torchcodec")
        return "" if spec and spec.origin else "pip install torchcodec (needs FFmpeg on the system)"

    @staticmethod
    def exact(index: VideoIndex) -> bool:
        """Where time stamps name the frames, nothing hidden comes first, and no picture is mirrored.

        Measured: wrong on AVI with B-frames, and on a file whose first key frame is discarded.
        """
        if index.template or index.mirrored:
            return False
        return index.seekable and index.keys[:1] == index.pts[:1]

    def frames(self, indices: Sequence[int], out: Frames) -> None:
        """Fill out [T, H, W, 3]."""
        out[:] = self.video.get_frames_at(indices=list(map(int, indices))).data.numpy()

    def close(self) -> None:
        """Give back the decoder's memory and file."""
        del self.video
