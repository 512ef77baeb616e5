"""The processes of a run: who am I, exchange of small things, agreement to stop."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from slowfast_ext.engine.options import RunOptions
from slowfast_ext.errors import ConfigError, Interrupted
from slowfast_ext.screen import plural

T = TypeVar("T")


@dataclass(frozen=True)
class World:
    """This process among all: `size` processes, `local_size` of them on this node."""

    rank: int
    size: int
    local_rank: int
    local_size: int
    device: torch.device

    @classmethod
    def alone(cls, device: torch.device) -> "World":
        """One process, without a process group."""
        return cls(0, 1, 0, 1, device)

    @property
    def is_main(self) -> bool:
        """True in the one process that writes files and prints."""
        return self.rank == 0


def pick_device(wanted: str = "auto", local_rank: int = 0) -> torch.device:
    """DEVICE (auto, cpu or cuda) for a process of this node. Raises ConfigError where CUDA is asked for and missing."""
    has_cuda = torch.cuda.is_available()
    if wanted == "cuda" and not has_cuda:
        raise ConfigError(f"DEVICE = cuda: {_seen(0)}; use auto or cpu")
    if wanted == "cpu" or not has_cuda:
        return torch.device("cpu")
    if local_rank >= (gpus := torch.cuda.device_count()):
        raise ConfigError(f"GPU {local_rank}, counted from 0: {_seen(gpus)}; {_fewer(gpus)}")
    return torch.device("cuda", local_rank)


def processes_on_this_node(options: RunOptions) -> int:
    """NUM_GPUS with -1 resolved to the GPUs there are, at least one process."""
    gpus = _gpus(options)
    return max(1, gpus if options.num_gpus < 0 else options.num_gpus)


def check_processes(options: RunOptions, cores: int) -> str:
    """What to know of NUM_GPUS without a GPU each, or "". Raises ConfigError where there are GPUs, and too few."""
    processes, gpus = processes_on_this_node(options), _gpus(options)
    if processes > gpus > 0:
        raise ConfigError(f"NUM_GPUS = {processes}: {_seen(gpus)}; {_fewer(gpus)}")
    if processes > max(gpus, cores):
        return f"NUM_GPUS = {processes} without a GPU: {processes} processes share {cores} cores; fewer are faster"
    return ""


def _seen(gpus: int) -> str:
    return f"torch sees {plural(gpus, 'GPU') if gpus else 'no GPU'} on this machine"


def _fewer(gpus: int) -> str:
    return (
        f"use NUM_GPUS -1, one process for each (torchrun: --nproc-per-node {gpus}), or DEVICE cpu"
    )


def _gpus(options: RunOptions) -> int:
    return torch.cuda.device_count() if options.device != "cpu" else 0


def start_world(options: RunOptions) -> World:
    """Join the process group that the environment describes (torchrun's variables), if there is one."""
    size = int(os.environ.get("WORLD_SIZE", 1))
    local_rank = int(os.environ.get("LOCAL_RANK", 0))
    device = pick_device(options.device, local_rank)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if size > 1:
        backend = "nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(
            backend if options.dist_backend == "auto" else options.dist_backend,
            timeout=timedelta(seconds=options.dist_timeout),
        )
    rank = int(os.environ.get("RANK", 0))
    local_size = int(os.environ.get("LOCAL_WORLD_SIZE", size))
    return World(rank, size, local_rank, local_size, device)


@contextmanager
def cores_shared_with(workers: int, processes: int = 1) -> Iterator[None]:
    """In here torch leaves the loader's `workers` their cores, unless OMP_NUM_THREADS says how many threads; then as before.

    OpenMP threads that wait for each other on busy cores spin: with 2 threads and 2 workers on 2 cores a
    training step took 20 times as long as with 1 thread. The last bits of sums hang on the number of threads, so a
    caller (a notebook, a test) must find it as it was.
    """
    before = torch.get_num_threads()
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // processes - workers))
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def joined_world(options: RunOptions, loader_workers: int) -> Iterator[World]:
    """In here this process is part of the run; CPU processes leave cores to their `loader_workers`."""
    world = start_world(options)
    try:
        if world.device.type == "cpu":
            with cores_shared_with(loader_workers, world.local_size):
                yield world
        else:
            yield world
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def from_main(world: World, make: Callable[[], T]) -> T:
    """What `make` returns or raises in the main process, in every process."""
    if world.size == 1:
        return make()
    outcome: list[Any] = [None, None]
    if world.is_main:
        try:
            outcome[0] = make()
        except (Exception, Interrupted) as error:
            outcome[1] = error
    dist.broadcast_object_list(outcome, src=0, device=_object_device(world))
    if outcome[1] is not None:
        raise outcome[1]
    return outcome[0]


def gather_objects(world: World, thing: T) -> list[T]:
    """The `thing` of every process, in rank order, in every process."""
    if world.size == 1:
        return [thing]
    things: list[Any] = [None] * world.size
    dist.all_gather_object(things, thing)
    return things


def sum_over_ranks(world: World, values: Tensor) -> Tensor:
    """Elementwise sum over all processes."""
    if world.size > 1:
        dist.all_reduce(values)
    return values


def _object_device(world: World) -> torch.device | None:
    return world.device if dist.get_backend() == "nccl" else None


class Vote:
    """Agreement on host flags, one step late, without waiting: every process reads the same answer.

    Each step casts its flags in a small CPU all-reduce that runs in the background while the
    device works, and reads the outcome of the step before.
    """

    def __init__(self, world: World, count: int) -> None:
        self._count = count
        self._group: Any = dist.new_group(backend="gloo") if world.size > 1 else None
        self._pending: tuple[Tensor, Any] | None = None

    def cast(self, *flags: bool) -> tuple[bool, ...]:
        """Cast this step's flags; returns whether any process cast each of them the step before."""
        tensor = torch.tensor(flags, dtype=torch.int32)
        if self._group is None:
            return flags
        work = dist.all_reduce(tensor, op=dist.ReduceOp.MAX, group=self._group, async_op=True)
        previous, self._pending = self._pending, (tensor, work)
        if previous is None:
            return (False,) * self._count
        previous[1].wait()
        return tuple(bool(flag) for flag in previous[0])

    def finish(self) -> None:
        """Wait for the vote under way, so that no process leaves the others waiting."""
        if self._pending is not None:
            self._pending[1].wait()
            self._pending = None
