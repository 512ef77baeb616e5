"""One run: train the encoder with one kernel, keep the best weights on validation, test them.

The engine's schedule, optimizer, precision, guard, meters and log; an epoch of SOLVER is one optimizer step.
Shapes: B batch, X sequences of an example, N tokens, K classes.
"""

import copy
import logging
import time
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer
from yacs.config import CfgNode

from projects.lra.encoder import Classifier, build_classifier
from projects.lra.options import LraOptions
from projects.lra.tasks import Splits, build_task
from projects.lra.tasks.base import Examples, padded_length
from slowfast_ext.analysis.cost import count_macs
from slowfast_ext.config import options_of
from slowfast_ext.data.seeds import order_rng, seed_model, seed_step
from slowfast_ext.engine.distributed import World, pick_device
from slowfast_ext.engine.log import StatsWriter, prepare_output, setup_logging
from slowfast_ext.engine.meter import EpochMeter
from slowfast_ext.engine.optim import (
    SolverOptions,
    build_optimizer,
    learning_rate,
    set_learning_rate,
)
from slowfast_ext.engine.options import RunOptions, TestOptions, TrainOptions
from slowfast_ext.engine.precision import autocast, loss_scaler, peak_bytes
from slowfast_ext.engine.step import SafeStepper
from slowfast_ext.loggers import build_loggers

logger = logging.getLogger("slowfast_ext.lra")  # setup_logging serves the names below slowfast_ext


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
class Recipe:
    """The options that the loop reads."""

    kernel: str
    run: RunOptions
    train: TrainOptions
    test: TestOptions
    solver: SolverOptions
    eval_period: int


@dataclass
class Run:
    """The objects of a run. `losses` are means over LOG_PERIOD steps; `seconds` is time in training steps."""

    recipe: Recipe
    device: torch.device
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
    def steps(self) -> int:
        """An epoch of SOLVER is one optimizer step."""
        return self.recipe.solver.max_epoch

    @property
    def length(self) -> int:
        """Tokens of every sequence, padding included."""
        return self.model.backbone.positions.shape[0]


def run(cfg: CfgNode) -> Result:
    """Train and test with ATTENTION.KERNEL; logs go to OUTPUT_DIR."""
    lra_run = build_run(cfg)
    idle = peak_bytes(lra_run.device)
    train(lra_run)
    lra_run.model.load_state_dict(lra_run.best_weights)
    test_acc = accuracy(lra_run, lra_run.splits.test)
    lra_run.stats.write({"_type": "test_final", "top1_acc": test_acc}, lra_run.steps)
    lra_run.stats.close()
    return Result(
        kernel=lra_run.recipe.kernel,
        test_acc=test_acc,
        val_acc=lra_run.best_acc,
        train_loss=lra_run.losses[-1],
        params=sum(p.numel() for p in lra_run.model.parameters()),
        gflops=example_macs(cfg) / 1e9,
        peak_mb=(peak_bytes(lra_run.device) - idle) / 1e6,
        seconds_per_step=lra_run.seconds / lra_run.steps,
        bad_steps=lra_run.bad_steps,
    )


def build_run(cfg: CfgNode) -> Run:
    """Everything that the loop needs, on one device."""
    recipe = Recipe(
        kernel=cfg.ATTENTION.KERNEL,
        run=options_of(cfg, RunOptions),
        train=options_of(cfg, TrainOptions),
        test=options_of(cfg, TestOptions),
        solver=options_of(cfg, SolverOptions),
        eval_period=options_of(cfg, LraOptions).eval_period,
    )
    options, training, solver = recipe.run, recipe.train, recipe.solver
    device = pick_device(options.device)
    world = World.alone(device)
    prepare_output(options.output_dir)
    setup_logging(world, options.output_dir)
    splits = build_task(cfg).read()
    seed_model(options.rng_seed)
    model = build_classifier(cfg).to(device)
    optimizer = build_optimizer(solver, model)
    scaler = loss_scaler(device, training.precision)
    stepper = SafeStepper(model, optimizer, solver.clip_grad_l2norm, training.max_bad_steps, scaler)
    stats = StatsWriter(options.output_dir, loggers=build_loggers(cfg))
    meter = EpochMeter(world, ("top1_acc",))
    return Run(recipe, device, model, optimizer, stepper, splits, stats, meter)


def train(run: Run) -> None:
    """All steps. Raises DataError when too many in a row are not finite."""
    recipe, log_period = run.recipe, run.recipe.run.log_period
    batch, seed = recipe.train.batch_size, recipe.run.rng_seed
    for step in range(run.steps):
        started = time.perf_counter()
        run.model.train()
        rate = learning_rate(recipe.solver, step, batch)
        set_learning_rate(run.optimizer, rate)
        seed_step(seed, 0, step, rank=0)
        index_B = examples_of_step(len(run.splits.train), batch, seed, step)
        ids_BXN, label_B = load(run, run.splits.train, index_B)
        with autocast(run.device, recipe.train.precision):
            logits_BK = run.model(ids_BXN)
        loss = cross_entropy(logits_BK.float(), label_B)
        run.stepper.backward(loss)
        run.stepper.clip()
        run.stepper.step(step, index_B.tolist())
        run.stepper.zero_grad()
        right = 100 * (logits_BK.argmax(-1) == label_B).sum().double()
        run.meter.add(loss, (right,), len(index_B), len(index_B), 0)
        last = step + 1 == run.steps
        if last or (step + 1) % min(log_period, run.stepper.check_period) == 0:
            run.bad_steps = run.stepper.check("training example {}".format)
        if last or (step + 1) % log_period == 0:
            log(run, step + 1, rate)
        run.seconds += time.perf_counter() - started
        if last or (step + 1) % recipe.eval_period == 0:
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
    return ids_BXN.to(run.device), label_B.to(run.device)


def log(run: Run, step: int, rate: float) -> None:
    """Metrics since the last log line."""
    metrics = run.meter.read_window()
    run.losses.append(metrics["loss"])
    kernel = run.recipe.kernel
    where = (kernel, step, run.steps, metrics["loss"], metrics["top1_acc"])
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
    right = torch.zeros((), device=run.device)
    batch = run.recipe.test.batch_size
    for index_B in np.split(np.arange(len(examples)), range(batch, len(examples), batch)):
        ids_BXN, label_B = load(run, examples, index_B)
        with autocast(run.device, run.recipe.train.precision):
            right += (run.model(ids_BXN).argmax(-1) == label_B).sum()
    return 100 * float(right) / len(examples)


def example_macs(cfg: CfgNode) -> int:
    """Multiply-adds of one example at its padded length."""
    task = build_task(cfg)
    with torch.device("meta"):
        model = build_classifier(cfg).eval()
        ids_BXN = torch.ones(1, task.towers, padded_length(task.length), dtype=torch.long)
    return count_macs(model, ids_BXN)[""]
