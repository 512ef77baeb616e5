"""Frames -> a real h264 mp4 file."""

import os
from pathlib import Path

import av
import numpy as np

from slowfast_ext.data.motion.settings import FPS


def write_video(
    path: str | Path, frames_THWC: np.ndarray, fps: int = FPS, crf: int = 20, gop: int = 12
) -> None:
    """Write uint8 RGB frames [T, H, W, 3] as h264, 4:2:0, one thread; H and W even.

    The file appears under its name only when it is whole.
    """
    path = Path(path)
    partial = path.with_name(f".{path.stem}.{os.getpid()}.part")
    try:
        with av.open(str(partial), "w", format="mp4") as container:
            stream = container.add_stream("libx264", rate=fps)
            stream.height, stream.width = frames_THWC.shape[1:3]
            stream.pix_fmt = "yuv420p"
            stream.thread_count = 1
            stream.options = {"preset": "ultrafast", "crf": str(crf), "g": str(gop)}
            for frame in frames_THWC:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
