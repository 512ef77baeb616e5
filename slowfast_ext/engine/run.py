"""What a training run consists of: its options, its objects, its position, and how they are saved and restored.

Shapes: B clips, T frames, C colours, H W pixels.
"""

import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer
from yacs.config import CfgNode

from slowfast_ext.config import options_of
from slowfast_ext.data.loader import Batch, EvalLoader, TrainLoader
from slowfast_ext.data.seeds import clip_rngs, step_rng
from slowfast_ext.data.transforms.device import PixelOptions, to_model_input
from slowfast_ext.data.transforms.mixing import MixupOptions, mix_batch
from slowfast_ext.data.transforms.pipeline import AugOptions
from slowfast_ext.engine.checkpoint import CheckpointStore, Position
from slowfast_ext.engine.distributed import Vote, World
from slowfast_ext.engine.log import TrainingLog
from slowfast_ext.engine.optim import (
    SolverOptions,
    in_own_order,
    learning_rate,
    trained_names,
)
from slowfast_ext.engine.options import RunOptions, TestOptions, TrainOptions
from slowfast_ext.engine.sharding import load_whole, optimizer_state, whole
from slowfast_ext.engine.step import SafeStepper, WeightAverage
from slowfast_ext.models import VideoModel
from slowfast_ext.processes import StopRequest
from slowfast_ext.screen import in_words
from slowfast_ext.tasks import METRICS, Task
from slowfast_ext.tasks.base import ScoreOptions

Tensors = tuple[Tensor, ...]


@dataclass(frozen=True)
class Recipe:
    """The options that a training reads."""

    run: RunOptions = RunOptions()
    train: TrainOptions = TrainOptions()
    solver: SolverOptions = SolverOptions()
    test: TestOptions = TestOptions()
    scores: ScoreOptions = ScoreOptions()
    pixels: PixelOptions = PixelOptions()
    mixup: MixupOptions = MixupOptions()
    aug: AugOptions = AugOptions()

    @classmethod
    def from_cfg(cls, cfg: CfgNode) -> "Recipe":
        """The recipe of a configuration."""
        return cls(
            options_of(cfg, RunOptions),
            options_of(cfg, TrainOptions),
            options_of(cfg, SolverOptions),
            options_of(cfg, TestOptions),
            options_of(cfg, ScoreOptions),
            options_of(cfg, PixelOptions),
            options_of(cfg, MixupOptions),
            options_of(cfg, AugOptions),
        )

    @property
    def repeats(self) -> int:
        """Augmented clips of one decoded video."""
        return self.aug.num_sample

    @property
    def effective_batch(self) -> int:
        """Clips per optimizer step: videos a node x nodes x repeats x accumulated passes."""
        videos = self.train.batch_size * self.run.num_shards
        return videos * self.repeats * self.train.accumulate

    def learning_rate(self, epoch: float) -> float:
        """The rate at a point of training, scaled to the batch."""
        counted = self.repeats if self.solver.base_lr_unit == "videos" else 1
        batch = self.effective_batch // counted
        return learning_rate(self.solver, epoch, batch, self.run.num_shards)


@dataclass
class TrainingRun:
    """The objects that the loop in train.py works with, built by setup.py, and where it stands.

    `forward` is the model as it is called: compiled and wrapped for several processes where asked for. `best` ranks
    the best validation so far, that after `best_epoch` epochs; `evaluation_pending` says that the weights at `position` are still to be evaluated.
    """

    recipe: Recipe
    config: str
    world: World
    task: Task
    model: VideoModel
    forward: nn.Module
    average: WeightAverage | None
    optimizer: Optimizer
    stepper: SafeStepper
    loader: TrainLoader
    val_loader: EvalLoader
    store: CheckpointStore
    log: TrainingLog
    votes: Vote
    stop: StopRequest
    position: Position = field(default_factory=lambda: Position(0))
    best: float = float("-inf")
    best_epoch: int = 0
    evaluation_pending: bool = False
    stopping: bool = False

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps of an epoch."""
        return self.loader.steps_per_epoch // self.recipe.train.accumulate

    @property
    def evaluated_model(self) -> nn.Module:
        """The averaged model where there is one, else the model."""
        return self.average.model if self.average else self.model

    def inputs(self, batch: Batch, epoch: int, number: int) -> tuple[Tensors, Tensors]:
        """What the model is called with, first normalised, mixed clips [B, C, T, H, W], and the targets of each head.

        The batch is on the device; `number` counts the epoch's batches.
        """
        recipe = self.recipe
        seed, first = recipe.run.rng_seed, self.world.rank * len(batch.clip_BTCHW)
        clip_BCTHW, targets = mix_batch(
            to_model_input(batch.clip_BTCHW, recipe.pixels),
            self.task.batch_targets(batch.labels, batch.maps),
            recipe.mixup,
            step_rng(seed, epoch, number),
        )
        return self.task.inputs(clip_BCTHW, clip_rngs(seed, epoch, number, first)), targets

    def sync_of(self, part: int) -> AbstractContextManager:
        """Gradients of all but the last pass of an accumulated step stay in this process."""
        last = part == self.recipe.train.accumulate - 1
        no_sync = getattr(self.forward, "no_sync", nullcontext)
        return nullcontext() if last else no_sync()

    def state_dict(
        self, position: Position, meter: dict[str, Any], evaluation_pending: bool
    ) -> dict[str, Any]:
        """Everything that an exact resume needs: tensors and plain values. All processes call this, the main one keeps it."""
        average = self.average.model.state_dict() if self.average else None
        keep = self.world.is_main
        return {
            "model_state": whole(self.model.state_dict(), keep),
            "ema_state": whole(average, keep),
            "optimizer_state": whole(self.optimizer.state_dict(), keep),
            "optimizer_names": trained_names(self.optimizer, self.model),
            "stepper_state": self.stepper.state_dict(),
            "position": {"epoch": position.epoch, "step": position.step},
            "meter": meter,
            "best": self.best,
            "best_epoch": self.best_epoch,
            "evaluation_pending": evaluation_pending,
            "class_names": [list(names) for names in self.loader.videos.class_names],
            "cfg": self.config,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over the state of a checkpoint of this run."""
        load_whole(self.model, state["model_state"])
        if self.average:
            load_whole(self.average.model, state["ema_state"] or state["model_state"])
        saved, names = state["optimizer_state"], state["optimizer_names"]
        moments = in_own_order(self.optimizer, self.model, saved, names)
        self.optimizer.load_state_dict(optimizer_state(self.optimizer, moments))
        self.stepper.load_state_dict(state["stepper_state"])
        self.position = Position(**state["position"])
        self.log.resume_with(state["meter"])
        self.best, self.best_epoch = state["best"], state.get("best_epoch", 0)
        self.evaluation_pending = state["evaluation_pending"]

    def best_metric(self) -> dict[str, float]:
        """Name and value of the best validation so far; empty before the first."""
        name = self.task.best_by(self.recipe.scores.metric)
        value = METRICS.get(name).rank(self.best)  # a rank is the value or its negative
        return {name: value} if math.isfinite(value) else {}

    def best_in_words(self) -> str:
        """The best validation so far and when it was; empty before the first."""
        when = f" in epoch {self.best_epoch}" if self.best_epoch else ""
        return "".join(f"{in_words(*item)}{when}" for item in self.best_metric().items())

    def close(self) -> None:
        """Let the last vote end."""
        self.votes.finish()
