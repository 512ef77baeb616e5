"""Multi-view testing of trained weights."""

import logging
from collections.abc import Sequence

from yacs.config import CfgNode

from slowfast_ext.config import options_of
from slowfast_ext.data.loader import EvalLoader
from slowfast_ext.data.sampling import View, ViewOptions, views
from slowfast_ext.data.transforms.device import PixelOptions
from slowfast_ext.engine.checkpoint import CheckpointStore
from slowfast_ext.engine.distributed import World
from slowfast_ext.engine.evaluate import evaluate
from slowfast_ext.engine.load import load_test_weights
from slowfast_ext.engine.log import StatsWriter
from slowfast_ext.engine.options import RunOptions, TestOptions
from slowfast_ext.engine.results import class_names, write_results
from slowfast_ext.engine.setup import clip_in_words, prepare_model, read_everywhere
from slowfast_ext.models.weights import LoadOptions
from slowfast_ext.processes import StopRequest
from slowfast_ext.screen import Screen, in_words, plural
from slowfast_ext.tasks import Evaluation, Metrics, Task, build_task
from slowfast_ext.tasks.base import ScoreOptions

logger = logging.getLogger(__name__)

_POLICIES = {"wrong": "counted as wrong", "skip": "left out"}


def run_test(
    cfg: CfgNode,
    world: World,
    stop: StopRequest | None = None,
    stats: StatsWriter | None = None,
    screen: Screen | None = None,
) -> Metrics:
    """Test TEST.CHECKPOINT_FILE_PATH on TEST.NUM_ENSEMBLE_VIEWS clips x TEST.NUM_SPATIAL_CROPS crops.

    Writes OUTPUT_DIR/results and a test_final line, to `stats` where it is given; returns the metrics.
    """
    stats, screen = stats or StatsWriter(cfg.OUTPUT_DIR, world.is_main), screen or Screen()
    folder = options_of(cfg, RunOptions).output_dir
    options, scores = options_of(cfg, TestOptions), options_of(cfg, ScoreOptions)
    videos, task = read_everywhere(cfg, world, "test"), build_task(cfg)
    model = prepare_model(cfg, world)
    path = CheckpointStore(folder, 0).find(options.checkpoint_file_path)
    load_test_weights(model, path, options_of(cfg, LoadOptions), videos)
    clips = views(options_of(cfg, ViewOptions))
    for fact in (
        f"weights: {path}",
        clip_in_words(cfg),
        f"test: {len(videos)} videos, {len(clips)} views each, {scores.ensemble} averaged",
        *videos.notes,
    ):
        logger.info(fact)
    evaluation = evaluate(
        model,
        EvalLoader.from_cfg(cfg, videos, clips, task, world.rank, world.size),
        task,
        pixels=options_of(cfg, PixelOptions),
        options=options,
        on_decode_error=scores.on_decode_error,
        world=world,
        stop=stop,
        central_view=_central(clips),
        on_batch=screen.counter("test"),
    )
    counted = evaluation.counted(scores.on_decode_error)
    metrics = task.evaluate(counted)
    if world.is_main:
        policy = scores.on_decode_error
        results = write_results(folder, videos, evaluation, metrics, task, policy)
        logger.info("results: %s", results)
    done = int(evaluation.decoded.sum())
    counts = {"evaluated": done, "videos": len(videos), "views": len(clips)}
    one_view = _one_view(evaluation, task, scores.on_decode_error)
    single = {f"one_view_{name}": value for name, value in one_view.items()}
    stats.write({"_type": "test_final", "split": "test_final", **counts, **metrics, **single}, 0)
    names = [class_names(videos, head, count) for head, count in enumerate(task.num_classes)]
    stats.loggers.tables(task.tables(counted, names))
    words = f"evaluated {done} of {len(videos)} videos, {plural(len(clips), 'view')} each"
    if done < len(videos):
        undecoded = plural(len(videos) - done, "video")
        words += f"; {undecoded} not decoded, {_POLICIES[scores.on_decode_error]}"
    logger.info(words)
    for remark in task.remarks(counted, names):
        logger.info(remark)
    if one_view:
        logger.info(
            "the middle view alone: %s", ", ".join(in_words(*item) for item in one_view.items())
        )
    return metrics


def _central(views: Sequence[View]) -> int | None:
    """Number of the middle clip's central crop; none where there is only one view."""
    middle = views[len(views) // 2].clip
    own = [number for number, view in enumerate(views) if view.clip == middle]
    return own[len(own) // 2] if len(views) > 1 else None


def _one_view(evaluation: Evaluation, task: Task, policy: str) -> Metrics:
    if not evaluation.central:
        return {}
    return task.evaluate(evaluation.of_central_view().counted(policy))
