"""How long torch.compile takes: the model as one program (TRAIN.COMPILE True), or one block for all alike (blocks).

A training step on one clip, three times: the first compiles. CPU seconds of the program and of the compilers it calls, in one
process and with an empty cache; in brackets the seconds that it took.
"""

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from rich.console import Console
from rich.table import Table
from yacs.config import CfgNode

from benchmarks.own_process import Failure, in_own_process
from benchmarks.trial import training_work
from slowfast_ext.analysis.cost import meta_clip
from slowfast_ext.config import load_config
from slowfast_ext.engine.distributed import pick_device
from slowfast_ext.engine.precision import wait
from slowfast_ext.models import build_model, check_model
from slowfast_ext.models.compile import compile_blocks

WAYS = ("whole", "blocks")
COLUMNS = ("TRAIN.COMPILE", "first step", "third step", "compiling")


@dataclass(frozen=True)
class Seconds:
    """CPU time, that of compilers included, and time on the clock."""

    cpu: float
    clock: float

    def __sub__(self, other: "Seconds") -> "Seconds":
        return Seconds(self.cpu - other.cpu, self.clock - other.clock)

    def __str__(self) -> str:
        return f"{self.cpu:.1f} ({self.clock:.1f})"


def main(argv: Sequence[str]) -> int:
    """Print a row a way. 0 where all ran."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks compile", description=__doc__)
    parser.add_argument("--cfg", required=True, metavar="FILE")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--backend", default="inductor", help="of torch.compile; aot_eager: none")
    parser.add_argument("--timeout", type=float, default=3600.0, help="longest way, seconds")
    parser.add_argument("--opts", nargs="*", default=[], metavar="KEY VALUE", help="overrides")
    args = parser.parse_args(argv)
    cfg = load_config([args.cfg], args.opts, (check_model,))
    table, good = (
        Table(*COLUMNS, title=f"CPU s (s), {args.backend}, torch {torch.__version__}"),
        True,
    )
    for way in args.ways:
        with tempfile.TemporaryDirectory() as cache:
            found = in_own_process(args.timeout, measure, cfg.dump(), way, args.backend, cache)
        if isinstance(found, Failure):
            table.add_row(way, found.reason)
            good = False
        else:
            table.add_row(way, *map(str, (found[0], found[-1], found[0] - found[-1])))
    Console(width=120).print(table)
    return 0 if good else 1


def measure(dumped: str, way: str, backend: str, cache: str) -> list[Seconds]:
    """Three training steps."""
    os.environ.update(TORCHINDUCTOR_CACHE_DIR=cache, TORCHINDUCTOR_COMPILE_THREADS="1")
    cfg = CfgNode.load_cfg(dumped)
    device = pick_device(cfg.DEVICE)
    model = build_model(cfg).to(device)
    called = model
    if way == "blocks":
        compile_blocks(model, backend=backend)
    else:
        called = torch.compile(model, backend=backend)
    clip_BCTHW = torch.randn(meta_clip(cfg, 1).shape, device=device)
    step = training_work(called, model, clip_BCTHW, "fp32")
    found = []
    for _ in range(3):
        started = _now()
        step()
        wait(device)
        found.append(_now() - started)
    return found


def _now() -> Seconds:
    used = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return Seconds(sum(one.ru_utime + one.ru_stime for one in used), time.perf_counter())
