"""Models beside the published programs: the same weights, the same clip, the same answer; then both timed in turn.

A checkout of each program has to be there, and the packages that it imports (timm, einops, fvcore). --reference compares
an experiment with its own plain equations (ATTENTION.REFERENCE), --picks with a model of torchvision. On a CPU times are
CPU seconds, so that other work on the machine counts less, and memory is what a step saves for its backward pass; on a
GPU they are seconds, and the most that was allocated. All in training mode, without dropout.
Shapes: B batch, C colours, T frames, H W pixels.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from benchmarks.layers import this_device
from benchmarks.own_process import Failure, in_own_process
from benchmarks.published import (
    PLAIN,
    PROGRAMS,
    Published,
    build_published,
    published_logits,
    spread_weights,
)
from slowfast_ext.analysis.cost import count_macs, saved_for_backward
from slowfast_ext.config import load_config
from slowfast_ext.engine.precision import autocast, wait
from slowfast_ext.models import VideoModel, build_model
from slowfast_ext.models.weights import LoadOptions, load_weights
from slowfast_ext.options import pair
from slowfast_ext.tasks import heads_of

EXP = Path(__file__).resolve().parents[1] / "exp"
TOLERANCE = {"fp32": 1e-3, "bf16": 0.1}
"""Largest difference of outputs, as a share of the largest output."""
PICKS = {"mvit_v2_s": (16, "uniformer_s16x4_k400"), "swin3d_t": (32, "uniformer_s16x4_k400")}
"""Models of torchvision that a user might take instead: their frames, and the experiment beside them."""
COLUMNS = ("model", "difference", "forward", "training step", "memory, MiB", "GMAC")


@dataclass(frozen=True)
class How:
    """How both are run: `rounds` are timed, after one to warm up."""

    precision: str = "fp32"
    batch: int = 1
    rounds: int = 3
    threads: int = 2


@dataclass(frozen=True)
class Side:
    """One of two models: what it makes of a clip [B, C, T, H, W]."""

    model: nn.Module
    clip_BCTHW: Tensor
    call: Callable[[Tensor], Tensor]


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
    parser.add_argument("--picks", nargs="*", default=[], choices=[*PICKS], help="of torchvision")
    parser.add_argument("--precision", choices=[*TOLERANCE], default="fp32")
    parser.add_argument("--batch", type=int, default=1, help="clips")
    parser.add_argument("--rounds", type=int, default=3, help="timed, after one to warm up")
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
    for given in args.program:
        program, _, checkout = given.partition("=")
        if program not in PROGRAMS or not Path(checkout).is_dir():
            parser.error(
                f"--program {given}: give NAME=CHECKOUT, NAME one of {', '.join(PROGRAMS)}"
            )
        for entry in PROGRAMS[program]:
            if not args.models or entry.name in args.models:
                yield entry.name, beside_program, program, entry.name, checkout
    for name in args.reference:
        yield f"{name}, plain equations", beside_reference, name
    for name in args.picks:
        yield f"{name}, {PICKS[name][1]}", beside_pick, name


def our_model(experiment: str, *overrides: str) -> tuple[VideoModel, tuple[int, ...]]:
    """The model of an experiment, without what is random in training, and the shape of its clips."""
    cfg = load_config([str(EXP / experiment / "config.yaml")], [*PLAIN, *overrides])
    return build_model(cfg), (3, cfg.DATA.NUM_FRAMES, *pair(cfg.DATA.TRAIN_CROP_SIZE))


def _ours(model: VideoModel, clip_BCTHW: Tensor) -> Side:
    return Side(model, clip_BCTHW, lambda clip: heads_of(model(clip))[0])


def beside_program(batch: int, program: str, name: str, checkout: str) -> tuple[Side, Side]:
    """A published model and ours with its weights."""
    (entry,) = (entry for entry in PROGRAMS[program] if entry.name == name)
    return beside_published(batch, entry, Path(checkout))


def beside_published(batch: int, entry: Published, checkout: Path) -> tuple[Side, Side]:
    """The same of an entry."""
    theirs = build_published(entry, checkout)
    spread_weights(theirs)
    model, shape = our_model(entry.ours, *entry.our_changes)
    load_weights(model, theirs.state_dict(), LoadOptions())
    clip_BCTHW = torch.randn(batch, *shape)
    other = Side(theirs, clip_BCTHW, lambda clip: published_logits(theirs, entry.takes, clip))
    return other, _ours(model, clip_BCTHW)


def beside_reference(batch: int, experiment: str) -> tuple[Side, Side]:
    """An experiment by its plain equations, and in its fast form."""
    model, shape = our_model(experiment)
    spread_weights(model)
    reference, _ = our_model(experiment, "ATTENTION.REFERENCE", "True")
    reference.load_state_dict(model.state_dict())
    clip_BCTHW = torch.randn(batch, *shape)
    return _ours(reference, clip_BCTHW), _ours(model, clip_BCTHW)


def beside_pick(batch: int, name: str) -> tuple[Side, Side]:
    """A model of torchvision, and the experiment that a user of this program would take."""
    from torchvision.models import get_model

    frames, experiment = PICKS[name]
    other = get_model(name, weights=None)
    model, shape = our_model(experiment)
    return (
        Side(other, torch.randn(batch, 3, frames, 224, 224), other),
        _ours(model, torch.randn(batch, *shape)),
    )


def measure(how: How, build: Callable[..., tuple[Side, Side]], *args: str) -> Measured:
    """Both in this process, in turn."""
    torch.set_num_threads(how.threads)
    torch.manual_seed(0)
    device = this_device()
    sides = [
        Side(s.model.to(device).train(), s.clip_BCTHW.to(device), s.call)
        for s in build(how.batch, *args)
    ]
    same = build is not beside_pick
    difference = _difference(sides, how) if same else float("nan")
    forward = in_turn([lambda s=s: _forward(s, how) for s in sides], how.rounds, device)
    training = in_turn([lambda s=s: _train(s, how) for s in sides], how.rounds, device)
    memory = tuple(_memory(s, how, device) for s in sides)
    gmacs = tuple(count_macs(s.model, *_arguments(s))[""] / 1e9 for s in sides)
    return Measured(difference, forward, training, memory, gmacs)


def _arguments(side: Side) -> tuple:
    """What the model itself is called with, caught on the way."""
    caught: list[tuple] = []
    hook = side.model.register_forward_pre_hook(lambda _, inputs: caught.append(inputs))
    with torch.no_grad():
        side.call(side.clip_BCTHW[:1].clone())
    hook.remove()
    return caught[0]


def _difference(sides: Sequence[Side], how: How) -> float:
    with torch.no_grad(), autocast(sides[0].clip_BCTHW.device, how.precision):
        theirs, ours = (side.call(side.clip_BCTHW).float() for side in sides)
    return ((theirs - ours).abs().max() / theirs.abs().max()).item()


def _forward(side: Side, how: How) -> None:
    with torch.no_grad(), autocast(side.clip_BCTHW.device, how.precision):
        side.call(side.clip_BCTHW)


def _train(side: Side, how: How) -> None:
    with autocast(side.clip_BCTHW.device, how.precision):
        logits_BK = side.call(side.clip_BCTHW)
    logits_BK.float().logsumexp(-1).sum().backward()
    side.model.zero_grad(set_to_none=True)


def in_turn(
    works: Sequence[Callable[[], None]], rounds: int, device: torch.device
) -> tuple[float, float]:
    """Median seconds of both works over rounds in which each has its turn, the other one first every second time."""
    times: list[list[float]] = [[], []]
    for number in range(rounds + 1):
        for index in (0, 1) if number % 2 else (1, 0):
            times[index].append(_seconds(works[index], device))
    theirs, ours = (median(own[1:]) for own in times)
    return theirs, ours


def _seconds(work: Callable[[], None], device: torch.device) -> float:
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    wait(device)
    started = clock()
    work()
    wait(device)
    return clock() - started


def _memory(side: Side, how: How, device: torch.device) -> int:
    """Most bytes of a training step above what the model takes; on a CPU those saved for its backward pass."""
    if device.type != "cuda":
        with autocast(device, how.precision):
            return saved_for_backward(side.model, *_arguments(side)) * how.batch
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
