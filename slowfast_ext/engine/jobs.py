"""The jobs of tools/run_net.py, as each process runs them."""

import logging
import tempfile
import time

import torch
from yacs.config import CfgNode

from slowfast_ext.engine.device import peak_bytes, wait
from slowfast_ext.engine.distributed import from_main, start_world, stop_world
from slowfast_ext.engine.log import CONFIG_FILE, clock, prepare_output, setup_logging
from slowfast_ext.engine.multiview import test
from slowfast_ext.engine.run import TrainingRun
from slowfast_ext.engine.setup import build_training
from slowfast_ext.engine.signals import StopRequest
from slowfast_ext.engine.train import accumulate, train

logger = logging.getLogger(__name__)


def train_and_test(cfg: CfgNode) -> None:
    """TRAIN.ENABLE and TEST.ENABLE, in this order; OUTPUT_DIR/config.yaml says how it was started last."""
    world = start_world(cfg)
    try:
        from_main(world, lambda: _prepare(cfg))
        setup_logging(world, cfg.OUTPUT_DIR)
        torch.use_deterministic_algorithms(cfg.DETERMINISTIC, warn_only=True)
        stop_request = StopRequest()
        logger.info(
            "device %s, %d processes, output in %s", world.device, world.size, cfg.OUTPUT_DIR
        )
        if cfg.TRAIN.ENABLE:
            run = build_training(cfg, world, stop_request)
            train(run)
            run.close()
        if cfg.TEST.ENABLE:
            test(cfg, world, stop_request)
    finally:
        stop_world()


def _prepare(cfg: CfgNode) -> None:
    folder = prepare_output(cfg.OUTPUT_DIR)
    (folder / CONFIG_FILE).write_text(cfg.dump(), encoding="utf-8")


DRY_STEPS = 2


def dry_run(cfg: CfgNode) -> None:
    """Build all, run two training steps after one to warm up, print what the whole run will cost.

    Nothing is read from or written to OUTPUT_DIR.
    """
    world = start_world(cfg)
    cfg = cfg.clone()
    cfg.defrost()
    cfg.TRAIN.AUTO_RESUME, cfg.TENSORBOARD.ENABLE = False, False
    try:
        with tempfile.TemporaryDirectory() as folder:
            cfg.OUTPUT_DIR = folder
            setup_logging(world, folder)
            run = build_training(cfg, world, StopRequest())
            for line in _measure(run):
                logger.info(line)
            run.close()
    finally:
        stop_world()


def _measure(run: TrainingRun) -> list[str]:
    meter, batches = run.epoch_meter(), run.loader.epoch(0)
    run.model.train()
    started, steps = time.perf_counter(), min(DRY_STEPS, run.steps_per_epoch - 1)
    for step in range(steps + 1):
        if step == 1:
            wait(run.world.device)
            started = time.perf_counter()
        videos = accumulate(run, 0, step, batches, meter)
        run.stepper.step(step, videos)
    wait(run.world.device)
    seconds = (time.perf_counter() - started) / max(steps, 1)
    whole = seconds * run.steps_per_epoch * run.cfg.SOLVER.MAX_EPOCH
    return [
        f"peak memory: {peak_bytes(run.world.device) / 2**20:.0f} MiB on {run.world.device} (this process)",
        f"step: {seconds:.3f} s, {run.effective_batch / seconds:.1f} clips/s over all processes, loading included",
        f"whole run: {clock(whole)} for {run.cfg.SOLVER.MAX_EPOCH} epochs of {run.steps_per_epoch} steps, "
        "evaluation aside",
    ]
