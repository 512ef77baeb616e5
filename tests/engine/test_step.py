import pytest
import torch
from torch import nn

from slowfast_ext.engine.precision import loss_scaler
from slowfast_ext.engine.step import SafeStepper
from slowfast_ext.errors import DataError

CPU = torch.device("cpu")


def make(optimizer="adamw", fused=True, max_norm=0.0, max_bad=3, precision="fp32"):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    kind = {"adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}[optimizer]
    optim = kind(model.parameters(), lr=0.1, fused=fused)
    return model, SafeStepper(model, optim, max_norm, max_bad, loss_scaler(CPU, precision))


def run(model, stepper, inputs, number=0, videos=(0,)):
    stepper.backward(model(inputs).square().mean())
    norm = stepper.clip()
    stepper.step(number, videos)
    stepper.zero_grad()
    return norm


def snapshot(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_bad_step_changes_nothing_and_is_counted(optimizer, fused, precision):
    model, stepper = make(optimizer, fused, precision=precision)
    good, bad = torch.randn(8, 4), torch.full((8, 4), float("nan"))
    run(model, stepper, good)
    before = snapshot(model)
    run(model, stepper, bad)
    after = snapshot(model)
    tracked = "1.num_batches_tracked"
    assert all(torch.equal(before[k], after[k]) for k in before if k != tracked)
    assert stepper.check(["a.mp4"].__getitem__) == 1
    run(model, stepper, good)
    assert not torch.equal(after["0.weight"], model[0].weight)


def test_too_many_in_a_row_names_the_videos():
    model, stepper = make(max_bad=2)
    bad = torch.full((8, 4), float("inf"))
    run(model, stepper, bad, 10, [0, 1])
    stepper.check(["a.mp4", "b.mp4", "c.mp4"].__getitem__)
    run(model, stepper, bad, 11, [2])
    with pytest.raises(DataError, match=r"step 10: a\.mp4, b\.mp4\n.*step 11: c\.mp4"):
        stepper.check(["a.mp4", "b.mp4", "c.mp4"].__getitem__)


def test_bad_steps_apart_are_tolerated():
    model, stepper = make(max_bad=2)
    for number in range(6):
        run(model, stepper, torch.full((8, 4), float("nan")) if number % 2 else torch.randn(8, 4))
    assert stepper.check(["a.mp4"].__getitem__) == 3


@pytest.mark.parametrize("max_norm", [0.0, 0.01])
def test_clipping_is_by_global_norm(max_norm):
    model, stepper = make("sgd", max_norm=max_norm)
    before = torch.cat([p.detach().flatten() for p in model.parameters()])
    norm = run(model, stepper, torch.randn(8, 4))
    moved = (torch.cat([p.detach().flatten() for p in model.parameters()]) - before).norm()
    expected = 0.1 * (min(max_norm, norm.item()) if max_norm else norm.item())
    assert moved.item() == pytest.approx(expected, rel=1e-4)


def test_counts_survive_a_resume():
    model, stepper = make(max_bad=2)
    run(model, stepper, torch.full((8, 4), float("nan")))
    again_model, again = make(max_bad=2)
    again_model.load_state_dict(model.state_dict())
    again.load_state_dict(stepper.state_dict())
    run(again_model, again, torch.full((8, 4), float("nan")))
    with pytest.raises(DataError):
        again.check(["a.mp4"].__getitem__)


def bad_steps(max_bad, pattern):
    """A stepper after good (.) and bad (x) steps."""
    model, stepper = make(max_bad=max_bad)
    for number, step in enumerate(pattern):
        inputs = torch.full((8, 4), float("nan")) if step == "x" else torch.ones(8, 4)
        run(model, stepper, inputs, number, [number])
    return stepper


@pytest.mark.parametrize(
    ("max_bad", "pattern", "raises"),
    [
        (1, "x", True),
        (1, ".", False),
        (2, "x.x.x", False),
        (3, "xx.xx.", False),
        (3, ".xx.xxx", True),
        (3, "xxx....", True),
    ],
)
def test_as_many_in_a_row_as_the_limit_says(max_bad, pattern, raises):
    """Also where good steps have followed before anybody looked."""
    stepper = bad_steps(max_bad, pattern)
    assert stepper.check_period == max_bad
    if raises:
        with pytest.raises(DataError, match=f"{max_bad} steps in a row"):
            stepper.check(str)
    else:
        assert stepper.check(str) == pattern.count("x")


def test_the_message_names_the_steps_within_reach():
    """Twice as many steps as the limit: the row may have begun a whole period ago."""
    stepper = bad_steps(2, "......xx")
    with pytest.raises(DataError) as error:
        stepper.check(lambda video: f"{video}.mp4")
    named = [line.strip() for line in str(error.value).splitlines()[1:]]
    assert named == [f"step {number}: {number}.mp4" for number in (4, 5, 6, 7)]
