"""What models cost, counted from shapes alone and kept in counted.json until what it depends on changes."""

import hashlib
import json
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from yacs.config import CfgNode

from slowfast_ext.analysis.cost import (
    FusedAttention,
    count_macs,
    meta_clip,
    meta_model,
    recomputed_at_once,
    saved_for_backward,
)
from slowfast_ext.config import load_config
from slowfast_ext.models import build_model
from slowfast_ext.options import pair

KEPT = Path(__file__).parent / "counted.json"


@dataclass(frozen=True)
class Count:
    """Parameters in millions, GFLOPs of one view."""

    params_m: float
    gflops: float


@dataclass(frozen=True)
class Training:
    """MiB that a clip keeps for the backward pass, and that the largest recomputed block adds; with TRAIN.FREEZE millions of parameters that are trained."""

    saved_mib: float
    recomputed_mib: float = 0.0
    trained_m: float | None = None


class ShapeCounter:
    """Counts models from shapes alone; models that differ in nothing that has a shape are counted once.

    Counts of earlier runs are taken from `kept`, if there is one; `save` writes those that were asked for. What a model keeps
    for the backward pass takes the longest to count: it is counted anew only with `memory`.
    """

    def __init__(self, kept: Path | None = None, memory: bool = False) -> None:
        text = kept.read_text(encoding="utf-8") if kept and kept.is_file() else "{}"
        known = json.loads(text)
        self._memory = memory
        self._costs = {key: Count(**value) for key, value in known.get("costs", {}).items()}
        trainings = known.get("trainings", {})
        self._trainings = {key: Training(**value) for key, value in trainings.items()}
        self._asked: set[str] = set()

    def __call__(self, cfg: CfgNode) -> Count:
        """Parameters and GFLOPs of the model of `cfg`."""
        key = _key(shaping(cfg))
        if key not in self._costs:
            self._costs[key] = _count(cfg)
        self._asked.add(key)
        return self._costs[key]

    def training(self, cfg: CfgNode, scores: bool = False) -> Training | None:
        """What training it keeps, all in bf16; None where it was not counted.

        Attention keeps no scores, as its fused kernels do, or with `scores` those that torch's plain form keeps.
        """
        key = _key(_training_shape(cfg) | ({"SCORES": True} if scores else {}))
        if key not in self._trainings and self._memory:
            self._trainings[key] = _training(cfg, scores)
        self._asked.add(key)
        return self._trainings.get(key)

    def save(self, file: Path) -> None:
        """Keep what was asked for, and nothing else."""
        parts = {"costs": self._costs, "trainings": self._trainings}
        asked = {
            name: {key: asdict(part[key]) for key in sorted(part.keys() & self._asked)}
            for name, part in parts.items()
        }
        file.write_text(json.dumps(asked, indent=0) + "\n", encoding="utf-8")


def _key(shape: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(shape, sort_keys=True).encode()).hexdigest()[:16]


def shaping(cfg: CfgNode) -> dict[str, Any]:
    """What the shapes of a model depend on, and what its training keeps: options that are not their defaults."""
    sections = ("VIT", "XVIT", "UNIFORMER", "UNIFORMERV2", "ATTENTION")
    parts = {name: _changed(cfg[name], _defaults()[name]) for name in sections}
    data = [cfg.DATA[key] for key in ("NUM_FRAMES", "TRAIN_CROP_SIZE", "TEST_CROP_SIZE")]
    model = [cfg.MODEL.BACKBONE, cfg.MODEL.NUM_CLASSES, cfg.MODEL.CHECKPOINT_BLOCKS]
    task = {} if cfg.TASK == "auto" else {"TASK": cfg.TASK}
    return parts | task | {"MODEL": model, "DATA": data}


@cache
def _defaults() -> CfgNode:
    return load_config([])


def _changed(own: CfgNode, default: CfgNode) -> dict[str, Any]:
    """So that a new option, at its default, makes no count void."""
    changed = {key: value for key, value in own.items() if value != default[key]}
    return {
        key: _changed(value, default[key]) if isinstance(value, CfgNode) else value
        for key, value in changed.items()
    }


def _count(cfg: CfgNode) -> Count:
    with torch.device("meta"):
        model = build_model(cfg).eval()
    params = sum(parameter.numel() for parameter in model.parameters())
    return Count(round(params / 1e6, 5), round(count_macs(model, meta_clip(cfg))[""] / 1e9, 5))


def _training_shape(cfg: CfgNode) -> dict[str, Any]:
    """Of `shaping` what training depends on: neither classes nor test crops, but what is frozen or recomputed."""
    shape, every = shaping(cfg), cfg.MODEL.CHECKPOINT_EVERY
    parts = {"MODEL": shape["MODEL"][::2], "DATA": shape["DATA"][:2]}
    frozen = {"FREEZE": [*cfg.TRAIN.FREEZE, cfg.MODEL.NUM_CLASSES]} if cfg.TRAIN.FREEZE else {}
    return shape | parts | frozen | ({"EVERY": every} if every > 1 else {})


def _training(cfg: CfgNode, scores: bool) -> Training:
    size = pair(cfg.DATA.TRAIN_CROP_SIZE)
    model = meta_model(cfg).to(torch.bfloat16)
    clip = torch.empty(1, 3, cfg.DATA.NUM_FRAMES, *size, dtype=torch.bfloat16, device="meta")
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    with torch.device("meta"), nullcontext() if scores else FusedAttention():
        saved = saved_for_backward(model, clip)
    again = recomputed_at_once(model, clip) if any(cfg.MODEL.CHECKPOINT_BLOCKS) else 0
    return Training(
        round(saved / 2**20, 1),
        round(again / 2**20, 1),
        round(trained / 1e6, 5) if cfg.TRAIN.FREEZE else None,
    )
