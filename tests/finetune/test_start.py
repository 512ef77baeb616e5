"""Weights of other programs: by the name of their model, recognised, or refused."""

import pytest
import torch

from slowfast_ext.config import load_config
from slowfast_ext.errors import CheckpointError
from slowfast_ext.finetune import start as starts
from slowfast_ext.finetune.start import find_start, recognised
from slowfast_ext.models import build_model
from slowfast_ext.models.weights import WEIGHTS

TINY = """
MODEL: {BACKBONE: uniformer, NUM_CLASSES: 5}
UNIFORMER: {EMBED_DIM: [8, 8, 16, 16], DEPTH: [1, 1, 1, 1], HEAD_DIM: 8}
DATA: {NUM_FRAMES: 4, SAMPLING: segment, TRAIN_CROP_SIZE: 32, TEST_CROP_SIZE: 32, TRAIN_JITTER_SCALES: [32, 36]}
"""


@pytest.fixture
def tiny(tmp_path):
    """A YAML file of a model and weights of it, in the names of UniFormer's authors."""
    (tmp_path / "tiny.yaml").write_text(TINY)
    model = build_model(load_config(tmp_path / "tiny.yaml"))
    state = WEIGHTS.get("uniformer").to_theirs(model.state_dict(), model)
    torch.save({"model_state": state}, tmp_path / "public.pth")
    return tmp_path


def test_public_weights_of_a_named_model(tiny, clips, run):
    weights, out = tiny / "public.pth", tiny / "out"
    arguments = "--from", weights, "--model", tiny / "tiny.yaml", "--out", out, "--dry-run"
    code, _, errors = run(clips, *arguments)
    assert code == 0, errors
    cfg = load_config(out / "config.yaml")
    assert str(weights) == cfg.TRAIN.CHECKPOINT_FILE_PATH
    assert (cfg.TRAIN.CHECKPOINT_CHANGED, cfg.TRAIN.FREEZE) == (["head"], [r"^backbone\."])
    assert (cfg.TRAIN.BATCH_SIZE, cfg.TRAIN.ACCUMULATE, cfg.MODEL.NUM_CLASSES) == (4, 2, 3)


def test_recognised_by_its_tensors(tiny, monkeypatch):
    configs = {"tiny": load_config(tiny / "tiny.yaml"), "vit": load_config([], ["VIT.DEPTH", "1"])}
    configs["twin"] = load_config(tiny / "tiny.yaml", ["MODEL.NUM_CLASSES", "7"])
    monkeypatch.setattr(starts, "list_models", lambda: ["tiny", "twin", "vit"])
    monkeypatch.setattr(starts, "model_config", lambda name: configs[name])
    found = find_start(str(tiny / "public.pth"), "")
    assert found.words == f"tiny, recognised, weights of {tiny / 'public.pth'}"
    monkeypatch.setattr(starts, "list_models", lambda: ["twin", "vit"])
    assert find_start(str(tiny / "public.pth"), "").words.startswith("twin, recognised")
    configs["other"] = configs["twin"]
    monkeypatch.setattr(starts, "list_models", lambda: ["twin", "other"])
    with pytest.raises(CheckpointError, match="fits twin, other: say which with --model"):
        recognised(tiny / "public.pth", torch.load(tiny / "public.pth"))
