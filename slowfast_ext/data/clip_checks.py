"""Checks of the configuration of clips and their augmentation that need more than one key."""

from collections.abc import Iterable, Sequence

from yacs.config import CfgNode

from slowfast_ext.config import Problem
from slowfast_ext.data.transforms.augmented_crop import parse_policy
from slowfast_ext.errors import ConfigError
from slowfast_ext.options import pair


def check_clips(cfg: CfgNode) -> Iterable[Problem]:
    """Ranges the wrong way round, crops larger than the frame, strings that are no policy."""
    if min(cfg.DATA.STD, default=0) <= 0:
        yield Problem(
            "DATA.STD", "is not positive", "give the standard deviation of pixels in [0, 1]"
        )
    if cfg.DATA.TEST_CLIPS == "parts" and cfg.TEST.NUM_ENSEMBLE_VIEWS > 3:
        yield Problem(
            "DATA.TEST_CLIPS", "a part has three places", "set TEST.NUM_ENSEMBLE_VIEWS to 3 or less"
        )
    if cfg.TRAIN.ENABLE:
        yield from _check_crop(cfg)
        yield from _check_policy(cfg)


def _check_crop(cfg: CfgNode) -> Iterable[Problem]:
    data = cfg.DATA
    for name in ("SCALES", "SCALES_RELATIVE", "ASPECT_RELATIVE"):
        yield from _check_range(f"DATA.TRAIN_JITTER_{name}", data[f"TRAIN_JITTER_{name}"])
    if data.TRAIN_JITTER_SCALES_RELATIVE and data.TRAIN_MULTI_SCALE_CROP:
        yield Problem(
            "DATA.TRAIN_MULTI_SCALE_CROP",
            "is given, and DATA.TRAIN_JITTER_SCALES_RELATIVE too",
            "empty one of them: each is a crop of its own",
        )
    if data.TRAIN_JITTER_SCALES_RELATIVE or data.TRAIN_MULTI_SCALE_CROP:
        return
    if not data.TRAIN_JITTER_SCALES:
        yield Problem(
            "DATA.TRAIN_JITTER_SCALES", "is empty", "or give DATA.TRAIN_JITTER_SCALES_RELATIVE"
        )
    elif data.TRAIN_JITTER_SCALES[0] < min(pair(data.TRAIN_CROP_SIZE)):
        yield Problem(
            "DATA.TRAIN_JITTER_SCALES",
            f"scales frames below DATA.TRAIN_CROP_SIZE = {data.TRAIN_CROP_SIZE}",
            "start the range at the crop's short side or above",
        )


def _check_range(key: str, bounds: Sequence[float]) -> Iterable[Problem]:
    if bounds and not 0 < bounds[0] <= bounds[1]:
        yield Problem(key, "is no range above 0", "give the smaller bound first")


def _check_policy(cfg: CfgNode) -> Iterable[Problem]:
    try:
        if cfg.AUG.ENABLE and cfg.AUG.AA_TYPE:
            parse_policy(cfg.AUG.AA_TYPE)
    except ConfigError as error:
        yield Problem("AUG.AA_TYPE", "is no policy", str(error).partition("; ")[2])
