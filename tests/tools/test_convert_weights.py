import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from slowfast_ext.config import load_config
from slowfast_ext.models import build_model
from slowfast_ext.models.weights import WEIGHTS

ROOT = Path(__file__).resolve().parents[2]
TINY = {
    "uniformer": ["MODEL.BACKBONE", "uniformer", "UNIFORMER.EMBED_DIM", "[16,32,32,64]", "UNIFORMER.DEPTH", "[1,1,1,1]",
                  "UNIFORMER.HEAD_DIM", "16", "MODEL.NUM_CLASSES", "5", "DATA.TRAIN_CROP_SIZE", "64"],
    "motionformer": ["ATTENTION.CYCLE", "[trajectory]", "VIT.EMBED_DIM", "32", "VIT.DEPTH", "1", "VIT.NUM_HEADS", "2",
                     "VIT.PRE_LOGITS", "tanh", "MODEL.NUM_CLASSES", "5", "DATA.TRAIN_CROP_SIZE", "32", "DATA.TEST_CROP_SIZE", "32"],
}  # fmt: skip


def convert(*arguments):
    return subprocess.run(
        [sys.executable, str(ROOT / "tools/convert_weights.py"), *map(str, arguments)],
        capture_output=True, text=True,
    )  # fmt: skip


@pytest.mark.parametrize("family", TINY)
def test_theirs_to_ours_and_back(tmp_path, family):
    cfg = load_config([], TINY[family])
    model = build_model(cfg)
    ours = model.state_dict()
    theirs = WEIGHTS.get(family).to_theirs(ours, model)
    torch.save({"model_state": theirs}, tmp_path / "theirs.pyth")
    done = convert(tmp_path / "theirs.pyth", tmp_path / "ours.safetensors", "--opts", *TINY[family])
    assert done.returncode == 0, done.stderr
    assert f"format: {family}" in done.stdout
    for name, tensor in load_file(tmp_path / "ours.safetensors").items():
        assert torch.equal(tensor, ours[name])
    done = convert(
        "--to",
        family,
        tmp_path / "ours.safetensors",
        tmp_path / "back.safetensors",
        "--opts",
        *TINY[family],
    )
    assert done.returncode == 0, done.stderr
    back = load_file(tmp_path / "back.safetensors")
    assert back.keys() == theirs.keys()
    assert all(torch.equal(back[name], tensor) for name, tensor in theirs.items())


def test_paths_may_stand_behind_the_configuration_files(tmp_path):
    cfg = tmp_path / "model.yaml"
    keys, values = TINY["motionformer"][::2], TINY["motionformer"][1::2]
    chosen = dict(zip(keys, values, strict=True))
    cfg.write_text("\n".join(f"{key}: {value}" for key, value in chosen.items()))
    torch.save(build_model(load_config([cfg])).state_dict(), tmp_path / "in.pyth")
    done = convert("--cfg", cfg, tmp_path / "in.pyth", tmp_path / "out.safetensors")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.safetensors").is_file()
    done = convert("--cfg", cfg, tmp_path / "in.pyth")
    assert done.returncode == 2
    assert "give IN and OUT" in done.stderr


def test_weights_of_nobody_are_refused(tmp_path):
    torch.save({"conv1.weight": torch.zeros(3)}, tmp_path / "resnet.pyth")
    done = convert(tmp_path / "resnet.pyth", tmp_path / "out.safetensors")
    assert done.returncode == 2
    assert "conv1.weight" in done.stderr
    assert not (tmp_path / "out.safetensors").exists()
