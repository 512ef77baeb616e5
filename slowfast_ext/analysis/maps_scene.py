"""What a picture of attention is about: the frames of a clip and a query point in it.

Shapes: T frames, H W pixels; tokens by (time, row, column).
"""

from dataclasses import dataclass

import numpy as np
from torch import Tensor
from yacs.config import CfgNode

from slowfast_ext.data.dataset import TestViews
from slowfast_ext.data.decode.source import VideoSource
from slowfast_ext.data.records import VideoRecord, VideoSet
from slowfast_ext.data.sampling import centre_view
from slowfast_ext.errors import ConfigError
from slowfast_ext.models.attention import Grid

Point = tuple[int, int, int]


@dataclass(frozen=True)
class Scene:
    """Frames uint8 [T, H, W, 3], a query (frame, row, column) in pixels, a head (None: all), a note for titles."""

    frames_THWC: np.ndarray
    query: Point
    head: int | None = None
    note: str = ""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.frames_THWC.shape[1], self.frames_THWC.shape[2]

    def token(self, grid: Grid) -> Point:
        """The token (time, row, column) of `grid` that holds the query."""
        sides = zip(self.query, (grid.t, grid.h, grid.w), self.frames_THWC.shape, strict=False)
        t, row, column = (at * count // size for at, count, size in sides)
        return t, row, column

    def row(self, grid: Grid) -> int:
        """The number of that token among the patches of `grid`."""
        t, row, column = self.token(grid)
        return (t * grid.h + row) * grid.w + column

    def frame(self, grid: Grid, t: int) -> np.ndarray:
        """The frame [H, W, 3] in the middle of the tokens of time `t`."""
        frames = len(self.frames_THWC)
        return self.frames_THWC[(2 * t + 1) * frames // (2 * grid.t)]

    def pixels(self, grid: Grid) -> tuple[float, float]:
        """Height and width of a token in pixels."""
        return self.size[0] / grid.h, self.size[1] / grid.w


def load_clip(cfg: CfgNode, video: str) -> Tensor:
    """The central test view of a video file or frame folder, uint8 [T, 3, H, W]. Raises DataError."""
    videos = VideoSet("", "test", [VideoRecord(video, (), "--video")])
    source = VideoSource.from_cfg(cfg)
    try:
        return TestViews.from_cfg(cfg, videos, centre_view(), source).clips(0)[0]
    finally:
        source.close()


def make_scene(
    clip_TCHW: Tensor, query: Point | None = None, head: int | None = None, note: str = ""
) -> Scene:
    """The scene of a clip, uint8 [T, 3, H, W]; no query: the centre of the clip.

    Raises ConfigError for a query outside the clip.
    """
    frames_THWC = clip_TCHW.permute(0, 2, 3, 1).numpy()
    shape = frames_THWC.shape[:3]
    query = query or (shape[0] // 2, shape[1] // 2, shape[2] // 2)
    if not all(0 <= at < size for at, size in zip(query, shape, strict=True)):
        raise ConfigError(
            f"--query {','.join(map(str, query))} lies outside the clip of {shape[0]} frames of "
            f"{shape[1]} x {shape[2]} pixels; give frame,row,column, each from 0"
        )
    return Scene(frames_THWC, query, head, note)
