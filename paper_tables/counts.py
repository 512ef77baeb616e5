"""What models cost, counted from shapes alone and kept in counted.json until what it depends on changes."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from yacs.config import CfgNode

from slowfast_ext.analysis.cost import count_macs, meta_clip, saved_for_backward
from slowfast_ext.models import build_model
from slowfast_ext.options import pair

KEPT = Path(__file__).parent / "counted.json"


@dataclass(frozen=True)
class Count:
    """Parameters in millions, GFLOPs of one view."""

    params_m: float
    gflops: float


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
        self._saved: dict[str, float] = known.get("saved_mib", {})
        self._asked: set[str] = set()

    def __call__(self, cfg: CfgNode) -> Count:
        """Parameters and GFLOPs of the model of `cfg`."""
        key = _key(shaping(cfg))
        if key not in self._costs:
            self._costs[key] = _count(cfg)
        self._asked.add(key)
        return self._costs[key]

    def saved_mib(self, cfg: CfgNode) -> float | None:
        """MiB that a training clip keeps for the backward pass, all in bf16; None where it was not counted."""
        shape = shaping(cfg)
        key = _key(shape | {"MODEL": shape["MODEL"][::2], "DATA": shape["DATA"][:2]})
        if key not in self._saved and self._memory:
            self._saved[key] = _saved_mib(cfg)
        self._asked.add(key)
        return self._saved.get(key)

    def save(self, file: Path) -> None:
        """Keep what was asked for, and nothing else."""
        costs = {key: asdict(count) for key, count in sorted(self._costs.items())}
        parts = {"costs": costs, "saved_mib": dict(sorted(self._saved.items()))}
        asked = {
            name: {key: value for key, value in part.items() if key in self._asked}
            for name, part in parts.items()
        }
        file.write_text(json.dumps(asked, indent=0) + "\n", encoding="utf-8")


def _key(shape: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(shape, sort_keys=True).encode()).hexdigest()[:16]


def shaping(cfg: CfgNode) -> dict[str, Any]:
    """What the shapes of a model depend on, and what its training keeps."""
    parts = {name: cfg[name] for name in ("VIT", "XVIT", "UNIFORMER", "UNIFORMERV2", "ATTENTION")}
    data = [cfg.DATA[key] for key in ("NUM_FRAMES", "TRAIN_CROP_SIZE", "TEST_CROP_SIZE")]
    model = [cfg.MODEL.BACKBONE, cfg.MODEL.NUM_CLASSES, cfg.MODEL.CHECKPOINT_BLOCKS]
    task = {} if cfg.TASK == "auto" else {"TASK": cfg.TASK}
    return parts | task | {"MODEL": model, "DATA": data}


def _count(cfg: CfgNode) -> Count:
    with torch.device("meta"):
        model = build_model(cfg).eval()
    params = sum(parameter.numel() for parameter in model.parameters())
    return Count(round(params / 1e6, 5), round(count_macs(model, meta_clip(cfg))[""] / 1e9, 5))


def _saved_mib(cfg: CfgNode) -> float:
    size = pair(cfg.DATA.TRAIN_CROP_SIZE)
    with torch.device("meta"):
        model = build_model(cfg).to(torch.bfloat16).train()
        clip = torch.empty(1, 3, cfg.DATA.NUM_FRAMES, *size, dtype=torch.bfloat16)
        return round(saved_for_backward(model, clip) / 2**20, 1)
