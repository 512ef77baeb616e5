"""Several kernels side by side: each trains in a process of its own, so that its peak memory is its own."""

import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path

import torch
from rich.table import Table
from yacs.config import CfgNode

from projects.lra.checks import check_lra
from projects.lra.tasks import build_task
from projects.lra.training import Result, run
from slowfast_ext.config.problems import raise_problems
from slowfast_ext.engine.log import prepare_output


def compare(cfg: CfgNode, kernels: Sequence[str], steps: int = 0) -> list[Result]:
    """A result for each kernel, also in OUTPUT_DIR/<task>/report.json; `steps` above 0 shortens the schedule.

    Raises ConfigError for what cannot be built, before anything runs.
    """
    runs = [for_kernel(shortened(cfg, steps), kernel) for kernel in kernels]
    for kernel_cfg in runs:
        raise_problems(check_lra(kernel_cfg), {})
    folder = prepare_output(Path(cfg.OUTPUT_DIR) / cfg.LRA.TASK)
    build_task(cfg).read()
    results = []
    for kernel_cfg in runs:
        results.append(run_apart(kernel_cfg))
        report = [asdict(result) for result in results]
        (folder / "report.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    return results


def for_kernel(cfg: CfgNode, kernel: str) -> CfgNode:
    """`cfg` with that kernel and a folder of its own."""
    cfg = cfg.clone()
    cfg.defrost()
    cfg.OUTPUT_DIR = str(Path(cfg.OUTPUT_DIR) / cfg.LRA.TASK / kernel)
    cfg.ATTENTION.KERNEL = kernel
    cfg.freeze()
    return cfg


def shortened(cfg: CfgNode, steps: int) -> CfgNode:
    """`cfg` with that many steps and the warm-up in proportion; 0 leaves it as it is."""
    if not steps:
        return cfg
    cfg = cfg.clone()
    cfg.defrost()
    cfg.SOLVER.WARMUP_EPOCHS *= steps / cfg.SOLVER.MAX_EPOCH
    cfg.SOLVER.MAX_EPOCH = steps
    cfg.freeze()
    return cfg


def run_apart(cfg: CfgNode) -> Result:
    """The run in a fresh process; a lack of memory or a crash comes back as a failure."""
    kernel = cfg.ATTENTION.KERNEL
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(_run, cfg.dump()).result()
        except (torch.OutOfMemoryError, MemoryError):
            return Result(kernel, failure="out of memory")
        except BrokenProcessPool:
            return Result(kernel, failure="its process died (out of memory?)")


def _run(dumped: str) -> Result:
    return run(CfgNode.load_cfg(dumped))


def table(task: str, steps: int, results: Iterable[Result]) -> Table:
    """The results side by side."""
    shown = Table(title=f"{task}, {steps} steps; one multiply-add = 1 FLOP, one example")
    for column in ("kernel", "test %", "val %", "loss", "GFLOPs", "peak MB", "s/step", "params"):
        shown.add_column(column, no_wrap=True)
    for result in results:
        shown.add_row(result.kernel, *([result.failure] if result.failure else _numbers(result)))
    return shown


def _numbers(result: Result) -> list[str]:
    return [
        f"{result.test_acc:.2f}",
        f"{result.val_acc:.2f}",
        f"{result.train_loss:.3f}",
        f"{result.gflops:.3f}",
        f"{result.peak_mb:.0f}",
        f"{result.seconds_per_step:.3f}",
        f"{result.params}",
    ]
