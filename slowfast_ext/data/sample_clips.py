"""A few clips that are like those a model is tested on: of its own test set where that is there.

Shapes: N clips, V views, T frames, C colours, H W pixels.
"""

import logging
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from yacs.config import CfgNode

from slowfast_ext.config import options_of
from slowfast_ext.data.annotations import read_videos
from slowfast_ext.data.dataset import TestViews
from slowfast_ext.data.decode.source import VideoSource
from slowfast_ext.data.motion import CLASS_NAMES, MotionOptions, MotionSettings, render_clip
from slowfast_ext.data.sampling import ViewOptions, centre_view, views
from slowfast_ext.errors import ConfigError, DataError
from slowfast_ext.options import pair

logger = logging.getLogger(__name__)

_TRIED = 3
"""Videos that are tried for each that is wanted: some may be unreadable."""


def sample_clips(cfg: CfgNode, count: int, looks: ViewOptions | None = None) -> tuple[Tensor, str]:
    """RGB bytes uint8 [N, T, H, W, C] and what they are: the views of `count` test videos, the centre one by default.

    Rendered MotionShapes where the test set of `cfg` is not there.
    """
    chosen = views(looks) if looks else centre_view()
    try:
        return _of_test_set(cfg, count, chosen), f"{count} videos of {cfg.TEST.DATASET}"
    except (ConfigError, DataError) as error:
        logger.info("%s is not there, MotionShapes instead: %s", cfg.TEST.DATASET, error)
    rendered = [_rendered(cfg, index) for index in range(count * len(chosen))]
    return torch.stack(rendered), f"{len(rendered)} rendered MotionShapes clips"


def _of_test_set(cfg: CfgNode, count: int, chosen: list) -> Tensor:
    if not _is_there(cfg):
        raise DataError("MotionShapes is not rendered yet")
    videos = read_videos(cfg, "test")
    clips = TestViews.from_cfg(cfg, videos, chosen, VideoSource.from_cfg(cfg))
    found: list[Tensor] = []
    for index in np.linspace(0, len(videos) - 1, min(_TRIED * count, len(videos))).astype(int):
        try:
            found.append(clips.clips(int(index)).permute(0, 1, 3, 4, 2))
        except DataError as error:
            logger.info("%s: passed over: %s", videos.records[int(index)].path, error)
        if len(found) == count:
            return torch.cat(found)
    raise DataError(f"{len(found)} of {count} videos could be read")


def _is_there(cfg: CfgNode) -> bool:
    """False where reading the test set would render it."""
    folder = Path(cfg.DATA.PATH_TO_DATA_DIR, options_of(cfg, MotionOptions).settings.folder)
    return cfg.TEST.DATASET != "motionshapes" or folder.is_dir()


def _rendered(cfg: CfgNode, index: int) -> Tensor:
    height, width = pair(cfg.DATA.TEST_CROP_SIZE)
    side = max(height, width, 16)
    settings = MotionSettings("hard", side + side % 2, max(2, cfg.DATA.NUM_FRAMES))
    frames_THWC = render_clip(index, "val", index % len(CLASS_NAMES), settings)
    return torch.from_numpy(frames_THWC[: cfg.DATA.NUM_FRAMES, :height, :width])
