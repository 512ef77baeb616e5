"""What a training run consists of, and what happens at its log lines, checkpoints and evaluations.

Shapes: B clips, K classes of a head, T frames, C colours, H W pixels.
"""

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer
from yacs.config import CfgNode

from slowfast_ext.data.loader import Batch, EvalLoader, TrainLoader
from slowfast_ext.engine.checkpoint import CheckpointStore, Position
from slowfast_ext.engine.distributed import Vote, World
from slowfast_ext.engine.ema import WeightAverage
from slowfast_ext.engine.evaluate import evaluate
from slowfast_ext.engine.guard import SafeStepper
from slowfast_ext.engine.inputs import prepare_batch
from slowfast_ext.engine.ledger import BadLedger
from slowfast_ext.engine.log import StatsWriter, clock
from slowfast_ext.engine.meter import EpochMeter, means
from slowfast_ext.engine.metrics import compute_metrics
from slowfast_ext.engine.signals import StopRequest
from slowfast_ext.errors import Interrupted

logger = logging.getLogger(__name__)


@dataclass
class TrainingRun:
    """All objects of a run, built by engine/setup.py; the loop in engine/train.py reads them.

    `forward` is the model as it is called: compiled and wrapped for several processes where asked for.
    """

    cfg: CfgNode
    world: World
    model: nn.Module
    forward: nn.Module
    average: WeightAverage | None
    optimizer: Optimizer
    stepper: SafeStepper
    loss: nn.Module
    loader: TrainLoader
    val_loader: EvalLoader
    store: CheckpointStore
    stats: StatsWriter
    ledger: BadLedger
    stop_request: StopRequest
    votes: Vote
    position: Position = field(default_factory=lambda: Position(0))
    best: float = float("-inf")
    evaluation_pending: bool = False
    stopping: bool = False
    _meter_state: dict[str, Any] = field(default_factory=dict)
    _saved_at: float = field(default_factory=time.monotonic)

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps of an epoch."""
        return max(1, self.loader.steps_per_epoch // self.cfg.TRAIN.ACCUMULATE)

    @property
    def effective_batch(self) -> int:
        """Clips per optimizer step over all processes."""
        return effective_batch(self.cfg)

    @property
    def evaluated_model(self) -> nn.Module:
        """The averaged model where there is one, else the model."""
        return self.average.model if self.average else self.model

    def epoch_meter(self) -> EpochMeter:
        """A meter for the epoch that starts, or that goes on after a resume."""
        meter = EpochMeter(self.world)
        if self._meter_state:
            meter.restore(self._meter_state)
            self._meter_state = {}
        return meter

    def inputs(self, batch: Batch, epoch: int, number: int) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Normalised, mixed clips [B, 3, T, H, W] and soft targets [B, K] of each head."""
        return prepare_batch(self.cfg, self.world, batch, epoch, number)

    def no_sync(self) -> AbstractContextManager:
        """Gradients stay in this process (all but the last pass of an accumulated step)."""
        sync_free: Callable[[], AbstractContextManager] = getattr(
            self.forward, "no_sync", nullcontext
        )
        return sync_free()

    def log_step(self, epoch: int, step: int, rate: float, meter: EpochMeter) -> None:
        """Every LOG_PERIOD steps: figures, the guard's verdict, the share of bad samples."""
        number = epoch * self.steps_per_epoch + step + 1
        if number % min(self.cfg.LOG_PERIOD, self.stepper.check_period) == 0:
            paths = [record.path for record in self.loader.videos]
            bad_steps = self.stepper.check(paths)
        if number % self.cfg.LOG_PERIOD:
            return
        sums = meter.read_epoch()
        self.ledger.check(sums["bad"], sums["videos"])
        figures = meter.read_window()
        remaining = self.steps_per_epoch * self.cfg.SOLVER.MAX_EPOCH - number
        eta = clock(remaining * figures["dt"] * self.cfg.TRAIN.ACCUMULATE)
        where = {
            "epoch": f"{epoch + 1}/{self.cfg.SOLVER.MAX_EPOCH}",
            "iter": f"{step + 1}/{self.steps_per_epoch}",
        }
        logger.info(
            "epoch %s step %s | loss %.4f | top1 %.1f %% | lr %.3g | %.1f clips/s | waiting for data %.0f %% | ETA %s",
            *where.values(),
            figures["loss"],
            figures["top1_acc"],
            rate,
            figures["clips_per_second"],
            100 * figures["data_wait"],
            eta,
        )
        self.stats.write(
            {
                "_type": "train_iter",
                **where,
                "lr": rate,
                "eta": eta,
                "bad_steps": bad_steps,
                **figures,
            },
            number,
        )

    def checkpoint_if_due(self, epoch: int, step: int, meter: EpochMeter) -> None:
        """Checkpoint inside an epoch by steps, minutes or a stop request, on which all processes agree."""
        train, done = self.cfg.TRAIN, step + 1
        minutes = (time.monotonic() - self._saved_at) / 60
        late = (
            bool(train.CHECKPOINT_MINUTES)
            and minutes >= train.CHECKPOINT_MINUTES
            and self.world.is_main
        )
        self.stopping, late = self.votes.cast(bool(self.stop_request), late)
        by_steps = bool(train.CHECKPOINT_STEPS) and done % train.CHECKPOINT_STEPS == 0
        if done < self.steps_per_epoch and (by_steps or late or self.stopping):
            path = self.save(Position(epoch, done), meter.state())
            self.stop_if_asked(path)

    def stop_if_asked(self, path: Path) -> None:
        """Raise Interrupted, now that `path` holds the state, if any process was asked to stop."""
        if self.stopping:
            name = self.stop_request.name or "a signal to another process"
            raise Interrupted(
                f"stopped by {name}; {path} is written, the same command goes on from there"
            )

    def end_epoch(self, epoch: int, meter: EpochMeter) -> None:
        """Log, checkpoint and evaluate as their periods say, and always at the end of training."""
        cfg, done, last = self.cfg, epoch + 1, epoch + 1 == self.cfg.SOLVER.MAX_EPOCH
        sums = meter.read_epoch()
        where = {"epoch": f"{done}/{cfg.SOLVER.MAX_EPOCH}"}
        reading = {"bad_samples": int(sums["bad"]), "reading": dict(self.ledger.report())}
        self.stats.write({"_type": "train_epoch", **where, **means(sums), **reading}, done)
        evaluates = last or done % cfg.TRAIN.EVAL_PERIOD == 0
        if not (evaluates or self.stopping or done % cfg.TRAIN.CHECKPOINT_PERIOD == 0):
            return
        path = self.save(Position(done), evaluation_pending=evaluates)
        self.stop_if_asked(path)
        if evaluates:
            self.evaluate(Position(done))

    def evaluate(self, position: Position) -> None:
        """Evaluate the weights just saved at `position`, one centre view a video; remember the best."""
        evaluation = evaluate(
            self.cfg,
            self.world,
            self.evaluated_model,
            self.val_loader.videos,
            self.val_loader,
            self.stop_request,
        )
        metrics = compute_metrics(evaluation, self.cfg.TEST.ON_DECODE_ERROR)
        figures = {"undecoded": len(evaluation.errors), **metrics}
        self.stats.write(
            {
                "_type": "val_epoch",
                "epoch": f"{position.epoch}/{self.cfg.SOLVER.MAX_EPOCH}",
                **figures,
            },
            position.epoch,
        )
        metric = metrics.get(self.cfg.TEST.METRIC, float("nan"))
        if metric > self.best:
            self.best = metric
            if self.world.is_main:
                self.store.mark_best(self.store.folder / position.file_name)

    def save(
        self,
        position: Position,
        meter_state: dict[str, Any] | None = None,
        evaluation_pending: bool = False,
    ) -> Path:
        """Write everything an exact resume needs; only the main process writes."""
        self._saved_at = time.monotonic()
        if not self.world.is_main:
            return self.store.folder / position.file_name
        state = {
            "model_state": self.model.state_dict(),
            "ema_state": self.average.model.state_dict() if self.average else None,
            "optimizer_state": self.optimizer.state_dict(),
            "stepper_state": self.stepper.state_dict(),
            "position": {"epoch": position.epoch, "step": position.step},
            "meter": meter_state or {},
            "best": self.best,
            "evaluation_pending": evaluation_pending,
            "class_names": [list(names) for names in self.loader.videos.class_names],
            "cfg": self.cfg.dump(),
        }
        return self.store.save(state, position)

    def close(self) -> None:
        """Flush logs, let the last vote end and stop the loader processes."""
        self.votes.finish()
        self.stats.close()

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the state of a checkpoint of this run."""
        self.model.load_state_dict(state["model_state"])
        if self.average:
            self.average.model.load_state_dict(state["ema_state"] or state["model_state"])
        self.optimizer.load_state_dict(state["optimizer_state"])
        self.stepper.load_state_dict(state["stepper_state"])
        self.position = Position(**state["position"])
        self._meter_state = state["meter"]
        self.best = state["best"]
        self.evaluation_pending = state["evaluation_pending"]


def effective_batch(cfg: CfgNode) -> int:
    """Clips per optimizer step: videos a node x nodes x repeats x accumulated passes."""
    return cfg.TRAIN.BATCH_SIZE * cfg.NUM_SHARDS * cfg.AUG.NUM_SAMPLE * cfg.TRAIN.ACCUMULATE
