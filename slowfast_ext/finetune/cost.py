"""What a training will cost, measured in a few of its steps."""

import tempfile
from dataclasses import dataclass

from yacs.config import CfgNode

from slowfast_ext.config import options_of
from slowfast_ext.data.loader import LoaderOptions
from slowfast_ext.data.sampling import ViewOptions
from slowfast_ext.engine.distributed import joined_world
from slowfast_ext.engine.options import RunOptions, TrainOptions
from slowfast_ext.engine.precision import peak_bytes
from slowfast_ext.engine.setup import build_training
from slowfast_ext.engine.train import seconds_per_step

STEPS = 5
ENOUGH_SECONDS = 10.0


@dataclass(frozen=True)
class Cost:
    """Of a training on this machine, as busy as it is now: seconds for an epoch, for all evaluations, MiB."""

    epoch_seconds: float
    evaluation_seconds: float
    epochs: int
    device: str
    mebibytes: float

    @property
    def minutes(self) -> float:
        """The whole of it."""
        return (self.epochs * self.epoch_seconds + self.evaluation_seconds) / 60

    def epochs_in(self, minutes: float) -> int:
        """Epochs that fit into a time, at least one."""
        left = 60 * minutes - self.evaluation_seconds
        return max(1, int(left / self.epoch_seconds))


def measure(cfg: CfgNode) -> Cost:
    """Build all in a temporary folder, take a few steps after one to warm up; nothing else is written."""
    run_options, loader = options_of(cfg, RunOptions), options_of(cfg, LoaderOptions)
    cfg = cfg.clone()
    cfg.defrost()
    cfg.TRAIN.AUTO_RESUME, cfg.TENSORBOARD.ENABLE = False, False
    with (
        joined_world(run_options, loader.num_workers) as world,
        tempfile.TemporaryDirectory() as folder,
    ):
        cfg.OUTPUT_DIR = folder
        run = build_training(cfg, world)
        seconds = seconds_per_step(run, STEPS, ENOUGH_SECONDS)
        run.close()
    views, train = options_of(cfg, ViewOptions), options_of(cfg, TrainOptions)
    epochs = run.recipe.solver.max_epoch
    looks = views.num_ensemble_views * views.num_spatial_crops + -(-epochs // train.eval_period)
    # A forward pass, and reading, take about half of a step.
    evaluation = seconds / run.recipe.effective_batch / 2 * len(run.val_loader.videos) * looks
    megabytes = peak_bytes(world.device) / 2**20
    return Cost(seconds * run.steps_per_epoch, evaluation, epochs, str(world.device), megabytes)
