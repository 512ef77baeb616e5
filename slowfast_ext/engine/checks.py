"""All checks of a configuration that need more than one key, or a registry."""

from collections.abc import Iterable

import torch
from yacs.config import CfgNode

from slowfast_ext.config import Problem, options_of
from slowfast_ext.data.annotations import DATASETS
from slowfast_ext.data.clip_checks import check_clips
from slowfast_ext.data.decode.source import DECODERS
from slowfast_ext.data.motion.settings import FPS as MOTION_FPS
from slowfast_ext.data.sampling import SamplingOptions, clip_span
from slowfast_ext.engine.distributed import processes_on_this_node
from slowfast_ext.engine.optim import check_solver
from slowfast_ext.engine.options import RunOptions
from slowfast_ext.loggers import check_loggers
from slowfast_ext.models import check_model
from slowfast_ext.registry import Registry, unknown_name
from slowfast_ext.tasks import check_task


def check_names(cfg: CfgNode) -> Iterable[Problem]:
    """Data sets and decoders that are in no registry."""
    if cfg.TRAIN.ENABLE:
        yield from _unknown("TRAIN.DATASET", cfg.TRAIN.DATASET, DATASETS)
    yield from _unknown("TEST.DATASET", cfg.TEST.DATASET, DATASETS)
    if cfg.DATA.DECODING_BACKEND != "auto":
        yield from _unknown("DATA.DECODING_BACKEND", cfg.DATA.DECODING_BACKEND, DECODERS, "auto")


def _unknown(key: str, name: str, registry: Registry, *more: str) -> Iterable[Problem]:
    if name not in registry:
        yield Problem(key, f"unknown; {unknown_name(name, [*more, *registry.names()])}")


def check_run(cfg: CfgNode) -> Iterable[Problem]:
    """Batches that the processes cannot share, and options that exclude each other."""
    processes = processes_on_this_node(options_of(cfg, RunOptions))
    if cfg.TRAIN.ENABLE and cfg.TRAIN.BATCH_SIZE % processes:
        gpus = torch.cuda.device_count()
        here = (
            f" on a machine with {gpus or 'no'} GPU{'s' if gpus > 1 else ''}"
            if processes > gpus
            else ""
        )
        yield Problem(
            "TRAIN.BATCH_SIZE",
            f"does not divide among the {processes} processes that NUM_GPUS = {cfg.NUM_GPUS} starts{here}",
            "use a multiple, or NUM_GPUS 1 (-1: one for each GPU)",
        )
    if cfg.SHARD_ID >= cfg.NUM_SHARDS:
        yield Problem(
            "SHARD_ID", f"is not below NUM_SHARDS = {cfg.NUM_SHARDS}", "count nodes from 0"
        )
    if (cfg.TRAIN.SHARDING, cfg.SOLVER.OPTIMIZING_METHOD, cfg.SOLVER.FUSED) == (
        "fsdp",
        "sgd",
        True,
    ):
        yield Problem(
            "SOLVER.FUSED", "torch has no fused SGD for TRAIN.SHARDING fsdp", "set it to False"
        )
    if cfg.MIXUP.ENABLE and not (cfg.MIXUP.ALPHA or cfg.MIXUP.CUTMIX_ALPHA):
        yield Problem(
            "MIXUP.ENABLE", "both MIXUP.ALPHA and MIXUP.CUTMIX_ALPHA are 0", "set one of them"
        )


def check_rendered_length(cfg: CfgNode) -> Iterable[Problem]:
    """Clips longer than the videos of the built-in set, whose length is known before they are rendered."""
    span = clip_span(MOTION_FPS, options_of(cfg, SamplingOptions))
    if "motionshapes" in (cfg.TRAIN.DATASET, cfg.TEST.DATASET) and span > cfg.MOTION.NUM_FRAMES:
        yield Problem(
            "DATA.NUM_FRAMES",
            f"a clip spans {span:.0f} frames, a video has MOTION.NUM_FRAMES = {cfg.MOTION.NUM_FRAMES}",
            "lower DATA.NUM_FRAMES or DATA.SAMPLING_RATE, or raise MOTION.NUM_FRAMES",
        )


CHECKS = (
    check_task,
    check_model,
    check_clips,
    check_solver,
    check_names,
    check_run,
    check_rendered_length,
    check_loggers,
)
