"""cfg -> all objects of a training run."""

import logging
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from yacs.config import CfgNode

from slowfast_ext.config.explain import changed_keys
from slowfast_ext.config.schema import schema
from slowfast_ext.data.annotations import read_videos
from slowfast_ext.data.loader import EvalLoader, TrainLoader
from slowfast_ext.data.records import VideoSet
from slowfast_ext.data.sampling import centre_view
from slowfast_ext.engine.checkpoint import CheckpointStore
from slowfast_ext.engine.distributed import Vote, World, from_main
from slowfast_ext.engine.ema import WeightAverage
from slowfast_ext.engine.facts import training_facts
from slowfast_ext.engine.guard import SafeStepper
from slowfast_ext.engine.initial import load_initial_weights
from slowfast_ext.engine.ledger import BadLedger
from slowfast_ext.engine.log import StatsWriter
from slowfast_ext.engine.loss import build_loss
from slowfast_ext.engine.optim import build_optimizer, freeze
from slowfast_ext.engine.precision import loss_scaler
from slowfast_ext.engine.run import TrainingRun
from slowfast_ext.engine.seeding import seed_model
from slowfast_ext.engine.signals import StopRequest
from slowfast_ext.models import VideoModel, build_model
from slowfast_ext.tasks import build_task

logger = logging.getLogger(__name__)


def build_training(cfg: CfgNode, world: World, stop_request: StopRequest) -> TrainingRun:
    """Everything that the loop needs, resumed from OUTPUT_DIR where TRAIN.AUTO_RESUME finds a checkpoint."""
    videos = read_everywhere(cfg, world, "train")
    val_videos = read_everywhere(cfg, world, "val")
    store = CheckpointStore(cfg.OUTPUT_DIR, cfg.TRAIN.KEEP_CHECKPOINTS)
    resumed = from_main(world, lambda: _find_resume(cfg, store))
    model = prepare_model(cfg, world)
    if resumed is None and cfg.TRAIN.CHECKPOINT_FILE_PATH:
        load_initial_weights(cfg, model)
    if cfg.TRAIN.FREEZE:
        logger.info("frozen: %d tensors match TRAIN.FREEZE", freeze(model, cfg.TRAIN.FREEZE))
    optimizer = build_optimizer(cfg, model)
    scaler = loss_scaler(world.device, cfg.TRAIN.PRECISION)
    run = TrainingRun(
        cfg=cfg,
        world=world,
        model=model,
        forward=wrap_model(cfg, world, model),
        average=WeightAverage(model, cfg.TRAIN.EMA_DECAY) if cfg.TRAIN.EMA_DECAY else None,
        optimizer=optimizer,
        stepper=SafeStepper(
            model, optimizer, cfg.SOLVER.CLIP_GRAD_L2NORM, cfg.TRAIN.MAX_BAD_STEPS, scaler
        ),
        loss=build_loss(cfg, videos.records).to(world.device),
        loader=TrainLoader.from_cfg(cfg, videos, build_task(cfg), world.rank, world.size),
        val_loader=EvalLoader.from_cfg(
            cfg, val_videos, centre_view(), build_task(cfg), world.rank, world.size
        ),
        store=store,
        stats=StatsWriter(cfg, world),
        ledger=BadLedger(world, cfg.OUTPUT_DIR, cfg.DATA.MAX_BAD_SHARE),
        stop_request=stop_request,
        votes=Vote(world, count=2),
    )
    if resumed is not None:
        resume(run, *resumed)
    for fact in training_facts(cfg, world, videos, run.steps_per_epoch):
        logger.info(fact)
    return run


def read_everywhere(cfg: CfgNode, world: World, split: str) -> VideoSet:
    """The videos of a split; the main process reads (and may render) first, the others then read the same."""
    videos = from_main(world, lambda: read_videos(cfg, split) if world.size > 1 else None)
    return videos if videos is not None else read_videos(cfg, split)


def prepare_model(cfg: CfgNode, world: World) -> VideoModel:
    """The model on its device, with the initial weights that RNG_SEED gives in every process."""
    seed_model(cfg.RNG_SEED)
    model = build_model(cfg).to(world.device)
    if cfg.TRAIN.CHANNELS_LAST:
        model = model.to(memory_format=torch.channels_last_3d)
    return model


def wrap_model(cfg: CfgNode, world: World, model: nn.Module) -> nn.Module:
    """The model as the loop calls it: compiled, and with gradients averaged over processes."""
    called = torch.compile(model) if cfg.TRAIN.COMPILE else model
    if world.size == 1:
        return called
    device_ids = [world.device] if world.device.type == "cuda" else None
    return DistributedDataParallel(called, device_ids=device_ids, gradient_as_bucket_view=True)


def _find_resume(cfg: CfgNode, store: CheckpointStore) -> tuple[Path, dict[str, Any]] | None:
    return store.newest_sound() if cfg.TRAIN.AUTO_RESUME else None


def resume(run: TrainingRun, path: Path, state: dict[str, Any]) -> None:
    """Take over a checkpoint and say what is configured differently since."""
    run.restore(state)
    logger.info("resumed from %s: epoch %d, step %d", path, run.position.epoch, run.position.step)
    before = CfgNode(yaml.safe_load(state["cfg"]))
    for line in config_changes(before, run.cfg):
        logger.warning("changed since the checkpoint: %s", line)


def config_changes(before: CfgNode, after: CfgNode) -> list[str]:
    """Keys that differ between two trees, as "KEY: old -> new"."""
    old, new = changed_keys(before), changed_keys(after)
    keys = sorted(key for key in {*old, *new} if key in schema())
    pairs = [
        (key, old.get(key, schema()[key].default), new.get(key, schema()[key].default))
        for key in keys
    ]
    return [f"{key}: {was!r} -> {now!r}" for key, was, now in pairs if was != now]
