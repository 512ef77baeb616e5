"""What the engine's guarantees cost: its step against a bare one on the same batch, in turn.

A bare step is forward, backward and optimizer. The engine's adds the seed of the step, the check for non-finite
gradients, metrics on the device, the vote on stopping, the schedule and the ledger.
"""

import argparse
import statistics
import tempfile
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from slowfast_ext.analysis import timing
from slowfast_ext.config import load_config, options_of
from slowfast_ext.data.loader import Batch
from slowfast_ext.data.prefetch import on_device
from slowfast_ext.data.seeds import seed_step
from slowfast_ext.engine.checkpoint import Position
from slowfast_ext.engine.checks import CHECKS
from slowfast_ext.engine.distributed import joined_world
from slowfast_ext.engine.optim import set_learning_rate
from slowfast_ext.engine.options import RunOptions
from slowfast_ext.engine.precision import autocast
from slowfast_ext.engine.run import TrainingRun
from slowfast_ext.engine.setup import build_training
from slowfast_ext.engine.train import checkpoint_if_due, train_step


def main(argv: Sequence[str]) -> int:
    """Print the median time of both steps and the median of their ratio, pair by pair."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks engine", description=__doc__)
    parser.add_argument("--cfg", nargs="+", required=True, metavar="FILE")
    parser.add_argument("--pairs", type=int, default=30, help="pairs of steps that are timed")
    parser.add_argument("--opts", nargs="*", default=[], metavar="KEY VALUE")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        quiet = ["OUTPUT_DIR", folder, "TRAIN.AUTO_RESUME", "False", "TENSORBOARD.ENABLE", "False"]
        cfg = load_config(args.cfg, [*args.opts, *quiet], CHECKS)
        with joined_world(options_of(cfg, RunOptions), loader_workers=0) as world:
            run = build_training(cfg, world)
            bare, guarded = _time_pairs(run, args.pairs)
            run.close()
    table = Table("step", "median ms")
    table.add_row("bare", f"{1000 * statistics.median(bare):.2f}")
    table.add_row("with all guarantees", f"{1000 * statistics.median(guarded):.2f}")
    Console().print(table)
    ratios = [g / b for b, g in zip(bare, guarded, strict=True)]
    print(f"median ratio {statistics.median(ratios):.4f} over {args.pairs} pairs")
    return 0


def _time_pairs(run: TrainingRun, pairs: int) -> tuple[list[float], list[float]]:
    batch = next(on_device(run.loader.epoch(0), run.world.device))
    run.model.train()

    def guarded() -> None:
        set_learning_rate(run.optimizer, run.recipe.learning_rate(0.0))
        seed_step(run.recipe.run.rng_seed, 0, 0, run.world.rank)
        train_step(run, 0, 0, iter([batch] * run.recipe.train.accumulate))
        checkpoint_if_due(run, Position(0, 1))

    times: tuple[list[float], list[float]] = ([], [])
    for pair in range(pairs + 2):
        for work, record in zip((lambda: _bare_step(run, batch), guarded), times, strict=True):
            taken = timing.seconds(work, run.world.device)
            if pair >= 2:
                record.append(taken)
    return times


def _bare_step(run: TrainingRun, batch: Batch) -> None:
    for _ in range(run.recipe.train.accumulate):
        inputs, targets = run.inputs(batch, 0, 0)
        with autocast(run.world.device, run.recipe.train.precision):
            output = run.forward(*inputs)
        run.task.loss(output, targets).backward()
    run.optimizer.step()
    run.optimizer.zero_grad(set_to_none=True)
