"""Multi-view testing of trained weights."""

import logging

from yacs.config import CfgNode

from slowfast_ext.config import options_of
from slowfast_ext.data.loader import EvalLoader
from slowfast_ext.data.sampling import ViewOptions, views
from slowfast_ext.engine.checkpoint import CheckpointStore
from slowfast_ext.engine.distributed import World
from slowfast_ext.engine.evaluate import evaluate
from slowfast_ext.engine.facts import testing_facts
from slowfast_ext.engine.initial import load_test_weights
from slowfast_ext.engine.log import StatsWriter
from slowfast_ext.engine.metrics import Metrics, compute_metrics
from slowfast_ext.engine.results import write_results
from slowfast_ext.engine.setup import prepare_model, read_everywhere
from slowfast_ext.engine.signals import StopRequest
from slowfast_ext.tasks import build_task

logger = logging.getLogger(__name__)


def test(cfg: CfgNode, world: World, stop_request: StopRequest) -> Metrics:
    """Test TEST.CHECKPOINT_FILE_PATH on TEST.NUM_ENSEMBLE_VIEWS clips x TEST.NUM_SPATIAL_CROPS crops.

    Writes OUTPUT_DIR/results and a test_final line; returns the metrics.
    """
    videos = read_everywhere(cfg, world, "test")
    model = prepare_model(cfg, world)
    path = CheckpointStore(cfg.OUTPUT_DIR, 0).find(cfg.TEST.CHECKPOINT_FILE_PATH)
    load_test_weights(cfg, model, path, videos)
    for fact in (f"weights: {path}", *testing_facts(cfg, videos)):
        logger.info(fact)
    test_views = views(options_of(cfg, ViewOptions))
    loader = EvalLoader.from_cfg(cfg, videos, test_views, build_task(cfg), world.rank, world.size)
    evaluation = evaluate(cfg, world, model, videos, loader, stop_request)
    metrics = compute_metrics(evaluation, cfg.TEST.ON_DECODE_ERROR)
    done = int(evaluation.decoded.sum())
    policy = {"wrong": "counted as wrong", "skip": "left out"}.get(cfg.TEST.ON_DECODE_ERROR, "none")
    logger.info(
        "evaluated %d of %d videos, %d views each (undecoded: %s)",
        done,
        len(videos),
        len(test_views),
        policy,
    )
    if world.is_main:
        folder = write_results(
            cfg.OUTPUT_DIR, videos, evaluation, metrics, cfg.TEST.ON_DECODE_ERROR
        )
        logger.info("results: %s", folder)
    stats = StatsWriter(cfg, world)
    counts = {"evaluated": done, "videos": len(videos), "views": len(test_views)}
    stats.write({"_type": "test_final", "split": "test_final", **counts, **metrics}, 0)
    stats.close()
    return metrics
