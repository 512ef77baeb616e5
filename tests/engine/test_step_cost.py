"""What a training step would cost a GPU, counted without one: kernels of the guard, waits of the host, copies."""

from contextlib import nullcontext

import pytest
import torch
from test_step import make, run
from tiny_run import config
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from slowfast_ext.data.prefetch import on_device
from slowfast_ext.data.transforms.device import PixelOptions, to_model_input
from slowfast_ext.engine.distributed import World
from slowfast_ext.engine.options import TrainOptions
from slowfast_ext.engine.precision import loss_scaler
from slowfast_ext.engine.setup import build_training
from slowfast_ext.engine.step import SafeStepper, WeightAverage
from slowfast_ext.engine.train import train_step

META = torch.device("meta")


class Counted(TorchDispatchMode):
    """The operators that ran, by name; views cost nothing and are left out."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if not function.is_view:
            self.names.append(function._overloadpacket.__name__)
        return function(*args, **(kwargs or {}))


def normed(layers):
    return nn.Sequential(
        *(part for _ in range(layers) for part in (nn.Linear(4, 4), nn.BatchNorm1d(4)))
    )


def guard_kernels(layers):
    """Operators of clip, step and average, for a model with so many layers."""
    model = normed(layers)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    stepper = SafeStepper(model, optimizer, 1.0, 3, loss_scaler(torch.device("cpu"), "fp32"))
    average = WeightAverage(model, 0.9)
    run(model, stepper, torch.randn(8, 4))  # makes the optimizer's state
    model(torch.randn(8, 4)).square().mean().backward()
    with Counted() as counted:
        stepper.clip()
        stepper.step(0, [0])
        average.update(model)
    return counted.names


def test_kernels_of_the_guard_do_not_grow_with_the_model():
    few, many = guard_kernels(1), guard_kernels(30)
    assert sorted(few) == sorted(many)
    assert len(few) < 40


@pytest.mark.parametrize(("fused", "waits"), [(True, 0), (False, 1)])
def test_host_waits_for_the_device_at_most_once_a_step(fused, waits):
    model, stepper = make("sgd", fused)
    run(model, stepper, torch.randn(8, 4))
    with Counted() as counted:
        run(model, stepper, torch.randn(8, 4))
    assert counted.names.count("_local_scalar_dense") == waits


def test_check_reads_all_counts_at_once():
    model, stepper = make()
    run(model, stepper, torch.randn(8, 4))
    with Counted() as counted:
        stepper.check(str)
    assert "_local_scalar_dense" not in counted.names, "tolist of one tensor is one copy"


def test_a_step_of_training_reads_nothing_back(settings, monkeypatch):
    """On the meta device whatever wants a value, or a copy to the host, is an error."""
    monkeypatch.setattr("slowfast_ext.engine.train.autocast", lambda *_: nullcontext())
    cfg = config(
        settings, MIXUP__ENABLE=True, TRAIN__EMA_DECAY=0.9, SOLVER__CLIP_GRAD_L2NORM=1.0,
        TRAIN__CLASS_WEIGHTS="inverse",
    )  # fmt: skip
    training = build_training(cfg, World.alone(META))
    monkeypatch.setattr(
        training.optimizer, "step", lambda: None
    )  # torch's own, for real devices only
    batches = on_device(training.loader.epoch(0), META)
    train_step(training, 0, 0, batches)
    with Counted() as counted:
        train_step(training, 0, 1, batches)
    copied = [name for name in counted.names if name == "_to_copy"]
    assert len(copied) < 40, "casts of losses and counts; no copy for each parameter"
    training.close()


def test_mean_and_deviation_are_on_the_device_after_the_first_batch():
    clip = torch.zeros(1, 2, 3, 4, 4, dtype=torch.uint8)
    to_model_input(clip, PixelOptions())
    with Counted() as counted:
        to_model_input(clip, PixelOptions())
    assert sorted(counted.names) == ["_to_copy", "clone", "div_", "sub_"]


@pytest.mark.parametrize(
    ("changes", "static"),
    [({}, True), ({"accumulate": 2}, False), ({"compile": True}, False)],
)
def test_gradients_are_averaged_over_a_fixed_graph_where_torch_can(monkeypatch, changes, static):
    from slowfast_ext.engine import sharding

    asked = {}
    monkeypatch.setattr(
        sharding, "DistributedDataParallel", lambda model, **given: asked.update(given)
    )
    world = World(0, 2, 0, 2, torch.device("cpu"))
    sharding.as_called(nn.Linear(2, 2), TrainOptions(**changes), world)
    assert asked["static_graph"] is static
    assert asked["gradient_as_bucket_view"]
    assert asked[sharding._SYNC_BUFFERS] is False
