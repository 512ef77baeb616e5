"""The schedule and the optimizer by hand, with a model of a few small tensors."""

import math

import pytest
import torch
from torch import nn
from yacs.config import CfgNode

from slowfast_ext.engine.optim import (
    SolverOptions,
    build_optimizer,
    check_solver,
    freeze,
    in_own_order,
    learning_rate,
    parameter_groups,
    set_learning_rate,
    trained_names,
    training_mode,
)

SCHEDULE = {"base_lr": 1.0, "max_epoch": 10, "cosine_end_lr": 0.2, "warmup_epochs": 2.0}


class Backbone(nn.Module):
    """Three layers, 0 to 2."""

    num_layers = 3

    def __init__(self):
        super().__init__()
        self.pos_embed = nn.Parameter(torch.ones(1, 2, 3))
        self.block = nn.Linear(3, 3)
        self.norm = nn.LayerNorm(3)

    def layer_index(self, name):
        return {"pos_embed": 0, "block": 1, "norm": 2}[name.partition(".")[0]]


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone, self.head = Backbone(), nn.Linear(3, 2)


def groups(**options):
    """Name -> (decay, rate factor)."""
    model = Model()
    names = {id(p): name for name, p in model.named_parameters()}
    solver = SolverOptions(weight_decay=0.05, **options)
    found = parameter_groups(solver, model)
    assert len({(g["weight_decay"], g["lr_scale"]) for g in found}) == len(found)
    return {names[id(p)]: (g["weight_decay"], g["lr_scale"]) for g in found for p in g["params"]}


def test_decay_and_rate_of_each_parameter():
    plain = {
        "backbone.pos_embed": 0.05, "backbone.block.weight": 0.05, "backbone.block.bias": 0.0,
        "backbone.norm.weight": 0.0, "backbone.norm.bias": 0.0, "head.weight": 0.05, "head.bias": 0.0,
    }  # fmt: skip
    assert groups() == {name: (decay, 1.0) for name, decay in plain.items()}
    assert groups(zero_wd_1d_param=False) == dict.fromkeys(plain, (0.05, 1.0))
    spared = {**plain, "backbone.pos_embed": 0.0}
    assert groups(zero_wd_positions=True) == {name: (d, 1.0) for name, d in spared.items()}
    powers = {"pos_embed": 3, "block": 2, "norm": 1}
    for where, less in (("head", 0), ("norm", 1)):
        for name, (_, factor) in groups(layer_decay=0.5, layer_decay_from=where).items():
            power = powers[name.split(".")[1]] - less if name.startswith("backbone") else 0
            assert factor == 0.5**power, (where, name)


def test_what_is_frozen_is_in_no_group_and_keeps_its_statistics():
    model = nn.Sequential(nn.BatchNorm1d(3), nn.BatchNorm1d(3), nn.Linear(3, 2))
    assert freeze(model, ["^0", "2.bias"]) == 3
    assert [p.requires_grad for p in model.parameters()] == [False, False, True, True, True, False]
    training_mode(model.eval())
    assert [module.training for module in model] == [False, True, True]
    own = Model()
    assert freeze(own, []) == 0
    freeze(own, ["backbone"])
    (decayed, bias) = parameter_groups(SolverOptions(), own)
    assert (decayed["params"][0] is own.head.weight, bias["params"][0] is own.head.bias) == (
        True,
        True,
    )


def test_the_optimizer_is_as_the_options_say():
    adamw = build_optimizer(
        SolverOptions(betas=(0.8, 0.95), eps=1e-6, base_lr=0.3, fused=False), Model()
    )
    assert isinstance(adamw, torch.optim.AdamW)
    assert (adamw.defaults["betas"], adamw.defaults["eps"]) == ((0.8, 0.95), 1e-6)
    assert (adamw.defaults["lr"], adamw.defaults["fused"]) == (0.3, False)
    for momentum, nesterov, found in (
        (0.9, True, True),
        (0.9, False, False),
        (0.0, True, False),
        (0.5, True, True),
    ):
        solver = SolverOptions(
            optimizing_method="sgd", momentum=momentum, nesterov=nesterov, base_lr=0.3
        )
        sgd = build_optimizer(solver, Model())
        assert isinstance(sgd, torch.optim.SGD)
        defaults = sgd.defaults
        assert (defaults["lr"], defaults["momentum"], defaults["nesterov"]) == (
            0.3,
            momentum,
            found,
        )
        assert defaults["fused"] is True


def test_every_group_gets_the_rate_times_its_factor():
    optimizer = build_optimizer(SolverOptions(layer_decay=0.5), Model())
    set_learning_rate(optimizer, 0.8)
    assert {g["lr"] / g["lr_scale"] for g in optimizer.param_groups} == {0.8}
    assert {g["lr"] for g in optimizer.param_groups} == {0.8, 0.4, 0.2, 0.1}


