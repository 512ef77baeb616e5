"""Golden cases of UniFormer's family: their configuration in our keys, their tensors."""

import json
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor
from yacs.config import CfgNode

from slowfast_ext.config import get_cfg
from slowfast_ext.models import VideoModel, build_model
from slowfast_ext.models.weights import import_state


def our_config(published: dict, frames: int, size: int) -> CfgNode:
    """Our tree for the published configuration of a case."""
    theirs, cfg = published["UNIFORMER"], get_cfg()
    emim = theirs.get("ATTN_TYPE") is not None
    cfg.MODEL.BACKBONE = "uniformer"
    cfg.MODEL.NUM_CLASSES = published["MODEL"]["NUM_CLASSES"]
    cfg.DATA.NUM_FRAMES, cfg.DATA.TRAIN_CROP_SIZE = frames, size
    for key in ("EMBED_DIM", "DEPTH", "HEAD_DIM", "STD"):
        cfg.UNIFORMER[key] = theirs[key]
    cfg.UNIFORMER.TEMPORAL_STRIDE = 1 if emim else 2
    cfg.ATTENTION.CYCLE = ["emim", "joint"] if emim else ["split" if theirs["SPLIT"] else "joint"]
    return cfg


def case_config(folder: Path, name: str) -> CfgNode:
    """Our tree for the case in `name`.json."""
    case = json.loads((folder / f"{name}.json").read_text())
    return our_config(case["cfg"], *case["input_shape"][2:4])


def load_case(folder: Path, name: str, cfg: CfgNode) -> tuple[VideoModel, dict[str, Tensor]]:
    """The published weights in our model, in evaluation mode, and all tensors of the case."""
    tensors = load_file(folder / f"{name}.safetensors")
    state = {key[3:]: value for key, value in tensors.items() if key.startswith("sd.")}
    model = build_model(cfg)
    fitted, report = import_state(state, cfg, model.state_dict())
    assert not report.differences()
    model.load_state_dict(fitted)
    return model.eval(), tensors
