"""The attention bench: a table, a picture, and the targets it judges."""

import time

import pytest
import torch

from benchmarks import attention as bench_attention
from benchmarks.layer_groups import GROUPS, Target
from benchmarks.layers import LayerCost


@pytest.mark.parametrize("group", GROUPS)
def test_table_and_picture(tmp_path, capsys, group):
    picture = tmp_path / "sub" / "attention.png"
    size = ["--frames", "2", "--sides", "2", "3", "--dim", "12", "--heads", "2", "--repeats", "1"]
    arguments = [*size, "--group", group, "--threads", "1", "--picture", str(picture)]
    assert bench_attention.main(arguments) in (0, 1)
    printed = capsys.readouterr().out
    assert picture.read_bytes().startswith(b"\x89PNG")
    for variant in GROUPS[group].variants:
        assert printed.count(variant.name) >= 2


@pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS)
def test_targets_and_references_are_variants(group):
    names = [variant.name for variant in group.variants]
    assert names[0] in group.references
    assert {n for t in group.targets for n in (t.fast, t.slow)} | set(group.references) <= set(
        names
    )


def test_targets():
    slow, quick = LayerCost(9, 1.0, 1.0, 4.0, 8.0), LayerCost(9, 1.0, 1.0, 2.0, 4.0)
    greedy = LayerCost(9, 1.0, 1.0, 1.0, 5.0)
    target = Target("fast", "slow", 2.0)
    assert target.is_met({"fast": quick, "slow": slow})
    assert not target.is_met({"fast": greedy, "slow": slow})
    assert not target.is_met({"fast": quick, "slow": quick})


def test_waiting_for_others_takes_no_time_on_a_cpu():
    (least,) = bench_attention.least_in_turn([lambda: time.sleep(0.1)], 1)
    assert least < (0.05 if not torch.cuda.is_available() else 1.0)
