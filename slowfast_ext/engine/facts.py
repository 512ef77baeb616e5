"""Facts that follow from a configuration and that users get wrong: printed before a run starts."""

from collections.abc import Sequence

from yacs.config import CfgNode

from slowfast_ext.config import options_of
from slowfast_ext.data.records import VideoSet
from slowfast_ext.data.sampling import SamplingOptions, clip_seconds
from slowfast_ext.engine.distributed import World
from slowfast_ext.engine.optim import learning_rate
from slowfast_ext.engine.run import effective_batch

_USUAL_FPS = (12.0, 25.0, 30.0)


def clip_span(cfg: CfgNode) -> str:
    """The stretch of video that a clip covers, in words."""
    if cfg.DATA.SAMPLING == "segment":
        return f"clip: {cfg.DATA.NUM_FRAMES} frames, one from each equal part of the video"
    rates = (cfg.DATA.TARGET_FPS,) if cfg.DATA.TARGET_FPS else _USUAL_FPS
    sampling = options_of(cfg, SamplingOptions)
    seconds = ", ".join(f"{clip_seconds(fps, sampling):.1f} s at {fps:g} frames/s" for fps in rates)
    return f"clip: {cfg.DATA.NUM_FRAMES} frames, {cfg.DATA.SAMPLING_RATE} apart, from first to last {seconds}"


def training_facts(
    cfg: CfgNode, world: World, videos: VideoSet, steps_per_epoch: int
) -> Sequence[str]:
    """Effective batch, steps and learning rate after scaling."""
    batch = effective_batch(cfg)
    peak = learning_rate(cfg, cfg.SOLVER.WARMUP_EPOCHS, batch)
    per_process = cfg.TRAIN.BATCH_SIZE // world.local_size
    return (
        clip_span(cfg),
        f"training set: {len(videos)} videos, {steps_per_epoch} steps per epoch, {cfg.SOLVER.MAX_EPOCH} epochs",
        f"effective batch: {batch} clips = {per_process} videos x {world.size} processes x {cfg.AUG.NUM_SAMPLE} "
        f"repeats x {cfg.TRAIN.ACCUMULATE} accumulated",
        f"learning rate: {peak:.4g} after {cfg.SOLVER.WARMUP_EPOCHS:g} epochs of warm-up",
        *videos.notes,
    )


def testing_facts(cfg: CfgNode, videos: VideoSet) -> Sequence[str]:
    """Protocol of the test."""
    clips, crops = cfg.TEST.NUM_ENSEMBLE_VIEWS, cfg.TEST.NUM_SPATIAL_CROPS
    return (
        clip_span(cfg),
        f"test: {len(videos)} videos, {clips} clips x {crops} crops = {clips * crops} views each, "
        f"{cfg.TEST.ENSEMBLE} averaged",
        *videos.notes,
    )
