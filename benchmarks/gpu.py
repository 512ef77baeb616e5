"""Every family at its published size on the GPU there is, in one command: python -m benchmarks gpu --out FOLDER

A training step in bf16: clips a second, the share of the device's arithmetic that it uses (MFU), the most memory, which
kernel torch took for softmax attention, and how much of a training's time is spent waiting for videos to be decoded. Eager
and compiled, and where a family has a fast form also its plain equations, in the same run. Writes gpu.md, gpu.json and
gpu.png. Each trial has a process of its own; one that does not fit the memory is a result.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch.utils._python_dispatch import TorchDispatchMode
from yacs.config import CfgNode

from benchmarks.layers import this_device
from benchmarks.own_process import Failure, in_own_process
from benchmarks.sample_clip import render_clip
from benchmarks.trial import TRAIN, Outcome, Setting, run_trial
from slowfast_ext.analysis.cost import meta_clip, model_cost
from slowfast_ext.analysis.timing import median_seconds
from slowfast_ext.config import load_config
from slowfast_ext.data.prefetch import on_device
from slowfast_ext.engine.checks import CHECKS
from slowfast_ext.engine.distributed import World
from slowfast_ext.engine.precision import autocast, wait
from slowfast_ext.engine.setup import build_training
from slowfast_ext.engine.train import train_step
from slowfast_ext.models import build_model

EXP = Path(__file__).resolve().parents[1] / "exp"
FAMILIES = (
    "videomae_b_k400", "motionformer_k400", "motionformer_orthoformer_16_k400", "motionformer_divided_k400",
    "uniformer_s16x4_k400", "uniformer_b16x4_k400", "structvit_s_4_1_k400", "structvit_b_4_1_k400",
    "xvit_b16_k400", "linear_relu_ssv2", "internvideo2_l_k400",
)  # fmt: skip
PEAK_TFLOPS = {"H200": 989, "H100": 989, "A100": 312, "L40S": 362, "L4": 121, "4090": 165}
"""Dense bf16 with fp32 sums, as the vendor states it, by a part of the device's name."""
FLOPS_OF_A_STEP = 6
"""Of one multiply-add of the forward pass: two operations, and twice as many again for the backward pass."""
STEPS_WITH_DATA = 8


@dataclass(frozen=True)
class Row:
    """One way to run an experiment; `failure` says why there are no numbers."""

    experiment: str
    form: str
    batch: int = 0
    clips_per_second: float = 0.0
    mfu: float = 0.0
    peak_gib: float = 0.0
    attention: str = ""
    data_wait: float = float("nan")
    failure: str = ""


