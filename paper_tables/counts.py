"""What models cost, counted from shapes alone and kept in counted.json until what it depends on changes."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from yacs.config import CfgNode

from slowfast_ext.analysis.cost import count_macs, meta_clip, saved_for_backward
from slowfast_ext.models import build_model
from slowfast_ext.options import pair

KEPT = Path(__file__).parent / "counted.json"


@dataclass(frozen=True)
class Count:
    """Parameters in millions, GFLOPs of one view, MiB that a training clip keeps for the backward pass in bf16."""

    params_m: float
    gflops: float
    saved_mib: float = 0.0


class ShapeCounter:
    """Counts models from shapes alone; models that differ in nothing that has a shape are counted once.

    Counts of earlier runs are taken from `kept`, if there is one; `save` writes those that were asked for.
    """

    def __init__(self, kept: Path | None = None) -> None:
        text = kept.read_text(encoding="utf-8") if kept and kept.is_file() else "{}"
        self._known = {key: Count(**value) for key, value in json.loads(text).items()}
        self._asked: dict[str, Count] = {}

    def __call__(self, cfg: CfgNode) -> Count:
        """The counts of the model of `cfg`."""
        shape = json.dumps(shaping(cfg), sort_keys=True)
        key = hashlib.sha256(shape.encode()).hexdigest()[:16]
        if key not in self._known:
            self._known[key] = _count(cfg)
        self._asked[key] = self._known[key]
        return self._known[key]

    def save(self, file: Path) -> None:
        """Keep what was asked for, and nothing else."""
        lines = [f'"{key}": {json.dumps(asdict(self._asked[key]))}' for key in sorted(self._asked)]
        file.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def shaping(cfg: CfgNode) -> dict:
    """What the shapes of a model depend on, and what its training keeps."""
    parts = {name: cfg[name] for name in ("VIT", "XVIT", "UNIFORMER", "UNIFORMERV2", "ATTENTION")}
    data = [cfg.DATA[key] for key in ("NUM_FRAMES", "TRAIN_CROP_SIZE", "TEST_CROP_SIZE")]
    model = [cfg.MODEL.BACKBONE, cfg.MODEL.NUM_CLASSES, cfg.MODEL.CHECKPOINT_BLOCKS]
    return parts | {"MODEL": model, "DATA": data}


def _count(cfg: CfgNode) -> Count:
    with torch.device("meta"):
        model = build_model(cfg).eval()
        params = sum(parameter.numel() for parameter in model.parameters())
        gflops = count_macs(model, meta_clip(cfg))[""] / 1e9
        size = pair(cfg.DATA.TRAIN_CROP_SIZE)
        clip = torch.empty(1, 3, cfg.DATA.NUM_FRAMES, *size, dtype=torch.bfloat16)
        saved = saved_for_backward(model.to(torch.bfloat16).train(), clip)
    return Count(round(params / 1e6, 5), round(gflops, 5), round(saved / 2**20, 2))
