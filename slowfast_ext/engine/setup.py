"""cfg -> all objects of a training run."""

import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.optim import Optimizer
from yacs.config import CfgNode

from slowfast_ext.config import load_text, options_of
from slowfast_ext.config.explain import changed_keys
from slowfast_ext.config.schema import schema
from slowfast_ext.data.advice import SlowData, memory_in_words
from slowfast_ext.data.annotations import read_videos
from slowfast_ext.data.loader import EvalLoader, LoaderOptions, TrainLoader
from slowfast_ext.data.records import VideoSet
from slowfast_ext.data.sampling import SamplingOptions, centre_view, clip_seconds
from slowfast_ext.data.seeds import seed_model
from slowfast_ext.engine.checkpoint import CheckpointStore, Position
from slowfast_ext.engine.distributed import Vote, World, from_main
from slowfast_ext.engine.load import load_initial_weights, start_weights
from slowfast_ext.engine.log import STATS_FILE, StatsWriter, TrainingLog
from slowfast_ext.engine.optim import build_optimizer, freeze, trained_names
from slowfast_ext.engine.options import (
    ReadErrorOptions,
    RunOptions,
    TrainOptions,
)
from slowfast_ext.engine.precision import loss_scaler
from slowfast_ext.engine.read_errors import ReadErrors
from slowfast_ext.engine.results import FOLDER as RESULTS
from slowfast_ext.engine.run import Recipe, TrainingRun
from slowfast_ext.engine.sharding import as_called, shard
from slowfast_ext.engine.step import SafeStepper, WeightAverage
from slowfast_ext.errors import CheckpointError, ConfigError
from slowfast_ext.loggers import files_of_a_run
from slowfast_ext.models import VideoModel, build_model
from slowfast_ext.models.weights import LoadOptions, current_names
from slowfast_ext.processes import StopRequest
from slowfast_ext.screen import Screen, plural
from slowfast_ext.tasks import Task, build_task

logger = logging.getLogger(__name__)


def build_training(
    cfg: CfgNode,
    world: World,
    stop: StopRequest | None = None,
    stats: StatsWriter | None = None,
    screen: Screen | None = None,
) -> TrainingRun:
    """Everything that the loop needs, resumed from OUTPUT_DIR where TRAIN.AUTO_RESUME finds a checkpoint.

    Numbers go to `stats`, without it to stats.jsonl only; progress is shown on `screen` if there is one.
    """
    recipe = Recipe.from_cfg(cfg)
    options = recipe.train
    videos, val_videos = (read_everywhere(cfg, world, split) for split in ("train", "val"))
    task = build_task(cfg, (record.labels for record in videos))
    store = CheckpointStore(recipe.run.output_dir, options.keep_checkpoints)
    others = (STATS_FILE, RESULTS, *files_of_a_run())
    set_aside = partial(store.set_aside, *(store.folder.with_name(name) for name in others))
    resumed = from_main(world, store.newest_sound) if options.auto_resume else None
    if resumed is None and (aside := from_main(world, set_aside)):
        logger.warning(
            "checkpoints of an earlier run are in %s now, its numbers and results beside it", aside
        )
    model = prepare_model(cfg, world)
    model.class_names = videos.class_names
    if resumed is None and options.checkpoint_file_path and not options.from_scratch:
        weights = start_weights(options.checkpoint_file_path, recipe.run.output_dir)
        load_initial_weights(model, weights, options_of(cfg, LoadOptions))
    if options.freeze:
        logger.info("frozen: %d tensors match TRAIN.FREEZE", freeze(model, options.freeze))
    average = WeightAverage(model, options.ema_decay) if options.ema_decay else None
    for copy in (model, average.model) if average else (model,):
        shard(copy, options, world)
    optimizer = build_optimizer(recipe.solver, model)
    run = TrainingRun(
        recipe=recipe,
        config=cfg.dump(),
        world=world,
        task=task,
        model=model,
        forward=as_called(model, options, world),
        average=average,
        optimizer=optimizer,
        stepper=SafeStepper(
            model,
            optimizer,
            recipe.solver.clip_grad_l2norm,
            options.max_bad_steps,
            loss_scaler(world.device, options.precision),
            world,
        ),
        loader=TrainLoader.from_cfg(cfg, videos, task, world.rank, world.size),
        val_loader=EvalLoader.from_cfg(
            cfg, val_videos, centre_view(), task, world.rank, world.size
        ),
        store=store,
        log=_training_log(cfg, recipe, world, task, videos, stats, screen),
        votes=Vote(world, count=2),
        stop=StopRequest() if stop is None else stop,
    )
    if run.steps_per_epoch == 0:
        raise ConfigError(
            f"TRAIN.ACCUMULATE = {options.accumulate}: an epoch has only {run.loader.steps_per_epoch} batches"
        )
    if resumed is not None:
        resume(run, *resumed)
    for fact in (clip_in_words(cfg), *_facts(run), *videos.notes):
        logger.info(fact)
    memory, fits = memory_in_words(cfg, world.local_size)
    if memory:
        logger.log(logging.INFO if fits else logging.WARNING, memory)
    return run


