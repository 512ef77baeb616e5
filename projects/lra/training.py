"""One run: train the encoder with one kernel, keep the best weights on validation, test them.

The engine's schedule, optimizer, precision, guard, meters and log; an epoch of SOLVER is one optimizer step.
Shapes: B batch, X sequences of an example, N tokens, K classes.
"""

import copy
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer
from yacs.config import CfgNode

from projects.lra.encoder import Classifier, build_classifier
from projects.lra.tasks import Splits, build_task
from projects.lra.tasks.base import Examples, padded_length
from slowfast_ext.analysis.cost import count_macs
from slowfast_ext.config import options_of
from slowfast_ext.data.seeds import order_rng
from slowfast_ext.engine.distributed import World, pick_device
from slowfast_ext.engine.log import StatsWriter, prepare_output, setup_logging
from slowfast_ext.engine.meter import EpochMeter
from slowfast_ext.engine.optim import (
    SolverOptions,
    build_optimizer,
    learning_rate,
    set_learning_rate,
)
from slowfast_ext.engine.precision import autocast, loss_scaler, peak_bytes
from slowfast_ext.engine.seeding import seed_model, seed_step
from slowfast_ext.engine.step import SafeStepper
from slowfast_ext.tasks.single_label import SingleLabel

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """Accuracies in percent, multiply-adds of one example, peak memory above that of the loaded process.

    `train_loss` is the mean over the last LOG_PERIOD steps; `seconds_per_step` leaves validation out.
    """

    kernel: str
    test_acc: float = float("nan")
    val_acc: float = float("nan")
    train_loss: float = float("nan")
    params: int = 0
    gflops: float = 0.0
    peak_mb: float = 0.0
    seconds_per_step: float = 0.0
    bad_steps: int = 0
    failure: str = ""


@dataclass(frozen=True)
class Schedule:
    """Numbers of the loop; periods are in steps."""

    kernel: str
    steps: int
    batch: int
    test_batch: int
    precision: str
    log_period: int
    eval_period: int
    seed: int


@dataclass
class Run:
    """The objects of a run. `losses` are means over `log_period` steps; `seconds` is time in training steps."""

    schedule: Schedule
    rate: Callable[[int], float]
    world: World
    model: Classifier
    optimizer: Optimizer
    stepper: SafeStepper
    splits: Splits
    stats: StatsWriter
    meter: EpochMeter
    losses: list[float] = field(default_factory=list)
    bad_steps: int = 0
    seconds: float = 0.0
    best_acc: float = -1.0
    best_weights: dict[str, Tensor] = field(default_factory=dict)

    @property
    def length(self) -> int:
        """Tokens of every sequence, padding included."""
        return self.model.backbone.positions.shape[0]


def run(cfg: CfgNode) -> Result:
    """Train and test with ATTENTION.KERNEL; logs go to OUTPUT_DIR."""
    lra_run = build_run(cfg)
    device, schedule = lra_run.world.device, lra_run.schedule
    idle = peak_bytes(device)
    train(lra_run)
    lra_run.model.load_state_dict(lra_run.best_weights)
    test_acc = accuracy(lra_run, lra_run.splits.test)
    lra_run.stats.write({"_type": "test_final", "top1_acc": test_acc}, schedule.steps)
    lra_run.stats.close()
    return Result(
        kernel=schedule.kernel,
        test_acc=test_acc,
        val_acc=lra_run.best_acc,
        train_loss=lra_run.losses[-1],
        params=sum(p.numel() for p in lra_run.model.parameters()),
        gflops=example_macs(cfg) / 1e9,
        peak_mb=(peak_bytes(device) - idle) / 1e6,
        seconds_per_step=lra_run.seconds / schedule.steps,
        bad_steps=lra_run.bad_steps,
    )


def build_run(cfg: CfgNode) -> Run:
    """Everything that the loop needs, on one device."""
    world = World.alone(pick_device(cfg.DEVICE))
    prepare_output(cfg.OUTPUT_DIR)
    setup_logging(world, cfg.OUTPUT_DIR)
    splits = build_task(cfg).read()
    seed_model(cfg.RNG_SEED)
    model = build_classifier(cfg).to(world.device)
    optimizer = build_optimizer(options_of(cfg, SolverOptions), model)
    scaler = loss_scaler(world.device, cfg.TRAIN.PRECISION)
    limits = (cfg.SOLVER.CLIP_GRAD_L2NORM, cfg.TRAIN.MAX_BAD_STEPS)
    stepper = SafeStepper(model, optimizer, *limits, scaler)
    schedule = Schedule(
        kernel=cfg.ATTENTION.KERNEL,
        steps=cfg.SOLVER.MAX_EPOCH,
        batch=cfg.TRAIN.BATCH_SIZE,
        test_batch=cfg.TEST.BATCH_SIZE,
        precision=cfg.TRAIN.PRECISION,
        log_period=cfg.LOG_PERIOD,
        eval_period=cfg.LRA.EVAL_PERIOD,
        seed=cfg.RNG_SEED,
    )
    rate = partial(learning_rate, options_of(cfg, SolverOptions), effective_batch=schedule.batch)
    stats = StatsWriter(cfg.OUTPUT_DIR, board=cfg.TENSORBOARD.ENABLE)
    meter = EpochMeter(world, SingleLabel.running)
    return Run(schedule, rate, world, model, optimizer, stepper, splits, stats, meter)


