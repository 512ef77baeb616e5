"""A model in two parts computes what a whole one does, recomputed and compiled too, and torch's own checkpoints take it."""

import os
from functools import partial

import pytest
import torch
import torch.distributed as distributed
import torch.distributed.checkpoint as dcp
import torch.multiprocessing as multiprocessing
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    set_model_state_dict,
)

from slowfast_ext.engine.distributed import World
from slowfast_ext.engine.options import TrainOptions
from slowfast_ext.engine.sharding import shard, whole
from slowfast_ext.models.attention import AttentionOptions
from slowfast_ext.models.backbones import BackboneSpec
from slowfast_ext.models.backbones.vit import VisionTransformer, VitOptions
from slowfast_ext.models.compile import compile_blocks

pytestmark = pytest.mark.slow
WAYS = ("whole", "sharded", "every second", "compiled, every second")


def build(way):
    torch.manual_seed(0)
    blocks = 3 if "every" in way else 0
    spec = BackboneSpec(
        4,
        32,
        AttentionOptions(cycle=("trajectory",)),
        0.0,
        0.2,
        (blocks,),
        2 if "every" in way else 1,
    )
    options = VitOptions(patch_size=(2, 8, 8), embed_dim=16, depth=3, num_heads=2)
    return VisionTransformer(spec, options)


def two_steps(way, model):
    """Losses, and all weights after two steps."""
    if "compiled" in way:
        compile_blocks(model, backend="aot_eager", fullgraph=True)
    optimizer, losses = torch.optim.AdamW(model.parameters(), 0.01), []
    for _ in range(2):
        torch.manual_seed(1)
        loss = model(torch.randn(2, 3, 4, 32, 32)).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses, whole(model.state_dict())


def work(rank, folder):
    os.environ.update(MASTER_ADDR="127.0.0.1")
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2
    )
    world, found = World(rank, 2, rank, 2, torch.device("cpu")), {}
    split = partial(shard, options=TrainOptions(sharding="fsdp"), world=world)
    for way in WAYS:
        model = build(way).train()
        if way != "whole":
            split(model)
        found[way] = two_steps(way, model)
    dcp.save(get_model_state_dict(model), checkpoint_id=folder / "parts")
    other = build("whole")
    split(other)
    state = get_model_state_dict(other)
    dcp.load(state, checkpoint_id=folder / "parts")
    set_model_state_dict(other, state, options=StateDictOptions(strict=True))
    found["read in parts"] = [], whole(other.state_dict())
    if rank == 0:
        torch.save(found, folder / "found")
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts")
    multiprocessing.spawn(work, (folder,), nprocs=2)
    return folder


@pytest.mark.parametrize("way", WAYS[1:])
def test_parts_compute_what_the_whole_does(folder, way):
    found = torch.load(folder / "found")
    losses, weights = found[way]
    theirs, expected = found["whole"]
    assert losses == pytest.approx(theirs, rel=1e-4)
    for name, tensor in expected.items():
        torch.testing.assert_close(weights[name], tensor, rtol=1e-3, atol=1e-3)


def test_parts_are_read_again_as_parts_and_as_a_whole(folder):
    """By torch.distributed.checkpoint; a single process needs no group for it."""
    found = torch.load(folder / "found")
    _, saved = found[WAYS[-1]]
    model = build("whole")
    state = model.state_dict()
    dcp.load(state, checkpoint_id=folder / "parts", no_dist=True)
    torch.testing.assert_close(state, saved, rtol=0, atol=0)
    torch.testing.assert_close(found["read in parts"][1], saved, rtol=0, atol=0)
