"""The model over several processes: whole in each (DDP), or each with a part of every parameter (FSDP2).

Checkpoints do not show which it was: they hold whole tensors, and what is read is cut again.
"""

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from slowfast_ext.engine.distributed import World
from slowfast_ext.engine.options import TrainOptions
from slowfast_ext.models.compile import blocks_of, compile_blocks

_SYNC_BUFFERS = next(
    name
    for name in ("forward_sync_buffers", "broadcast_buffers")
    if name in inspect.signature(DistributedDataParallel).parameters
)
"""Its name from torch 2.14 on, and before."""


def shard(model: nn.Module, options: TrainOptions, world: World) -> None:
    """Under TRAIN.SHARDING fsdp leave this process its part of every parameter of `model`; else nothing.

    Parameters become other objects: freeze before, build the optimizer after. A block's are gathered when it is
    called, in forward and backward, and dropped again.
    """
    if options.sharding != "fsdp" or world.size == 1:
        return
    mesh = init_device_mesh(world.device.type, (world.size,))
    for block in blocks_of(model):
        if any(True for _ in block.parameters()):
            fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)


def as_called(model: nn.Module, options: TrainOptions, world: World) -> nn.Module:
    """The model as the loop calls it: compiled where asked for, gradients averaged over processes."""
    called: Any = torch.compile(model) if options.compile is True else model
    if options.compile == "blocks":
        compile_blocks(model)
    if world.size == 1 or isinstance(model, FSDPModule):
        return called
    settings: dict[str, Any] = {
        "device_ids": [world.device] if world.device.type == "cuda" else None,
        "gradient_as_bucket_view": True,
        # torch cannot have it with passes that are not synchronised, nor with the compiler's buckets
        "static_graph": options.accumulate == 1 and not options.compile,
        _SYNC_BUFFERS: False,  # the step shares them (step.py), once and not before every forward pass
    }
    return DistributedDataParallel(called, **settings)


@contextmanager
def gathered(model: nn.Module) -> Iterator[None]:
    """Inside, every process has all of `model`, so that each may call it as often as it likes."""
    parts = [module for module in model.modules() if isinstance(module, FSDPModule)]
    for part in parts:
        part.unshard()
        part.set_reshard_after_forward(False, recurse=False)
    try:
        yield
    finally:
        for part in parts:
            part.set_reshard_after_forward(part is not model, recurse=False)
            part.reshard()


def local(tensor: Tensor) -> Tensor:
    """This process's part of a tensor, or all of it where it is not cut."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def whole(value: Any, keep: bool = True) -> Any:
    """A tensor, or dicts and lists of tensors, with the parts of all processes joined on the CPU; all must call this.

    Where `keep` is false the joined tensors are dropped at once and None stands in their place.
    """
    if isinstance(value, DTensor):
        joined = value.full_tensor()
        return joined.cpu() if keep else None
    if isinstance(value, Mapping):
        return {key: whole(item, keep) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(whole(item, keep) for item in value)
    return value


def cut_like(full: Tensor, own: Tensor) -> Tensor:
    """`full`, or this process's part of it where `own` is such a part."""
    if not isinstance(own, DTensor) or full.shape != own.shape:
        return full
    return distribute_tensor(
        full.to(own.device), own.device_mesh, own.placements, src_data_rank=None
    )


def load_whole(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """`model.load_state_dict` of whole tensors."""
    own = model.state_dict()
    model.load_state_dict(
        {name: cut_like(full, own.get(name, full)) for name, full in state.items()}
    )


def optimizer_state(optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> dict[str, Any]:
    """The whole state of an optimizer, cut as its parameters are."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    cut = {
        number: {
            name: cut_like(value, parameters[number]) if isinstance(value, Tensor) else value
            for name, value in own.items()
        }
        for number, own in state["state"].items()
    }
    return {**state, "state": cut}