def _training_log(
    cfg: CfgNode,
    recipe: Recipe,
    world: World,
    task: Task,
    videos: VideoSet,
    stats: StatsWriter | None,
    screen: Screen | None,
) -> TrainingLog:
    folder = recipe.run.output_dir
    return TrainingLog(
        world,
        task.running,
        stats or StatsWriter(folder, world.is_main),
        ReadErrors(world, folder, options_of(cfg, ReadErrorOptions).max_bad_share),
        lambda video: videos.records[video].path,
        recipe.run.log_period,
        recipe.solver.max_epoch,
        recipe.train.accumulate,
        screen,
        SlowData(options_of(cfg, LoaderOptions), world.local_size, recipe.repeats),
    )


def read_everywhere(cfg: CfgNode, world: World, split: str) -> VideoSet:
    """The videos of a split; the main process reads (and may render) first, the others then read the same."""
    videos = from_main(world, lambda: read_videos(cfg, split) if world.size > 1 else None)
    return videos if videos is not None else read_videos(cfg, split)


def prepare_model(cfg: CfgNode, world: World) -> VideoModel:
    """The model on its device, with the initial weights that RNG_SEED gives in every process."""
    seed_model(options_of(cfg, RunOptions).rng_seed)
    model = build_model(cfg).to(world.device)
    if options_of(cfg, TrainOptions).channels_last:
        model = model.to(memory_format=torch.channels_last_3d)
    return model


def resume(run: TrainingRun, path: Path, state: dict[str, Any]) -> None:
    """Take over a checkpoint of this version or an earlier one, and say what is configured differently since.

    Raises CheckpointError where the model or the optimizer is another, or more epochs are done than are asked for.
    """
    before, after = (load_text(text, str(path)) for text in (state["cfg"], run.config))
    changes = config_changes(before, after)
    try:
        if any(line.startswith("SOLVER.OPTIMIZING_METHOD") for line in changes):
            raise ValueError("its state is that of another optimizer")
        run.load_state_dict(_with_current_names(state, run.model, run.optimizer))
    except (ValueError, KeyError, RuntimeError) as error:
        raise CheckpointError(
            f"{path}: cannot be resumed ({error}); changed since: {', '.join(changes) or 'nothing'}. "
            f"Undo that, or start anew: OUTPUT_DIR another folder, TRAIN.CHECKPOINT_FILE_PATH {path}"
        ) from error
    run.position = _in_steps_of_now(run, before)
    done, asked = run.position, run.recipe.solver.max_epoch
    if (done.epoch, done.step) > (asked, 0):
        raise CheckpointError(
            f"{path}: {done.epoch} epochs and {done.step} steps are done, more than SOLVER.MAX_EPOCH = {asked}. "
            "Raise it, train in another OUTPUT_DIR, or only test: TRAIN.ENABLE False"
        )
    logger.info("resumed from %s: epoch %d, step %d", path, done.epoch, done.step)
    for line in changes:
        logger.warning("changed since the checkpoint: %s", line)


