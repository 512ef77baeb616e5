"""Golden cases of Motionformer: their configuration in our keys, their weights in our model."""

import json
from pathlib import Path

from vit_cases import load_case as load_tensors
from vit_cases import state_of
from yacs.config import CfgNode

from slowfast_ext.config import get_cfg
from slowfast_ext.models import VideoModel, build_model
from slowfast_ext.models.weights import Report, import_state

APPROXIMATIONS = {"none": "softmax"}


def case_config(folder: Path, name: str) -> CfgNode:
    """Our tree for the published configuration in `name`.json."""
    case = json.loads((folder / f"{name}.json").read_text())
    vit, cfg = case["cfg"]["VIT"], get_cfg()
    cfg.MODEL.NUM_CLASSES = case["cfg"]["NUM_CLASSES"]
    if case["cfg"]["DATASET"] == "Epickitchens":
        cfg.MODEL.NUM_CLASSES = [97, 300]
    cfg.DATA.NUM_FRAMES, cfg.DATA.TRAIN_CROP_SIZE = case["input"]["frames"], case["input"]["H"]
    cfg.DATA.TEST_CROP_SIZE = cfg.DATA.TRAIN_CROP_SIZE
    if "posinterp" in name:
        cfg.VIT.POS_CROP_SIZE = 224
    cfg.VIT.PATCH_SIZE = [vit["PATCH_SIZE_TEMP"], vit["PATCH_SIZE"], vit["PATCH_SIZE"]]
    for key in ("EMBED_DIM", "DEPTH", "NUM_HEADS", "MLP_RATIO", "QKV_BIAS", "POS_EMBED"):
        cfg.VIT[key] = vit[key]
    cfg.VIT.PRE_LOGITS = vit["HEAD_ACT"] if vit["USE_MLP"] else "none"
    _set_attention(cfg.ATTENTION, vit)
    return cfg


def _set_attention(cfg: CfgNode, vit: dict) -> None:
    cfg.CYCLE = [vit["ATTN_LAYER"]]
    original = vit["USE_ORIGINAL_TRAJ_ATTN_CODE"]
    cfg.TRAJECTORY.VALUES = "original" if original else "projected"
    kind = vit["APPROX_ATTN_TYPE"]
    cfg.KERNEL = APPROXIMATIONS.get(kind, kind)
    cfg.ORTHOFORMER.LANDMARKS = cfg.NYSTROM.LANDMARKS = vit["APPROX_ATTN_DIM"]
    cfg.PERFORMER.FEATURES = 24


def load_model(folder: Path, name: str, cfg: CfgNode) -> tuple[VideoModel, dict, Report]:
    """The published weights in our model, in evaluation mode, all tensors of the case, the report."""
    case, model = load_tensors(folder, name), build_model(cfg)
    if cfg.ATTENTION.KERNEL == "performer":
        cfg.TRAIN.CHECKPOINT_CHANGED = ["new"]
    state, report = import_state(state_of(case), cfg, model.state_dict())
    model.load_state_dict(state, strict=not report.new)
    if cfg.ATTENTION.KERNEL == "performer":
        for block in model.backbone.blocks:
            block.attn.layer.kernel.projection.copy_(case["aux/projection_matrix"])
    return model.eval(), case, report
