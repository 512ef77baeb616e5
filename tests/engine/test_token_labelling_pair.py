"""Training with token labels in two processes, whole and in parts (FSDP), and compiled."""

import pytest
import torch
from pairs import train_in_pair
from tiny_run import losses
from token_runs import TOKENS, coloured_squares, configured

from slowfast_ext.models import build_model


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Settings of two trainings of two processes, after them."""
    images, folder = coloured_squares(tmp_path_factory.mktemp("images")), tmp_path_factory.mktemp("runs")  # fmt: skip
    own = {
        "DATA.PATH_TO_DATA_DIR": images,
        "TOKEN_LABELS.PATH": images / "maps",
        "TEST.ENABLE": False,
    }
    own |= {"SOLVER.MAX_EPOCH": 1, "TRAIN.BATCH_SIZE": 8, "TRAIN.EMA_DECAY": 0.9}
    made = {
        kind: {**TOKENS, **own, "OUTPUT_DIR": folder / kind, "TRAIN.SHARDING": kind}
        for kind in ("none", "fsdp")
    }
    failures = train_in_pair(made)
    assert not failures, "\n".join(failures.values())
    return made


@pytest.mark.slow
def test_parts_of_the_model_learn_as_the_whole_does(runs):
    whole, parts = (losses(runs[kind]) for kind in ("none", "fsdp"))
    assert len(whole) == 3
    assert whole.keys() == parts.keys()
    for step, (loss, *_) in whole.items():
        assert parts[step][0] == pytest.approx(loss, rel=1e-4)


def test_compiled_training_is_one_graph_and_the_same():
    torch._dynamo.reset()
    torch.manual_seed(0)
    model = build_model(configured()).train()
    inputs = torch.rand(4, 3, 1, 64, 64), torch.tensor([0.7, 0.4, 0.6])
    found = []
    for called in (model, torch.compile(model, backend="aot_eager", fullgraph=True)):
        model.zero_grad()
        image, tokens, own = called(*inputs)
        (image.logsumexp(-1).sum() + own * tokens.square().sum()).backward()
        found.append((image, tokens, own, *(p.grad.clone() for p in model.parameters())))
    for eager, compiled in zip(*found, strict=True):
        torch.testing.assert_close(compiled, eager, rtol=1e-4, atol=1e-5)
