"""Models beside the published programs: the same weights, the same clip, the same answer; then both timed in turn.

A checkout of each program has to be there, and the packages that it imports (timm, einops, fvcore). --hub wants the package
transformers. --reference compares an experiment with its own plain equations (ATTENTION.REFERENCE), --softmax with softmax
attention in its place, --picks with a model of torchvision. On a CPU times are CPU seconds, so that other work on the machine
counts less, and memory is what a step saves for its backward pass; on a GPU they are seconds, and the most that was allocated.
All in training mode, without dropout.
Shapes: B batch, C colours, T frames, H W pixels.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from benchmarks.layers import seconds, this_device
from benchmarks.own_process import Failure, in_own_process
from benchmarks.published import PROGRAMS
from benchmarks.sides import (
    OTHER_MODELS,
    PICKS,
    Side,
    beside_hub,
    beside_pick,
    beside_program,
    beside_reference,
    beside_softmax,
    of_size,
)
from slowfast_ext.analysis.cost import count_macs, saved_by

TOLERANCE = {"fp32": 1e-3, "bf16": 0.1}
"""Largest difference of outputs, as a share of the largest output."""
COLUMNS = ("model", "difference", "forward", "training step", "memory, MiB", "GMAC")


@dataclass(frozen=True)
class How:
    """How both are run: `rounds` are timed, after a pass to warm up."""

    precision: str = "fp32"
    batch: int = 1
    rounds: int = 3
    threads: int = 2


@dataclass(frozen=True)
class Measured:
    """Of the other and of ours. `difference` of the outputs is NaN where they are not the same model."""

    difference: float
    forward_s: tuple[float, float]
    training_s: tuple[float, float]
    memory: tuple[int, int]
    gmacs: tuple[float, float]


def main(argv: Sequence[str]) -> int:
    """Print a row a model. 0 where all ran and all outputs agree."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks beside", description=__doc__)
    names = ", ".join(PROGRAMS)
    parser.add_argument("--program", nargs="+", default=[], metavar="NAME=CHECKOUT", help=names)
    parser.add_argument("--models", nargs="*", help="only these models of the programs")
    parser.add_argument("--reference", nargs="*", default=[], metavar="EXP", help="names in exp/")
    parser.add_argument("--softmax", nargs="*", default=[], metavar="EXP", help="names in exp/")
    parser.add_argument("--picks", nargs="*", default=[], choices=[*PICKS], help="of torchvision")
    parser.add_argument("--hub", action="store_true", help="VideoMAE-B of the package transformers")
    parser.add_argument(
        "--size", type=int, metavar="PX", help="of crops, not the experiments' (not of --picks)"
    )
    parser.add_argument("--precision", choices=[*TOLERANCE], default="fp32")
    parser.add_argument("--batch", type=int, default=1, help="clips")
    parser.add_argument("--rounds", type=int, default=3, help="timed, after a pass to warm up")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--timeout", type=float, default=1800.0, help="longest model, seconds")
    args = parser.parse_args(argv)
    how = How(args.precision, args.batch, args.rounds, args.threads)
    unit = "s" if this_device().type == "cuda" else "CPU s"
    title = f"theirs / ours = ratio; {unit}; {how.precision}, batch {how.batch}, {how.threads} threads, {this_device()}"
    table, good = Table(*COLUMNS, title=title), True
    for name, *build in _models(parser, args):
        found = in_own_process(args.timeout, measure, how, *build)
        table.add_row(name, *_cells(found))
        good &= isinstance(found, Measured) and not found.difference > TOLERANCE[how.precision]
    Console(width=150).print(table)
    return 0 if good else 1


def _models(parser: argparse.ArgumentParser, args: argparse.Namespace) -> Iterator[tuple]:
    """Name, function that builds both sides, and its arguments."""
    size = of_size(args.size) if args.size else ()
    for given in args.program:
        program, _, checkout = given.partition("=")
        if program not in PROGRAMS or not Path(checkout).is_dir():
            parser.error(
                f"--program {given}: give NAME=CHECKOUT, NAME one of {', '.join(PROGRAMS)}"
            )
        for entry in PROGRAMS[program]:
            if not args.models or entry.name in args.models:
                clips = f", batch {entry.least_batch}" if entry.least_batch > args.batch else ""
                yield entry.name + clips, beside_program, program, entry.name, checkout, *size
    for name in args.reference:
        yield f"{name}, plain equations", beside_reference, name, *size
    for name in args.softmax:
        yield f"{name}, softmax", beside_softmax, name, *size
    if args.hub:
        yield "videomae_b", beside_hub, *size
    for name in args.picks:
        yield f"{name}, {PICKS[name][1]}", beside_pick, name