def main(argv: Sequence[str]) -> int:
    """Print and write the table. 0 where every experiment ran in some form."""
    args = _parse(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    peak, source = peak_flops(args.peak_tflops, args.precision)
    rows: list[Row] = []
    for name in args.exp:
        for row in measure(name, args, peak):
            print(json.dumps(asdict(row)), flush=True)
            rows.append(row)
        write(
            rows,
            args.out,
            f"{device_name()}, {args.precision}, torch {torch.__version__}; MFU of {source}",
        )
    ran = {row.experiment for row in rows if not row.failure}
    return 0 if ran == set(args.exp) else 1


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks gpu", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("gpu"), help="folder of the results")
    parser.add_argument("--exp", nargs="+", default=FAMILIES, metavar="NAME", help="names in exp/")
    parser.add_argument(
        "--batches", nargs="+", type=int, default=[8, 32, 128], help="the fastest counts"
    )
    parser.add_argument("--forms", nargs="+", default=[*FORMS], choices=[*FORMS])
    parser.add_argument("--precision", choices=["fp32", "bf16", "fp16"], default="bf16")
    parser.add_argument(
        "--peak-tflops", type=float, help="of the device; else known by its name, or measured"
    )
    parser.add_argument(
        "--workers", type=int, default=8, help="loader processes; -1: data is not measured"
    )
    parser.add_argument("--repeats", type=int, default=5, help="timed steps; the median counts")
    parser.add_argument("--timeout", type=float, default=900.0, help="longest trial, seconds")
    parser.add_argument("--opts", nargs="*", default=[], metavar="KEY VALUE", help="overrides")
    return parser.parse_args(argv)


FORMS = {
    "eager": (False, ()),
    "compiled": (True, ()),
    "plain equations": (False, ("ATTENTION.REFERENCE", "True")),
}
"""Whether it is compiled, and overrides."""


def measure(name: str, args: argparse.Namespace, peak: float) -> Iterator[Row]:
    """The rows of an experiment, each with the batch that was fastest in it."""
    for form in args.forms:
        compiled, overrides = FORMS[form]
        cfg = load_config([str(EXP / name / "config.yaml")], [*args.opts, *overrides], CHECKS)
        setting = Setting(TRAIN, args.precision, compiled=compiled, repeats=args.repeats)
        trials = {b: run_trial(cfg, replace(setting, batch=b), args.timeout) for b in args.batches}
        batch, best = max(trials.items(), key=lambda item: item[1].clips_per_second)
        if best.failure:
            yield Row(name, form, failure=best.failure)
            continue
        with_data = form == args.forms[0] and args.workers >= 0
        yield _row(name, form, cfg, batch, best, args, peak, with_data)


def _row(
    name: str, form: str, cfg: CfgNode, batch: int, best: Outcome, args: argparse.Namespace, peak: float,
    with_data: bool,
) -> Row:  # fmt: skip
    flops = FLOPS_OF_A_STEP * model_cost(cfg).macs
    kernel = in_own_process(args.timeout, attention_kernel, cfg.dump(), args.precision)
    waiting: float | Failure = float("nan")
    if with_data:
        waiting = in_own_process(
            args.timeout,
            share_of_waiting,
            name,
            list(args.opts),
            batch,
            args.workers,
            args.precision,
        )
    return Row(
        name,
        form,
        batch,
        best.clips_per_second,
        best.clips_per_second * flops / peak,
        best.peak_bytes / 2**30,
        kernel.reason if isinstance(kernel, Failure) else kernel,
        float("nan") if isinstance(waiting, Failure) else waiting,
        f"data: {waiting.reason}" if isinstance(waiting, Failure) else "",
    )


def device_name() -> str:
    """The GPU there is, or CPU."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"


def peak_flops(tflops: float | None, precision: str) -> tuple[float, str]:
    """Operations a second that the device can do, and where the number comes from."""
    if tflops:
        return tflops * 1e12, f"{tflops:g} TFLOPS (given)"
    known = next((peak for part, peak in PEAK_TFLOPS.items() if part in device_name()), None)
    if known and precision != "fp32":
        return known * 1e12, f"{known} TFLOPS (stated by the vendor)"
    side = 8192 if torch.cuda.is_available() else 1024
    a = torch.randn(side, side, device=this_device())
    with autocast(a.device, precision):
        found = 2 * side**3 / median_seconds(lambda: a @ a, a.device, 5)
    return found, f"{found / 1e12:.3g} TFLOPS (a matrix product of side {side}, measured)"


class _Attention(TorchDispatchMode):
    """Names of the softmax attention kernels that ran."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        name = function._overloadpacket.__name__
        if name.startswith("_scaled_dot_product"):
            self.found.add(name.removeprefix("_scaled_dot_product_").replace("_attention", ""))
        return function(*args, **(kwargs or {}))


def attention_kernel(dumped: str, precision: str) -> str:
    """What torch took for softmax attention in one training forward pass; empty where the model has none."""
    cfg, device = CfgNode.load_cfg(dumped), this_device()
    model = build_model(cfg).to(device).train()
    clip_BCTHW = torch.randn(meta_clip(cfg).shape, device=device)
    with _Attention() as kernels, autocast(device, precision):
        model(clip_BCTHW)
    return ", ".join(sorted(kernels.found))


def share_of_waiting(name: str, opts: list[str], batch: int, workers: int, precision: str) -> float:
    """Share of the time of some training steps that was spent waiting for videos: 10 s of 340 x 256 h264 each."""
    with tempfile.TemporaryDirectory() as folder:
        _write_set(Path(folder), videos=batch * (STEPS_WITH_DATA + 2))
        own = {
            "DATA.PATH_TO_DATA_DIR": folder, "OUTPUT_DIR": folder, "TRAIN.BATCH_SIZE": batch, "TRAIN.ACCUMULATE": 1,
            "AUG.NUM_SAMPLE": 1, "TRAIN.DATASET": "kinetics", "TRAIN.PRECISION": precision, "NUM_GPUS": 1, "NUM_SHARDS": 1,
            "DATA_LOADER.NUM_WORKERS": workers, "TRAIN.CHECKPOINT_FILE_PATH": "", "TENSORBOARD.ENABLE": False,
        }  # fmt: skip
        pairs = [str(part) for item in own.items() for part in item]
        cfg = load_config([str(EXP / name / "config.yaml")], [*opts, *pairs], CHECKS)
        run = build_training(cfg, World.alone(this_device()))
        waited = [0.0]

        def timed() -> Iterator:
            batches = on_device(run.loader.epoch(0), run.world.device)
            while True:
                asked = time.perf_counter()
                found = next(batches)
                waited[0] += time.perf_counter() - asked
                yield found

        batches = timed()
        run.model.train()
        train_step(run, 0, 0, batches)
        wait(run.world.device)
        waited[0], started = 0.0, time.perf_counter()
        for step in islice(range(1, STEPS_WITH_DATA + 1), run.steps_per_epoch - 1):
            train_step(run, 0, step, batches)
        wait(run.world.device)
        whole = time.perf_counter() - started
        run.close()
    return waited[0] / whole


def _write_set(folder: Path, videos: int) -> None:
    """Lists of one clip under many names."""
    clip = folder / "clip.mp4"
    render_clip(str(clip), gop=12)
    for split, count in (("train", videos), ("val", 1)):
        names = [folder / f"{split}_{number}.mp4" for number in range(count)]
        for name in names:
            name.hardlink_to(clip)
        lines = (f"{name} {number % 2}" for number, name in enumerate(names))
        (folder / f"{split}.csv").write_text("\n".join(lines))


def write(rows: Sequence[Row], folder: Path, title: str) -> None:
    """gpu.json, gpu.md and gpu.png, and the table on the terminal."""
    (folder / "gpu.json").write_text(json.dumps([asdict(row) for row in rows], indent=1))
    head = ("experiment", "form", "batch", "clips/s", "MFU", "peak GiB", "attention", "data wait")
    table, lines = Table(*head, title=title), [title, "", _line(head), _line(["---"] * len(head))]
    for row in rows:
        table.add_row(*_cells(row))
        lines.append(_line(_cells(row)))
    Console(width=150).print(table)
    (folder / "gpu.md").write_text("\n".join(lines) + "\n")
    _draw(rows, folder / "gpu.png", title)


def _cells(row: Row) -> list[str]:
    if row.failure and not row.batch:
        return [row.experiment, row.form, "-", row.failure, "-", "-", "-", "-"]
    waiting = "-" if row.data_wait != row.data_wait else f"{100 * row.data_wait:.0f} %"
    speed = f"{row.clips_per_second:.3g}"
    numbers = [str(row.batch), speed, f"{100 * row.mfu:.0f} %", f"{row.peak_gib:.2f}"]
    return [row.experiment, row.form, *numbers, row.attention or "none", row.failure or waiting]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _draw(rows: Sequence[Row], path: Path, title: str) -> None:
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(row.experiment for row in rows))
    forms = list(dict.fromkeys(row.form for row in rows))
    figure = Figure(figsize=(9, 1 + 0.6 * len(names)), layout="constrained")
    axes, width = figure.subplots(), 0.8 / len(forms)
    for number, form in enumerate(forms):
        own = [row for row in rows if row.form == form]
        places = [names.index(row.experiment) + number * width for row in own]
        axes.barh(places, [100 * row.mfu for row in own], width, label=form)
    axes.set_yticks([i + 0.4 - width / 2 for i in range(len(names))], names)
    axes.invert_yaxis()
    axes.set_xlabel("share of the device's arithmetic in a training step, %")
    axes.set_title(title, fontsize=8)
    axes.legend()
    figure.savefig(path, dpi=100)
