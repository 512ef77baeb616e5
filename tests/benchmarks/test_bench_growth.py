"""Growth with the tokens: trials in processes of their own, exponents, what comes after a failure."""

import math

import pytest

from benchmarks import growth as bench_growth
from benchmarks.growth import GROUPS, exponent, measure, run_trials
from benchmarks.layers import LayerCost, Variant
from benchmarks.own_process import Failure
from slowfast_ext.models.attention import AttentionSpec, Grid


def cost_at(tokens, power):
    return LayerCost(tokens, 1.0, 1.0, 0.1 * tokens**power, 3.0 * tokens)


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_exponent_is_the_power_of_the_growth(power):
    costs = [cost_at(tokens, power) for tokens in (100, 150, 400)]
    assert exponent(costs, "training_s") == pytest.approx(power)
    assert exponent(costs, "saved_mib") == pytest.approx(1)
    assert math.isnan(exponent(costs[:1], "training_s"))


@pytest.mark.parametrize(
    "variant",
    [v for g in GROUPS.values() for v in g.variants],
    ids=lambda v: f"{v.layer}-{v.name}",
)
def test_every_variant_is_measured(variant):
    cost = measure(variant, AttentionSpec(16, 2, Grid(2, 3, 3)), threads=1, repeats=1)
    assert cost.tokens == 18
    assert min(cost.gmacs, cost.forward_s, cost.training_s, cost.saved_mib) > 0


def test_nothing_is_tried_beyond_a_failure(monkeypatch):
    tried = []

    def in_own_process(timeout, work, variant, spec, *rest):
        tried.append(spec.grid.tokens)
        return Failure("out of memory") if spec.grid.tokens > 4 else cost_at(4, 1)

    monkeypatch.setattr(bench_growth, "in_own_process", in_own_process)
    specs = [AttentionSpec(8, 1, Grid(t, 2, 2)) for t in (1, 2, 3)]
    outcomes = run_trials(Variant("x", "joint"), specs, 1, 1, 1.0)
    assert tried == [4, 8]
    assert [type(outcome) for outcome in outcomes] == [LayerCost, Failure, Failure]


def test_table_and_picture(tmp_path, capsys):
    picture = tmp_path / "growth.png"
    size = ["--grids", "2x2", "2x4", "--dim", "8", "--heads", "2", "--repeats", "1"]
    bench_growth.main([*size, "--kernels", "relu", "--threads", "1", "--picture", str(picture)])
    printed = capsys.readouterr().out
    assert "32 tokens" in printed
    assert printed.count("N^") == 3
    assert picture.read_bytes().startswith(b"\x89PNG")
