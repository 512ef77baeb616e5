"""Published programs as they are: a module of a checkout is imported without what its packages would pull in.

Shapes: B batch, C colours, T frames, H W pixels.
"""

import importlib
import sys
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Published:
    """A model of a published program, and the experiment of ours that is the same model.

    `root` is the folder of a checkout that holds the package `slowfast`, `module` and `kind` its class, `config` its
    configuration file; `changes` to that make both comparable: no paths dropped, no weights from elsewhere. `takes` makes of a
    clip what the model is called with, `prepare` is called before the import. `least_batch` is the smallest that it can train on.
    """

    name: str
    root: str
    module: str
    kind: str
    config: str
    ours: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    our_changes: tuple[str, ...] = ()
    takes: Callable[[Tensor], Any] = lambda clip_BCTHW: [clip_BCTHW]
    prepare: Callable[[], None] = lambda: None
    least_batch: int = 1


def build_published(entry: Published, checkout: Path) -> nn.Module:
    """The model with its own initial weights, without dropout. Raises ImportError naming a package that it needs."""
    root = checkout / entry.root
    _stub_packages(root, entry.module)
    entry.prepare()
    defaults = importlib.import_module("slowfast.config.defaults")
    cfg = defaults.get_cfg()
    cfg.merge_from_file(str(root / entry.config))
    for key, value in entry.changes.items():
        node: Any = cfg
        *sections, last = key.split(".")
        for section in sections:
            node = node[section]
        node[last] = value
    model = getattr(importlib.import_module(entry.module), entry.kind)(cfg)
    without_dropout(model)
    return model


def without_dropout(model: nn.Module) -> None:
    """Rates of 0, set after building: XViT's program builds another model, a classifier on each frame, where they are 0 before."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0


def _stub_packages(root: Path, module: str) -> None:
    """Packages whose __init__ is not run: theirs import every data set, logger and model that there is."""
    if not (root / "slowfast").is_dir():
        raise ImportError(f"{root}: no folder slowfast; give a checkout of the published program")
    packages = {"slowfast", "slowfast.utils", "slowfast.config"}
    parts = module.split(".")
    packages |= {".".join(parts[:count]) for count in range(1, len(parts))}
    for name in sorted(packages):
        stub = types.ModuleType(name)
        stub.__path__ = [str(root / name.replace(".", "/"))]
        sys.modules[name] = stub


def _timm_of_its_time() -> None:
    """XViT was written for a timm that passed the options of a model on to its class alone."""
    import timm.models
    import timm.models.vision_transformer as vit

    create = timm.models.create_model

    def create_model(name: str, **options: Any) -> nn.Module:
        kept = {key: value for key, value in options.items() if value is not None}
        kept.pop("bn_tf", None)
        return create(name, **kept)

    def build(
        kind: Callable[..., nn.Module],
        variant: str,
        pretrained: bool,
        *,
        default_cfg: Any,
        pretrained_filter_fn: Any,
        **options: Any,
    ) -> nn.Module:
        """What timm says of weights to be fetched is nothing to the class."""
        fetching = ("pretrained", "cache_dir")
        return kind(**{key: x for key, x in options.items() if not key.startswith(fetching)})

    timm.models.create_model, vit.build_model_with_cfg = create_model, build


_UNIFORMER = {
    "UNIFORMER.PRETRAIN_NAME": "", "UNIFORMER.DROP_DEPTH_RATE": 0.0, "MODEL.USE_CHECKPOINT": False,
}  # fmt: skip
_MOTIONFORMER = {"VIT.DROP_PATH": 0.0}
PLAIN = ("MODEL.DROP_PATH", "0", "MODEL.CHECKPOINT_BLOCKS", "[0]")
"""Overrides of ours: no paths dropped, nothing computed twice."""


def _uniformer(size: str) -> Published:
    return Published(
        f"uniformer_{size}", "video_classification", "slowfast.models.uniformer", "Uniformer",
        f"exp/uniformer_{size}16x4_k400/config.yaml", f"uniformer_{size}16x4_k400", _UNIFORMER,
    )  # fmt: skip


def _motionformer(name: str, ours: str, least_batch: int = 1) -> Published:
    return Published(
        ours.removesuffix("_k400"), ".", "slowfast.models.video_model_builder", "VisionTransformer",
        f"configs/K400/{name}_224_16x4.yaml", ours, _MOTIONFORMER, least_batch=least_batch,
    )  # fmt: skip


PROGRAMS: dict[str, tuple[Published, ...]] = {
    "uniformer": (_uniformer("s"), _uniformer("b")),
    "motionformer": (
        _motionformer("motionformer", "motionformer_k400"),
        _motionformer("joint", "motionformer_joint_k400"),
        # of one clip its queries are a view of the projection, which it changes in place: autograd refuses that
        _motionformer("divided", "motionformer_divided_k400", least_batch=2),
    ),
    "xvit": (
        Published(
            "xvit", ".", "slowfast.models.video_model_builder", "XVIT",
            "configs/Kinetics/xvit_B16_16x16_k400.yaml", "xvit_b16_k400",
            {"XVIT.PRETRAIN": False, "XVIT.BACKBONE.DROP_PATH_RATE": 0.0},
            ("VIT.POS_CROP_SIZE", "224"),  # that of its table, whatever the clip's is
            takes=lambda clip_BCTHW: [clip_BCTHW, None],
            prepare=_timm_of_its_time,
        ),
    ),
}  # fmt: skip
"""Programs by the name that the command line has for them, and their models."""


@torch.no_grad()
def spread_weights(model: nn.Module) -> None:
    """Random values everywhere: what starts at zero would hide a difference."""
    for parameter in model.parameters():
        parameter.add_(0.02 * torch.randn_like(parameter))


def published_logits(
    model: nn.Module, takes: Callable[[Tensor], Any], clip_BCTHW: Tensor
) -> Tensor:
    """What the published model says of a clip, in training mode: in evaluation some put a softmax behind it."""
    out = model(takes(clip_BCTHW))
    return out if isinstance(out, torch.Tensor) else out[0]
