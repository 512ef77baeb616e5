"""Optimizer groups and the learning rate, a pure function of the epoch as a real number."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm
from torch.optim import SGD, AdamW, Optimizer
from yacs.config import CfgNode

from slowfast_ext.config import Problem
from slowfast_ext.options import Options, option, section


@section("SOLVER", "Optimizer and schedule")
@dataclass(frozen=True)
class SolverOptions(Options):
    """Optimizer, learning rate and how gradients are clipped."""

    optimizing_method: str = option("adamw", "optimizer", choices=("adamw", "sgd"))
    base_lr: float = option(0.0001, "learning rate after warm-up", low=0)
    base_lr_scale_num_shards: bool = option(
        False, "multiply BASE_LR, WARMUP_START_LR and COSINE_END_LR by NUM_SHARDS"
    )
    base_lr_batch: int = option(
        0,
        "batch that BASE_LR is meant for: it is scaled linearly to the effective batch; 0: not scaled",
        unit="clips",
        low=0,
    )
    base_lr_batch_ends: bool = option(
        False,
        "BASE_LR_BATCH scales WARMUP_START_LR and COSINE_END_LR too (VideoMAE); they stay below BASE_LR in any case",
    )
    base_lr_unit: str = option(
        "clips",
        "what BASE_LR_BATCH counts: clips, each repeat of AUG.NUM_SAMPLE on its own (UniFormer, InternVideo2), or videos (VideoMAE)",
        choices=("clips", "videos"),
    )
    lr_policy: str = option(
        "cosine", "how the rate falls", choices=("cosine", "linear", "steps_with_relative_lrs")
    )
    cosine_end_lr: float = option(0.0, "rate at the end of the cosine or the line", low=0)
    cosine_after_warmup: bool = option(
        True, "cosine or line start after the warm-up instead of under it"
    )
    cooldown_epochs: float = option(
        0.0,
        "last epochs at COSINE_END_LR, after the cosine or the line (timm)",
        unit="epochs",
        low=0,
    )
    steps: tuple[int, ...] = option((0,), "epochs at which the rate steps", unit="epochs")
    lrs: tuple[float, ...] = option((1.0,), "rate in each step, relative to BASE_LR")
    max_epoch: int = option(100, "length of training", unit="epochs", low=1)
    warmup_epochs: float = option(
        0.0, "linear rise from WARMUP_START_LR, per step", unit="epochs", low=0
    )
    warmup_start_lr: float = option(0.0, "rate at step 0 of the warm-up", low=0)
    weight_decay: float = option(0.05, "decay of weights", low=0)
    zero_wd_1d_param: bool = option(
        True, "no decay on biases, norms and other 1-D parameters (PySlowFast's key)"
    )
    zero_wd_positions: bool = option(
        False, "no decay on position tables, class and mask tokens (BEiT, VideoMAE, InternVideo2)"
    )
    zero_wd_head_bias: bool = option(
        False, "no decay on the biases of the head, whatever else decays (XViT)"
    )
    momentum: float = option(0.9, "SGD momentum", low=0, high=1)
    nesterov: bool = option(True, "SGD with Nesterov momentum")
    betas: tuple[float, ...] = option((0.9, 0.999), "AdamW betas", low=0, high=1, length=2)
    eps: float = option(1e-08, "AdamW: added to the root of the second moment", low=0)
    clip_grad_l2norm: float = option(0.0, "largest global gradient norm; 0: off", low=0)
    layer_decay: float = option(
        1.0, "factor of the rate per block counted from the head; 1: off", low=0, high=1
    )
    layer_decay_from: str = option(
        "head",
        "what has the full rate: the head alone, or also what follows the blocks, all one power lower (BEiT, VideoMAE, InternVideo2)",
        choices=("head", "norm"),
    )
    fused: bool = option(
        True,
        "fused optimizer kernels; without them each step waits for the device to know that it is finite",
    )


def learning_rate(
    solver: SolverOptions, epoch: float, effective_batch: int | None = None, nodes: int = 1
) -> float:
    """Rate at a point of training: linear warm-up, then LR_POLICY, scaled to the batch and the nodes as asked for.

    Only with BASE_LR_BATCH it needs the batch.
    """
    solver = _scaled(solver, effective_batch, nodes)
    if epoch >= solver.warmup_epochs:
        return _policy(solver, epoch)
    rise = epoch / solver.warmup_epochs
    end = _policy(solver, solver.warmup_epochs)
    return solver.warmup_start_lr + rise * (end - solver.warmup_start_lr)


def _scaled(solver: SolverOptions, effective_batch: int | None, nodes: int) -> SolverOptions:
    """The rates of a batch on so many nodes.

    PySlowFast and UniFormer scale all three by the nodes, DeiT the base rate alone by the batch.
    """
    by_nodes = nodes if solver.base_lr_scale_num_shards else 1
    by_batch = 1.0
    if solver.base_lr_batch:
        if effective_batch is None:
            raise ValueError("BASE_LR_BATCH scales the rate to a batch, and none is given")
        by_batch = effective_batch / solver.base_lr_batch
    base = solver.base_lr * by_nodes * by_batch
    ends = by_nodes * (by_batch if solver.base_lr_batch_ends else 1.0)
    return replace(
        solver,
        base_lr=base,
        warmup_start_lr=min(solver.warmup_start_lr * ends, base),
        cosine_end_lr=min(solver.cosine_end_lr * ends, base),
    )


_FALLS = {
    "cosine": lambda progress: (math.cos(math.pi * progress) + 1.0) * 0.5,
    "linear": lambda progress: 1.0 - progress,
}
"""Share of the rate that is left after a share of the time."""


def _policy(solver: SolverOptions, epoch: float) -> float:
    if solver.lr_policy in _FALLS:
        offset = solver.warmup_epochs if solver.cosine_after_warmup else 0.0
        progress = (epoch - offset) / (solver.max_epoch - solver.cooldown_epochs - offset)
        fall = _FALLS[solver.lr_policy](min(progress, 1.0))
        return solver.cosine_end_lr + (solver.base_lr - solver.cosine_end_lr) * fall
    passed = [index for index, start in enumerate(solver.steps) if start <= epoch]
    return solver.base_lr * solver.lrs[passed[-1] if passed else 0]


def check_solver(cfg: CfgNode) -> Iterable[Problem]:
    """Schedules that do not fit together."""
    solver = cfg.SOLVER
    if solver.WARMUP_EPOCHS >= solver.MAX_EPOCH:
        yield Problem("SOLVER.WARMUP_EPOCHS", "does not end before SOLVER.MAX_EPOCH", "shorten it")
    elif solver.WARMUP_EPOCHS + solver.COOLDOWN_EPOCHS >= solver.MAX_EPOCH:
        message = "begins before SOLVER.WARMUP_EPOCHS end"
        yield Problem("SOLVER.COOLDOWN_EPOCHS", message, "shorten it")
    if solver.LR_POLICY == "steps_with_relative_lrs":
        if len(solver.STEPS) != len(solver.LRS):
            yield Problem(
                "SOLVER.LRS", "has not one rate for each of SOLVER.STEPS", "match the lists"
            )
        if not solver.STEPS or solver.STEPS[0] != 0 or sorted(solver.STEPS) != list(solver.STEPS):
            yield Problem("SOLVER.STEPS", "is not a rising list from 0", "write e.g. [0, 20, 30]")
    for pattern in cfg.TRAIN.FREEZE:
        try:
            re.compile(pattern)
        except re.error as error:
            yield Problem(
                "TRAIN.FREEZE", f"'{pattern}' is no regular expression: {error}", "mend it"
            )


def freeze(model: nn.Module, patterns: Iterable[str]) -> int:
    """Stop training the parameters whose name matches any pattern; returns how many tensors."""
    frozen = [
        parameter
        for name, parameter in model.named_parameters()
        if any(re.search(pattern, name) for pattern in patterns)
    ]
    for parameter in frozen:
        parameter.requires_grad_(False)
    return len(frozen)


def training_mode(model: nn.Module) -> None:
    """`model.train()`, but for frozen batch norms, whose statistics belong to their frozen weights."""
    model.train()
    for module in model.modules():
        if isinstance(module, BatchNorm) and not any(p.requires_grad for p in module.parameters()):
            module.eval()


def build_optimizer(solver: SolverOptions, model: nn.Module) -> Optimizer:
    """AdamW or SGD over groups that share a decay and a rate factor ("lr_scale").

    Fused kernels take a "skip this step" flag on the device, see step.py.
    """
    groups = parameter_groups(solver, model)
    if solver.optimizing_method == "sgd":
        nesterov = solver.nesterov and solver.momentum > 0
        return SGD(groups, solver.base_lr, solver.momentum, nesterov=nesterov, fused=solver.fused)
    beta1, beta2 = solver.betas
    return AdamW(groups, solver.base_lr, (beta1, beta2), solver.eps, fused=solver.fused)


def parameter_groups(solver: SolverOptions, model: nn.Module) -> list[dict[str, Any]]:
    """Groups by weight decay (see _decays) and by depth (SOLVER.LAYER_DECAY)."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decay = solver.weight_decay if _decays(name, parameter, solver) else 0.0
            factor = _rate_factor(name, model.backbone, solver)
            groups.setdefault((decay, factor), []).append(parameter)
    return [
        {"params": parameters, "weight_decay": decay, "lr_scale": factor}
        for (decay, factor), parameters in groups.items()
    ]