def test_a_state_in_another_order_of_the_parameters():
    """Decay on all has one group, decay on some has two: the moments go with the names."""
    torch.manual_seed(0)
    model = Model()
    before = build_optimizer(SolverOptions(zero_wd_1d_param=False), model)
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    before.step()
    now = build_optimizer(SolverOptions(weight_decay=0.3), model)
    names = trained_names(before, model)
    assert names == [name for name, _ in model.named_parameters()]
    assert trained_names(now, model) != names
    now.load_state_dict(in_own_order(now, model, before.state_dict(), names))
    for parameter in model.parameters():
        assert torch.equal(now.state[parameter]["exp_avg"], before.state[parameter]["exp_avg"])
    assert {g["weight_decay"] for g in now.param_groups} == {0.0, 0.3}
    fresh = build_optimizer(SolverOptions(), model)
    assert in_own_order(fresh, model, fresh.state_dict(), names)["state"] == {}
    other = [*names[:-1], "head.other"]
    with pytest.raises(ValueError, match=r"2 parameters .*'head.bias', 'head.other'"):
        in_own_order(now, model, before.state_dict(), other)
    three = "'backbone.block.bias', 'backbone.block.weight', 'backbone.norm.bias'"
    with pytest.raises(ValueError, match=rf"8 parameters .*: \[{three}\]$"):
        in_own_order(now, model, before.state_dict(), ["x"])


@pytest.mark.parametrize("policy", ["cosine", "linear"])
def test_the_rate_over_a_whole_training(policy):
    """Warm-up of 2, fall over 5, 3 at the end rate, and beyond the end."""
    solver = SolverOptions(lr_policy=policy, cooldown_epochs=3.0, warmup_start_lr=0.5, **SCHEDULE)
    quarter = (1 + math.cos(math.pi / 5)) / 2 if policy == "cosine" else 0.8
    expected = {
        0: 0.5,
        1: 0.75,
        2: 1.0,
        3: 0.2 + 0.8 * quarter,
        4.5: 0.6,
        7: 0.2,
        8: 0.2,
        10: 0.2,
        12: 0.2,
    }
    for epoch, rate in expected.items():
        assert learning_rate(solver, epoch) == pytest.approx(rate), epoch


def test_no_scaling_unless_asked_for():
    solver = SolverOptions(warmup_start_lr=0.1, **SCHEDULE)
    assert [learning_rate(solver, e, 512, 8) for e in (0, 2, 10)] == pytest.approx([0.1, 1.0, 0.2])


def test_scaling_by_default_is_to_one_node_and_needs_a_batch():
    solver = SolverOptions(base_lr=0.3, base_lr_scale_num_shards=True)
    assert learning_rate(solver, 0) == 0.3
    with pytest.raises(ValueError, match="none is given"):
        learning_rate(SolverOptions(base_lr_batch=32), 0)


def test_a_backbone_without_layers_is_asked_for_them_by_layer_decay_alone():
    model = Model()
    model.backbone = nn.Linear(3, 3)
    assert {g["lr_scale"] for g in parameter_groups(SolverOptions(), model)} == {1.0}
    with pytest.raises(AttributeError, match="num_layers"):
        parameter_groups(SolverOptions(layer_decay=0.5), model)


def solver_node(**changes):
    solver = {"WARMUP_EPOCHS": 0.0, "MAX_EPOCH": 10, "COOLDOWN_EPOCHS": 0.0, "LR_POLICY": "cosine",
              "STEPS": [5], "LRS": [], **changes}  # fmt: skip
    return CfgNode({"SOLVER": solver, "TRAIN": {"FREEZE": [r"^head\."]}})


@pytest.mark.parametrize(
    ("changes", "keys"),
    [
        ({}, []),
        ({"WARMUP_EPOCHS": 10.0}, ["WARMUP_EPOCHS"]),
        ({"WARMUP_EPOCHS": 11.0, "COOLDOWN_EPOCHS": 1.0}, ["WARMUP_EPOCHS"]),
        ({"WARMUP_EPOCHS": 4.0, "COOLDOWN_EPOCHS": 6.0}, ["COOLDOWN_EPOCHS"]),
        ({"WARMUP_EPOCHS": 4.0, "COOLDOWN_EPOCHS": 7.0}, ["COOLDOWN_EPOCHS"]),
        ({"WARMUP_EPOCHS": 4.0, "COOLDOWN_EPOCHS": 5.0}, []),
        ({"LR_POLICY": "steps_with_relative_lrs", "STEPS": [0, 3], "LRS": [1.0, 0.1]}, []),
        ({"LR_POLICY": "steps_with_relative_lrs", "STEPS": [0, 3], "LRS": [1.0]}, ["LRS"]),
        ({"LR_POLICY": "steps_with_relative_lrs", "STEPS": [0], "LRS": [1.0, 0.1]}, ["LRS"]),
        ({"LR_POLICY": "steps_with_relative_lrs", "STEPS": [], "LRS": []}, ["STEPS"]),
        ({"LR_POLICY": "steps_with_relative_lrs", "STEPS": [1], "LRS": [1.0]}, ["STEPS"]),
        ({"LR_POLICY": "steps_with_relative_lrs", "STEPS": [-1, 0], "LRS": [1.0, 1.0]}, ["STEPS"]),
        ({"LR_POLICY": "steps_with_relative_lrs", "STEPS": [0, 5, 3], "LRS": [1.0] * 3}, ["STEPS"]),
    ],
)  # fmt: skip
def test_what_does_not_fit(changes, keys):
    assert [p.key for p in check_solver(solver_node(**changes))] == [f"SOLVER.{k}" for k in keys]