def train(run: Run) -> None:
    """All steps. Raises DataError when too many in a row are not finite."""
    schedule = run.schedule
    for step in range(schedule.steps):
        started = time.perf_counter()
        run.model.train()
        rate = run.rate(step)
        set_learning_rate(run.optimizer, rate)
        seed_step(schedule.seed, 0, step, run.world.rank)
        index_B = examples_of_step(len(run.splits.train), schedule.batch, schedule.seed, step)
        ids_BXN, label_B = load(run, run.splits.train, index_B)
        with autocast(run.world.device, schedule.precision):
            logits_BK = run.model(ids_BXN)
        loss = cross_entropy(logits_BK.float(), label_B)
        run.stepper.backward(loss)
        run.stepper.clip()
        run.stepper.step(step, index_B.tolist())
        run.stepper.zero_grad()
        task = SingleLabel((logits_BK.shape[1],))
        sums = task.running_sums(logits_BK, task.targets(label_B[:, None]))
        run.meter.add(loss, sums, clips=len(index_B), videos=len(index_B), bad=0)
        last = step + 1 == schedule.steps
        logs = last or (step + 1) % schedule.log_period == 0
        if logs or (step + 1) % run.stepper.check_period == 0:
            run.bad_steps = run.stepper.check("training example {}".format)
        if logs:
            log(run, step + 1, rate)
        run.seconds += time.perf_counter() - started
        if last or (step + 1) % schedule.eval_period == 0:
            validate(run, step + 1)


def examples_of_step(count: int, batch: int, seed: int, step: int) -> np.ndarray:
    """Indices of a batch: every example comes once in each pass, in an order of its own."""
    places = np.arange(step * batch, (step + 1) * batch)
    passes = range(places[0] // count, places[-1] // count + 1)
    order = np.concatenate([order_rng(seed, number).permutation(count) for number in passes])
    return order[places - passes[0] * count]


def load(run: Run, examples: Examples, index_B: np.ndarray) -> tuple[Tensor, Tensor]:
    """Ids [B, X, N] and labels [B] on the device."""
    ids_BXN, label_B = examples.batch(index_B, run.length)
    return ids_BXN.to(run.world.device), label_B.to(run.world.device)


def log(run: Run, step: int, rate: float) -> None:
    """Metrics since the last log line."""
    metrics = run.meter.read_window()
    run.losses.append(metrics["loss"])
    kernel = run.schedule.kernel
    where = (kernel, step, run.schedule.steps, metrics["loss"], metrics["top1_acc"])
    logger.info("%s step %d/%d | loss %.4f | top1 %.1f %%", *where)
    stats = {"_type": "train_iter", "kernel": kernel, "iter": step, "lr": rate, **metrics}
    run.stats.write({**stats, "bad_steps": run.bad_steps}, step)


def validate(run: Run, step: int) -> None:
    """Accuracy on the validation set; remember the best weights."""
    acc = accuracy(run, run.splits.val)
    run.stats.write({"_type": "val_iter", "iter": step, "top1_acc": acc}, step)
    if acc > run.best_acc:
        run.best_acc, run.best_weights = acc, copy.deepcopy(run.model.state_dict())


@torch.inference_mode()
def accuracy(run: Run, examples: Examples) -> float:
    """Share of right answers in percent."""
    run.model.eval()
    right = torch.zeros((), device=run.world.device)
    batch = run.schedule.test_batch
    for index_B in np.split(np.arange(len(examples)), range(batch, len(examples), batch)):
        ids_BXN, label_B = load(run, examples, index_B)
        with autocast(run.world.device, run.schedule.precision):
            right += (run.model(ids_BXN).argmax(-1) == label_B).sum()
    return 100 * float(right) / len(examples)


def example_macs(cfg: CfgNode) -> int:
    """Multiply-adds of one example at its padded length."""
    task = build_task(cfg)
    with torch.device("meta"):
        model = build_classifier(cfg).eval()
        ids_BXN = torch.ones(1, task.towers, padded_length(task.length), dtype=torch.long)
    return count_macs(model, ids_BXN)[""]
