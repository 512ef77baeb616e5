"""The training loop."""

import math
import time
from collections.abc import Iterator
from pathlib import Path

from slowfast_ext.data.loader import Batch
from slowfast_ext.data.prefetch import on_device
from slowfast_ext.data.seeds import seed_step
from slowfast_ext.engine.checkpoint import Position
from slowfast_ext.engine.distributed import from_main
from slowfast_ext.engine.evaluate import evaluate
from slowfast_ext.engine.optim import set_learning_rate, training_mode
from slowfast_ext.engine.precision import autocast, wait
from slowfast_ext.engine.run import TrainingRun
from slowfast_ext.engine.sharding import gathered
from slowfast_ext.errors import Interrupted
from slowfast_ext.tasks import METRICS


def train(run: TrainingRun) -> None:
    """Train from the run's position to SOLVER.MAX_EPOCH.

    Raises Interrupted after a checkpoint when a stop was asked for, DataError when too many samples or
    steps are bad.
    """
    with run.stop.watched():
        if run.evaluation_pending:
            validate(run, run.position)
            run.log.row(run.position.epoch, run.best_in_words())
        for epoch in range(run.position.epoch, run.recipe.solver.max_epoch):
            train_epoch(run, epoch, first_step=run.position.step)
            end_epoch(run, epoch)
            run.position = Position(epoch + 1)


def train_epoch(run: TrainingRun, epoch: int, first_step: int = 0) -> None:
    """The steps of one epoch from `first_step` on."""
    training_mode(run.model)
    run.log.start_epoch()
    loaded = run.loader.epoch(epoch, first_step * run.recipe.train.accumulate)
    batches = run.log.timed(on_device(loaded, run.world.device))
    for step in range(first_step, run.steps_per_epoch):
        rate = run.recipe.learning_rate(epoch + step / run.steps_per_epoch)
        set_learning_rate(run.optimizer, rate)
        seed_step(run.recipe.run.rng_seed, epoch, step, run.world.rank)
        train_step(run, epoch, step, batches)
        run.log.step(epoch, step, run.steps_per_epoch, rate, run.stepper)
        checkpoint_if_due(run, Position(epoch, step + 1))


def train_step(run: TrainingRun, epoch: int, step: int, batches: Iterator[Batch]) -> None:
    """One step of the optimizer with the gradients of TRAIN.ACCUMULATE batches."""
    passes, videos = run.recipe.train.accumulate, []
    for part in range(passes):
        batch = next(batches)
        inputs, targets = run.inputs(batch, epoch, step * passes + part)
        with run.sync_of(part):
            with autocast(run.world.device, run.recipe.train.precision):
                output = run.forward(*inputs)
            loss = run.task.loss(output, targets)
            run.stepper.backward(loss / passes)
        run.log.add(batch, loss, run.task.running_sums(output, targets), run.recipe.repeats)
        videos += batch.index_B.tolist()
    run.stepper.clip()
    run.stepper.step(epoch * run.steps_per_epoch + step, videos)
    run.stepper.zero_grad()
    if run.average:
        run.average.update(run.model)


def seconds_per_step(run: TrainingRun, most: int, enough: float = math.inf) -> float:
    """Mean over up to `most` steps after the first, fewer once they took `enough` seconds: what a training will cost."""
    device = run.world.device
    batches = on_device(run.loader.epoch(0), device)
    training_mode(run.model)
    started = time.perf_counter()
    train_step(run, 0, 0, batches)
    wait(device)
    cold = time.perf_counter() - started
    started, steps, seconds = time.perf_counter(), 0, 0.0
    while steps < min(most, run.steps_per_epoch - 1) and seconds < enough:
        steps += 1
        train_step(run, 0, steps, batches)
        wait(device)
        seconds = time.perf_counter() - started
    return seconds / steps if steps else cold


def end_epoch(run: TrainingRun, epoch: int) -> None:
    """Log, checkpoint and evaluate as their periods say, and always at the end of training."""
    options, done = run.recipe.train, epoch + 1
    run.log.end_epoch(done)
    evaluates = done == run.recipe.solver.max_epoch or done % options.eval_period == 0
    if evaluates or run.stopping or done % options.checkpoint_period == 0:
        stop_if_asked(run, save(run, Position(done), evaluation_pending=evaluates))
    if evaluates:
        validate(run, Position(done))
    run.log.row(done, run.best_in_words())


def validate(run: TrainingRun, position: Position) -> None:
    """Evaluate the weights just saved at `position`, one centre view a video; remember the best."""
    recipe = run.recipe
    with gathered(run.evaluated_model):
        evaluation = evaluate(
            run.evaluated_model,
            run.val_loader,
            run.task,
            pixels=recipe.pixels,
            options=recipe.test,
            on_decode_error=recipe.scores.on_decode_error,
            world=run.world,
            stop=run.stop,
            on_batch=run.log.validating(),
        )
    metrics = run.task.evaluate(evaluation.counted(recipe.scores.on_decode_error))
    run.log.validation(position.epoch, {"undecoded": len(evaluation.errors), **metrics})
    name = run.task.best_by(recipe.scores.metric)
    rank = METRICS.get(name).rank(metrics[name])
    if rank > run.best:
        run.best, run.best_epoch = rank, position.epoch
        if run.world.is_main:
            run.store.mark_best(position)


def checkpoint_if_due(run: TrainingRun, position: Position) -> None:
    """Checkpoint inside an epoch by steps, minutes or a stop request, on which all processes agree."""
    steps, minutes = run.recipe.train.checkpoint_steps, run.recipe.train.checkpoint_minutes
    late = run.world.is_main and 0 < minutes <= run.store.minutes_since_save
    run.stopping, late = run.votes.cast(bool(run.stop), late)
    by_steps = steps > 0 and position.step % steps == 0
    if position.step < run.steps_per_epoch and (by_steps or late or run.stopping):
        stop_if_asked(run, save(run, position))


def save(run: TrainingRun, position: Position, evaluation_pending: bool = False) -> Path:
    """Write the state reached at `position`; all join their parts and add up their meters, the main process writes.

    Nobody goes on, or ends, before it is written; all raise WriteError where it cannot be.
    """
    meter = run.log.meter_state() if position.step else {}
    state = run.state_dict(position, meter, evaluation_pending)
    return from_main(run.world, lambda: run.store.save(state, position))


def stop_if_asked(run: TrainingRun, path: Path) -> None:
    """Raise Interrupted, now that `path` holds the state, if any process was asked to stop."""
    if run.stopping:
        name = run.stop.name or "a signal to another process"
        again = "the same command goes on from there"
        if not run.recipe.train.auto_resume:
            again = "TRAIN.AUTO_RESUME True goes on from there"
        raise Interrupted(f"stopped by {name}; {path} is written, {again}")
