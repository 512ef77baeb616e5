"""The memory that a training will take on each GPU, planned from shapes: nothing of the model is allocated.

Weights, gradients, optimizer and average are counted from parameters; what a forward pass saves for the backward pass
torch's hooks tell of fake tensors, in the precision of the training. Left out is what a kernel needs while it runs, the
context of CUDA, and what torch's allocator keeps and cannot use.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from yacs.config import CfgNode

from slowfast_ext.analysis.cost import meta_model, saved_for_backward
from slowfast_ext.config import options_of
from slowfast_ext.data.transforms.pipeline import AugOptions
from slowfast_ext.engine.optim import SolverOptions
from slowfast_ext.engine.options import RunOptions, TrainOptions
from slowfast_ext.engine.precision import autocast
from slowfast_ext.engine.sharding import blocks_of
from slowfast_ext.models import build_model
from slowfast_ext.options import pair

Policy = tuple[Sequence[int], int]
"""MODEL.CHECKPOINT_BLOCKS and MODEL.CHECKPOINT_EVERY."""
_FIELDS = ("weights", "gradients", "optimizer", "average", "activations")


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes on one GPU in training; `activations` are what the forward pass saves for the backward pass."""

    weights: int
    gradients: int
    optimizer: int
    average: int
    activations: int

    @property
    def total(self) -> int:
        """All of them."""
        return sum(getattr(self, name) for name in _FIELDS)


@dataclass(frozen=True)
class Parameters:
    """Bytes: of all, of those that are trained, and of those that FSDP has whole at a time, two blocks and the rest."""

    all: int
    trained: int
    gathered: int


def plan_memory(
    parameters: Parameters, activations: int, solver: SolverOptions, average: bool, parts: int = 1
) -> MemoryPlan:
    """Memory of one GPU that has the whole model, or one of `parts` of it (FSDP)."""
    moments = 2 if solver.optimizing_method == "adamw" else int(solver.momentum > 0)
    gathered = parameters.gathered if parts > 1 else 0
    trained = parameters.trained // parts
    return MemoryPlan(
        parameters.all // parts + gathered,
        trained,
        moments * trained,
        parameters.all // parts if average else 0,
        activations,
    )


def planned(cfg: CfgNode, device: torch.device, processes: int) -> Iterator[str]:
    """Lines with the plans of `cfg`: each process with the whole model or a part, activations saved or recomputed.

    Activations depend on the kernels of the device: they are those of `device`, which nothing is put on.
    """
    clips, average = clips_per_process(cfg, processes), cfg.TRAIN.EMA_DECAY > 0
    others = processes if processes > 1 else 8
    yield f"planned memory of each GPU, GiB, with {clips} clips in {cfg.TRAIN.PRECISION}:"
    yield _row("TRAIN.SHARDING", "MODEL.CHECKPOINT_BLOCKS", *_FIELDS, "total")
    for blocks, every in _policies(cfg):
        model = fake_model(cfg, device, (blocks, every))
        policy = str(list(blocks)) + (f", every {every}" if every > 1 else "")
        parameters = count_parameters(model)
        saved = saved_bytes(cfg, model, device, clips)
        for name, parts in (("none", 1), (f"fsdp on {others}", others)):
            plan = plan_memory(parameters, saved, options_of(cfg, SolverOptions), average, parts)
            sizes = [*(getattr(plan, field) for field in _FIELDS), plan.total]
            yield _row(name, policy, *(f"{size / 2**30:.2f}" for size in sizes))


def _row(sharding: str, recomputed: str, *cells: str) -> str:
    return f"  {sharding:<15}{recomputed:<25}" + "".join(f"{cell:>13}" for cell in cells)


def _policies(cfg: CfgNode) -> Iterator[Policy]:
    """As configured, and no or all blocks recomputed where that is something else."""
    with torch.device("meta"):
        model = build_model(cfg)
    lists = [module for module in model.modules() if isinstance(module, nn.ModuleList)]
    # the trunk: what blocks consist of, patch embeddings and probes are shorter
    depth = max((len(list(blocks_of(blocks))) for blocks in lists), default=0)
    own = (tuple(cfg.MODEL.CHECKPOINT_BLOCKS), cfg.MODEL.CHECKPOINT_EVERY)
    yield from dict.fromkeys((own, ((0,), 1), ((depth,), 1)))


def clips_per_process(cfg: CfgNode, processes: int) -> int:
    """Clips of one forward pass of one process."""
    nodes = options_of(cfg, RunOptions).num_shards
    videos = options_of(cfg, TrainOptions).batch_size * nodes // processes
    return max(1, videos) * options_of(cfg, AugOptions).num_sample


def fake_model(cfg: CfgNode, device: torch.device, recomputed: Policy | None = None) -> nn.Module:
    """The model of `cfg` in training, as if on `device`, its tensors shapes only; `recomputed` instead of what it says."""
    cfg = cfg.clone()
    cfg.defrost()
    if recomputed is not None:
        blocks, cfg.MODEL.CHECKPOINT_EVERY = recomputed
        cfg.MODEL.CHECKPOINT_BLOCKS = list(blocks)
    model = meta_model(cfg)
    with FakeTensorMode(allow_non_fake_inputs=True):
        return model.to_empty(device=device)


def count_parameters(model: nn.Module) -> Parameters:
    """Of a model before it is sharded; a block is gathered while the one before it is computed with."""
    blocks = [_bytes(block) for block in blocks_of(model)]
    whole = _bytes(model)
    trained = sum(p.nbytes for p in model.parameters() if p.requires_grad)
    return Parameters(whole, trained, whole - sum(blocks) + 2 * max(blocks, default=0))


def saved_bytes(cfg: CfgNode, model: nn.Module, device: torch.device, clips: int) -> int:
    """What one forward pass of a fake model saves for the backward pass, copies of weights in low precision included."""
    size, first = pair(cfg.DATA.TRAIN_CROP_SIZE), next(model.parameters())
    assert isinstance(first, FakeTensor)
    with first.fake_mode, autocast(device, cfg.TRAIN.PRECISION):
        clip_BCTHW = torch.empty(clips, 3, cfg.DATA.NUM_FRAMES, *size, device=device)
        return saved_for_backward(model, clip_BCTHW)


def _bytes(module: nn.Module) -> int:
    return sum(parameter.nbytes for parameter in module.parameters())