_POSITIONS = ("pos_embed", "temp_embed", "cls_token", "temporal_cls_token", "mask_token")


def _decays(name: str, parameter: nn.Parameter, solver: SolverOptions) -> bool:
    """Not 1-D parameters, biases of the head, positions and tokens, where the options leave them out."""
    if solver.zero_wd_positions and name.rpartition(".")[2] in _POSITIONS:
        return False
    if solver.zero_wd_head_bias and name.startswith("head.") and name.endswith("bias"):
        return False
    return parameter.ndim > 1 or not solver.zero_wd_1d_param


def _rate_factor(name: str, backbone: Any, solver: SolverOptions) -> float:
    """LAYER_DECAY to the number of layers above; the head, or the last layer too, trains at the full rate."""
    prefix = "backbone."
    if solver.layer_decay == 1.0 or not name.startswith(prefix):
        return 1.0
    top = backbone.num_layers - (solver.layer_decay_from == "norm")
    return solver.layer_decay ** (top - backbone.layer_index(name.removeprefix(prefix)))


def set_learning_rate(optimizer: Optimizer, rate: float) -> None:
    """Give every group the rate times its factor."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["lr_scale"]


def trained_names(optimizer: Optimizer, model: nn.Module) -> list[str]:
    """Names of the parameters of an optimizer, in its order."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return [names[id(p)] for group in optimizer.param_groups for p in group["params"]]


def in_own_order(
    optimizer: Optimizer, model: nn.Module, state: Mapping[str, Any], names: Sequence[str]
) -> dict[str, Any]:
    """A state of an optimizer, saved in the order `names`, with the groups and options that this one has now.

    So a weight decay, layer decay or momentum that was changed since is in effect. Raises ValueError where other
    parameters are trained.
    """
    own = trained_names(optimizer, model)
    if sorted(own) != sorted(names):
        changed = sorted(set(own) ^ set(names))
        raise ValueError(
            f"{len(changed)} parameters are trained in one and not the other: {changed[:3]}"
        )
    number = {name: index for index, name in enumerate(names)}
    moments = {
        index: state["state"][number[name]]
        for index, name in enumerate(own)
        if number[name] in state["state"]
    }
    return {"state": moments, "param_groups": optimizer.state_dict()["param_groups"]}
