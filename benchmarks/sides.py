"""Two models to be compared: the same weights and clip where they are the same model, else as much work or the same place.

Shapes: B batch, C colours, T frames, H W pixels.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.published import (
    PLAIN,
    PROGRAMS,
    Published,
    build_published,
    published_logits,
    spread_weights,
    without_dropout,
)
from slowfast_ext.config import load_config
from slowfast_ext.engine.precision import autocast
from slowfast_ext.models import VideoModel, build_model
from slowfast_ext.models.weights import LoadOptions, load_weights
from slowfast_ext.options import pair
from slowfast_ext.tasks import heads_of

EXP = Path(__file__).resolve().parents[1] / "exp"
PICKS = {"mvit_v2_s": (16, "uniformer_s16x4_k400"), "swin3d_t": (32, "uniformer_b16x4_k400")}
"""Models of torchvision that a user might take instead: their frames, and the experiment of the nearest cost beside them."""
HUB = "videomae_b_k400"
"""The experiment that is the hub's VideoMAE-B."""
Autocast = Callable[[torch.device, str], AbstractContextManager[None]]


@dataclass(frozen=True)
class Side:
    """One of two models: what it makes of a clip [B, C, T, H, W], and how it lowers precision."""

    model: nn.Module
    clip_BCTHW: Tensor
    call: Callable[[Tensor], Tensor]
    autocast: Autocast = autocast


def autocast_of_torch(device: torch.device, precision: str) -> torch.autocast:
    """What a program without a care for CPUs does: bf16 whether the device has it or emulates it."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def our_model(experiment: str, *overrides: str) -> tuple[VideoModel, tuple[int, ...]]:
    """The model of an experiment, without what is random in training, and the shape of its clips."""
    cfg = load_config([str(EXP / experiment / "config.yaml")], [*PLAIN, *overrides])
    model = build_model(cfg)
    without_dropout(model)
    return model, (3, cfg.DATA.NUM_FRAMES, *pair(cfg.DATA.TRAIN_CROP_SIZE))


def _ours(model: VideoModel, clip_BCTHW: Tensor) -> Side:
    return Side(model, clip_BCTHW, lambda clip: heads_of(model(clip))[0])


def _with_their_weights(
    batch: int, theirs: nn.Module, call: Callable[[Tensor], Tensor], ours: str, *overrides: str
) -> tuple[Side, Side]:
    spread_weights(theirs)
    model, shape = our_model(ours, *overrides)
    load_weights(model, theirs.state_dict(), LoadOptions())
    clip_BCTHW = torch.randn(batch, *shape)
    return Side(theirs, clip_BCTHW, call, autocast_of_torch), _ours(model, clip_BCTHW)


def of_size(px: int) -> tuple[str, ...]:
    """Overrides for square crops of `px`; the published programs call these keys the same."""
    return "DATA.TRAIN_CROP_SIZE", str(px), "DATA.TEST_CROP_SIZE", str(px)


def beside_program(
    batch: int, program: str, name: str, checkout: str, *overrides: str
) -> tuple[Side, Side]:
    """A published model and ours with its weights; `overrides` are of keys that both have, with whole numbers."""
    (entry,) = (entry for entry in PROGRAMS[program] if entry.name == name)
    keys, values = overrides[::2], map(int, overrides[1::2])
    changes = {**entry.changes, **dict(zip(keys, values, strict=True))}
    our_changes = (*entry.our_changes, *overrides)
    entry = replace(entry, changes=changes, our_changes=our_changes)
    return beside_published(batch, entry, Path(checkout))


def beside_published(batch: int, entry: Published, checkout: Path) -> tuple[Side, Side]:
    """The same of an entry, with as many clips as its program asks for at least."""
    theirs = build_published(entry, checkout)
    batch = max(batch, entry.least_batch)

    def call(clip_BCTHW: Tensor) -> Tensor:
        return published_logits(theirs, entry.takes, clip_BCTHW)

    return _with_their_weights(batch, theirs, call, entry.ours, *entry.our_changes)


def beside_hub(batch: int, *overrides: str) -> tuple[Side, Side]:
    """VideoMAE of the package transformers, with torch's fused attention, and ours with its weights."""
    from transformers import VideoMAEConfig, VideoMAEForVideoClassification

    model, (_, frames, size, _) = our_model(HUB, *overrides)
    width, depth = model.backbone.feature_dim, len(model.backbone.blocks)
    config = VideoMAEConfig(
        image_size=size,
        num_frames=frames,
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=depth,
        num_attention_heads=model.backbone.blocks[0].attn.num_heads,
        num_labels=model.head.out_features,
        layer_norm_eps=model.backbone.blocks[0].norm1.eps,
    )
    theirs = VideoMAEForVideoClassification(config)
    return _with_their_weights(
        batch, theirs, lambda clip: theirs(clip.transpose(1, 2)).logits, HUB, *overrides
    )


def beside_reference(batch: int, experiment: str, *overrides: str) -> tuple[Side, Side]:
    """An experiment by its plain equations, and in its fast form."""
    model, shape = our_model(experiment, *overrides)
    spread_weights(model)
    reference, _ = our_model(experiment, *overrides, "ATTENTION.REFERENCE", "True")
    reference.load_state_dict(model.state_dict())
    clip_BCTHW = torch.randn(batch, *shape)
    return _ours(reference, clip_BCTHW), _ours(model, clip_BCTHW)


def beside_softmax(batch: int, experiment: str, *overrides: str) -> tuple[Side, Side]:
    """An experiment with softmax instead of its kernel and without feature fixation, and as it is: another model."""
    softmax = ("ATTENTION.KERNEL", "softmax", "ATTENTION.FIXATION.MODE", "none")
    other, shape = our_model(experiment, *overrides, *softmax)
    model, _ = our_model(experiment, *overrides)
    clip_BCTHW = torch.randn(batch, *shape)
    return _ours(other, clip_BCTHW), _ours(model, clip_BCTHW)


def beside_pick(batch: int, name: str) -> tuple[Side, Side]:
    """A model of torchvision, and the experiment that a user of this program would take."""
    from torchvision.models import get_model

    frames, experiment = PICKS[name]
    other = get_model(name, weights=None)
    model, shape = our_model(experiment)
    return (
        Side(other, torch.randn(batch, 3, frames, 224, 224), other, autocast_of_torch),
        _ours(model, torch.randn(batch, *shape)),
    )


OTHER_MODELS = (beside_softmax, beside_pick)
"""Whose two sides are not the same model."""
