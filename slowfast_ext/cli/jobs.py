"""What each process of `train` and `test` does."""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack

import torch
from yacs.config import CfgNode

from slowfast_ext.analysis.memory import planned
from slowfast_ext.cli.signals import stop_on_signals
from slowfast_ext.cli.summary import ending, environment
from slowfast_ext.config import options_of
from slowfast_ext.data.loader import LoaderOptions
from slowfast_ext.engine.checkpoint import FOLDER as CHECKPOINTS
from slowfast_ext.engine.distributed import World, from_main, joined_world
from slowfast_ext.engine.log import CONFIG_FILE, StatsWriter, prepare_output, setup_logging
from slowfast_ext.engine.options import RunOptions
from slowfast_ext.engine.precision import peak_bytes
from slowfast_ext.engine.results import FOLDER as RESULTS
from slowfast_ext.engine.run import TrainingRun
from slowfast_ext.engine.setup import build_training
from slowfast_ext.engine.test import run_test
from slowfast_ext.engine.train import seconds_per_step, train
from slowfast_ext.files import remove_temporary, write_atomically
from slowfast_ext.lock import only_run_in
from slowfast_ext.loggers import Loggers, build_loggers
from slowfast_ext.processes import StopRequest
from slowfast_ext.screen import Screen, clock, open_screen

logger = logging.getLogger(__name__)

DRY_STEPS = 2


def train_and_test(cfg: CfgNode, published: str = "") -> None:
    """TRAIN.ENABLE and TEST.ENABLE, in this order; OUTPUT_DIR/config.yaml says how it was started last.

    `published` is what the recipe's paper reports, to be said beside the result.
    """
    options = options_of(cfg, RunOptions)
    with stop_on_signals(polled=False) as stop, _world(cfg) as world:
        screen = open_screen() if world.is_main else Screen()
        with ExitStack() as ends:
            taken_over = from_main(world, lambda: _prepare(cfg, ends))
            ends.callback(screen.clear)
            setup_logging(world, options.output_dir, screen)
            torch.use_deterministic_algorithms(options.deterministic, warn_only=True)
            torch.set_float32_matmul_precision(options.matmul_precision)
            for fact in filter(None, (environment(world), taken_over)):
                logger.info(fact)
            _run(cfg, world, stop, screen, published)


def _run(cfg: CfgNode, world: World, stop: StopRequest, screen: Screen, published: str) -> None:
    loggers = build_loggers(cfg) if world.is_main else Loggers()
    stats = StatsWriter(cfg.OUTPUT_DIR, world.is_main, loggers)
    best, result, metrics = "", {}, {}
    try:
        if cfg.TRAIN.ENABLE:
            run = build_training(cfg, world, stop, stats, screen)
            loggers.open()
            train(run)
            run.close()
            best, result = run.best_in_words(), run.best_metric()
        if cfg.TEST.ENABLE:
            loggers.open()
            metrics = run_test(cfg, world, stop, stats, screen)
        loggers.finish(metrics or result)
    finally:
        stats.close()
    if world.is_main:
        tested = cfg.TEST.CHECKPOINT_FILE_PATH
        for line in ending(cfg.OUTPUT_DIR, best, metrics, tested, published):
            logger.info(line)


def _world(cfg: CfgNode) -> AbstractContextManager[World]:
    return joined_world(options_of(cfg, RunOptions), options_of(cfg, LoaderOptions).num_workers)


def _prepare(cfg: CfgNode, ends: ExitStack) -> str:
    """OUTPUT_DIR for this run alone until it `ends`, without rubbish of killed ones; says so if it takes one's place."""
    folder = prepare_output(cfg.OUTPUT_DIR)
    taken_over = ends.enter_context(only_run_in(folder))
    for part in (folder, folder / CHECKPOINTS, folder / RESULTS):
        remove_temporary(part)
    write_atomically(
        folder / CONFIG_FILE, lambda path: path.write_text(cfg.dump(), encoding="utf-8")
    )
    return taken_over


def dry_run(cfg: CfgNode) -> None:
    """Build all, run two training steps after one to warm up, print what the whole run will cost.

    Nothing is read from or written to OUTPUT_DIR.
    """
    cfg = cfg.clone()
    cfg.defrost()
    cfg.TRAIN.AUTO_RESUME = False
    with _world(cfg) as world, tempfile.TemporaryDirectory() as folder:
        cfg.OUTPUT_DIR = folder
        setup_logging(world, folder)
        for line in _planned(cfg, world) if world.is_main else ():
            logger.info(line)
        run = build_training(cfg, world)
        for line in _measure(run):
            logger.info(line)
        run.close()


def _planned(cfg: CfgNode, world: World) -> Iterator[str]:
    """Before anything is built, as what is built may not fit."""
    try:
        yield from planned(cfg, world.device, world.size)
    except Exception as error:  # a model may do what shapes alone do not allow
        yield f"memory: cannot be planned from shapes alone ({type(error).__name__}: {error})"


def _measure(run: TrainingRun) -> Iterator[str]:
    device, epochs = run.world.device, run.recipe.solver.max_epoch
    seconds = seconds_per_step(run, DRY_STEPS)
    speed = run.recipe.effective_batch / seconds
    yield f"peak memory: {peak_bytes(device) / 2**20:.0f} MiB on {device} (this process)"
    yield f"step: {seconds:.3f} s, {speed:.1f} clips/s over all processes, loading included"
    whole = seconds * run.steps_per_epoch * epochs
    hours = (
        f"{whole * run.world.size / 3600:.3g} {'GPU' if device.type == 'cuda' else 'process'}-hours"
    )
    yield (
        f"whole run: {clock(whole)}, {hours}, for {epochs} epochs of {run.steps_per_epoch} steps, "
        "evaluation aside"
    )