def _in_steps_of_now(run: TrainingRun, before: CfgNode) -> Position:
    """The position after the same videos of the epoch where a step takes more or fewer of them since."""
    then = before.TRAIN.BATCH_SIZE * before.NUM_SHARDS * before.TRAIN.ACCUMULATE
    now = run.loader.batch_size * run.recipe.train.accumulate
    step = run.position.step * then // now
    return Position(run.position.epoch, min(step, run.steps_per_epoch))


def _with_current_names(
    state: dict[str, Any], model: VideoModel, optimizer: Optimizer
) -> dict[str, Any]:
    """The state with today's names of parameters and sums.

    Before 0.2 the optimizer knew parameters by their order: ValueError where it is not the model's.
    """
    weights, average = current_names(state["model_state"]), state["ema_state"]
    own = [name for name, _ in model.named_parameters()]
    if set(own) - set(weights) or set(weights) - set(model.state_dict()):
        raise ValueError("it has other parameters than the model")
    trained = state.get("optimizer_names")
    if trained is None:
        trained = trained_names(optimizer, model)
        groups = state["optimizer_state"]["param_groups"]
        sizes = [[len(g["params"]) for g in some] for some in (groups, optimizer.param_groups)]
        if [name for name in weights if name in set(own)] != own or sizes[0] != sizes[1]:
            raise ValueError("it has other parameters than the model, or in another order")
    meter = {
        part: sums | {f"{name}_acc": 100 * sums[name] for name in ("top1", "top5") if name in sums}
        for part, sums in state["meter"].items()
    }
    return {
        **state,
        "meter": meter,
        "model_state": weights,
        "ema_state": current_names(average) if average else None,
        "optimizer_names": trained,
    }


def config_changes(before: CfgNode, after: CfgNode) -> list[str]:
    """Keys that differ between two trees, as "KEY: old -> new"."""
    old, new = changed_keys(before), changed_keys(after)
    keys = sorted(key for key in {*old, *new} if key in schema())
    pairs = [
        (key, old.get(key, schema()[key].default), new.get(key, schema()[key].default))
        for key in keys
    ]
    return [f"{key}: {was!r} -> {now!r}" for key, was, now in pairs if was != now]


_USUAL_FPS = (12.0, 25.0, 30.0)


def clip_in_words(cfg: CfgNode) -> str:
    """The stretch of video that a clip covers."""
    options = options_of(cfg, SamplingOptions)
    if options.sampling == "segment":
        return f"clip: {options.num_frames} frames, one from each equal part of the video"
    if options.sampling_share:
        return f"clip: {options.num_frames} frames, over {options.sampling_share:.0%} of the video"
    rates = (options.target_fps,) if options.target_fps else _USUAL_FPS
    seconds = ", ".join(
        f"{clip_seconds(fps, options):.1f} s of a video of {fps:g} fps" for fps in rates
    )
    return f"clip: {options.num_frames} frames, stride {options.sampling_rate}; it spans {seconds}"


def _facts(run: TrainingRun) -> Iterator[str]:
    """What follows from a configuration and is often taken for something else: effective batch, steps, rate."""
    recipe, world = run.recipe, run.world
    train, solver = recipe.train, recipe.solver
    yield (
        f"training set: {len(run.loader.videos)} videos, {run.steps_per_epoch} steps per epoch, "
        f"{solver.max_epoch} epochs"
    )
    batch = train.batch_size * recipe.run.num_shards
    if batch > len(run.loader.videos):
        yield (
            f"a batch of {batch} videos is larger than the training set: videos are repeated to fill it "
            "(lower TRAIN.BATCH_SIZE)"
        )
    factors = [
        (train.batch_size // world.local_size, "video", ""),
        (world.size, "process", ""),
        (recipe.repeats, "clip", " per video"),
        (train.accumulate, "accumulation step", ""),
    ]
    shown = [
        plural(count, what) + of for count, what, of in factors if what == "video" or count > 1
    ]
    yield f"effective batch: {plural(recipe.effective_batch, 'clip')} = {' x '.join(shown)}"
    peak = recipe.learning_rate(solver.warmup_epochs)
    yield f"learning rate: {peak:.4g} after {solver.warmup_epochs:g} epochs of warm-up"