def measure(how: How, build: Callable[..., tuple[Side, Side]], *args: str) -> Measured:
    """Both in this process, in turn; the first pass of each is not timed."""
    torch.set_num_threads(how.threads)
    torch.manual_seed(0)
    device = this_device()
    sides = [
        replace(s, model=s.model.to(device), clip_BCTHW=s.clip_BCTHW.to(device))
        for s in build(how.batch, *args)
    ]
    for side in sides:
        side.model.train()  # a statement: XViT's own returns nothing
    gmacs = tuple(_macs(s) / 1e9 for s in sides)
    theirs, ours = (_forward(s, how).float() for s in sides)
    same = build not in OTHER_MODELS
    gap = ((theirs - ours).abs().max() / theirs.abs().max()).item() if same else float("nan")
    forward = in_turn([lambda s=s: _forward(s, how) for s in sides], how.rounds, device)
    memory = tuple(_memory(s, how, device) for s in sides)
    training = in_turn([lambda s=s: _train(s, how) for s in sides], how.rounds, device)
    return Measured(gap, forward, training, memory, gmacs)


class _EnoughError(Exception):
    """What a model is called with is known, and no more is wanted."""


def _macs(side: Side) -> int:
    """Multiply-adds for one clip, counted from shapes."""
    caught: list[tuple] = []

    def catch(_: nn.Module, inputs: tuple) -> None:
        caught.append(inputs)
        raise _EnoughError

    hook = side.model.register_forward_pre_hook(catch)
    with suppress(_EnoughError):
        side.call(side.clip_BCTHW[:1].clone())
    hook.remove()
    inputs = tree_map_only(Tensor, lambda x: x.to("meta"), caught[0])
    # nothing to differentiate: XViT's switches gradients on in the middle of a pass without, which counting fails on
    counted = deepcopy(side.model).to("meta").requires_grad_(False)
    return count_macs(counted, *inputs)[""]


def _forward(side: Side, how: How) -> Tensor:
    with torch.no_grad(), side.autocast(side.clip_BCTHW.device, how.precision):
        return side.call(side.clip_BCTHW)


def _logits(side: Side, how: How) -> Tensor:
    with side.autocast(side.clip_BCTHW.device, how.precision):
        return side.call(side.clip_BCTHW)


def _backward(side: Side, logits_BK: Tensor) -> None:
    logits_BK.float().logsumexp(-1).sum().backward()
    side.model.zero_grad(set_to_none=True)


def _train(side: Side, how: How) -> None:
    _backward(side, _logits(side, how))


def in_turn(
    works: Sequence[Callable[[], object]], rounds: int, device: torch.device
) -> tuple[float, float]:
    """Median seconds of both works over rounds in which each has its turn, the other one first every second time."""
    times: list[list[float]] = [[], []]
    for number in range(rounds):
        for index in (1, 0) if number % 2 else (0, 1):
            times[index].append(seconds(works[index], device))
    theirs, ours = map(median, times)
    return theirs, ours


def _memory(side: Side, how: How, device: torch.device) -> int:
    """Most bytes of a training step above what the model takes; on a CPU those saved for its backward pass."""
    if device.type != "cuda":
        saved, logits_BK = saved_by(side.model, lambda: _logits(side, how))
        _backward(side, logits_BK)
        return saved
    _train(side, how)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    _train(side, how)
    return torch.cuda.max_memory_allocated(device) - before


def _cells(found: Measured | Failure) -> Iterator[str]:
    if isinstance(found, Failure):
        yield found.reason
        return
    yield "another model" if found.difference != found.difference else f"{found.difference:.1e}"
    for theirs, ours in (found.forward_s, found.training_s):
        yield f"{theirs:.2f} / {ours:.2f} = {theirs / ours:.2f}"
    yield " / ".join(f"{size / 2**20:.0f}" for size in found.memory)
    yield " / ".join(f"{gmacs:.1f}" for gmacs in found.gmacs)
