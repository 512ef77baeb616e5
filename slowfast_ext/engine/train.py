"""The training loop.

Shapes: B clips, K classes of a head, T frames, C colours, H W pixels.
"""

import time
from collections.abc import Iterator
from contextlib import nullcontext

from slowfast_ext.data.loader import Batch
from slowfast_ext.engine.checkpoint import Position
from slowfast_ext.engine.meter import EpochMeter
from slowfast_ext.engine.optim import learning_rate, set_learning_rate
from slowfast_ext.engine.precision import autocast
from slowfast_ext.engine.run import TrainingRun
from slowfast_ext.engine.seeding import seed_step


def train(run: TrainingRun) -> None:
    """Train from the run's position to SOLVER.MAX_EPOCH.

    Raises Interrupted after a checkpoint when a stop was asked for, DataError when too many samples or
    steps are bad.
    """
    if run.evaluation_pending:
        run.evaluate(run.position)
    for epoch in range(run.position.epoch, run.cfg.SOLVER.MAX_EPOCH):
        meter = train_epoch(run, epoch, first_step=run.position.step)
        run.end_epoch(epoch, meter)
        run.position = Position(epoch + 1)


def train_epoch(run: TrainingRun, epoch: int, first_step: int = 0) -> EpochMeter:
    """The steps of one epoch from `first_step` on."""
    cfg, steps = run.cfg, run.steps_per_epoch
    run.model.train()
    meter = run.epoch_meter()
    batches = run.loader.epoch(epoch, first_step * cfg.TRAIN.ACCUMULATE)
    for step in range(first_step, steps):
        rate = learning_rate(cfg, epoch + step / steps, run.effective_batch)
        set_learning_rate(run.optimizer, rate)
        seed_step(cfg.RNG_SEED, epoch, step, run.world.rank)
        videos = accumulate(run, epoch, step, batches, meter)
        run.stepper.step(epoch * steps + step, videos)
        if run.average:
            run.average.update(run.model)
        run.log_step(epoch, step, rate, meter)
        run.checkpoint_if_due(epoch, step, meter)
    return meter


def accumulate(
    run: TrainingRun, epoch: int, step: int, batches: Iterator[Batch], meter: EpochMeter
) -> list[int]:
    """Gradients of TRAIN.ACCUMULATE forward passes; returns the indices of their videos."""
    count = run.cfg.TRAIN.ACCUMULATE
    videos: list[int] = []
    for part in range(count):
        started = time.perf_counter()
        batch = next(batches)
        meter.waited(time.perf_counter() - started)
        clip_BCTHW, targets = run.inputs(batch, epoch, step * count + part)
        with nullcontext() if part == count - 1 else run.no_sync():
            with autocast(run.world.device, run.cfg.TRAIN.PRECISION):
                logits = run.forward(clip_BCTHW)
            loss = run.loss(logits, targets)
            run.stepper.backward(loss / count)
        meter.add(
            loss, logits, targets, len(batch.index_B) // run.cfg.AUG.NUM_SAMPLE, len(batch.bad)
        )
        run.ledger.add(batch)
        videos += batch.index_B.tolist()
    return videos
