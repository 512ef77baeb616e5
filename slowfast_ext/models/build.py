"""cfg -> model. Shapes: B batch, C channels, T frames, H W pixels, K classes."""

from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor, nn
from yacs.config import CfgNode

from slowfast_ext.config import Problem
from slowfast_ext.errors import ConfigError
from slowfast_ext.models.attention import ATTENTION, KERNELS, Attention
from slowfast_ext.models.attention.neighbour import Neighbour
from slowfast_ext.models.backbones import BACKBONES
from slowfast_ext.models.heads import ClassHead
from slowfast_ext.models.layers import init_transformer
from slowfast_ext.options import Options, option, section
from slowfast_ext.registry import Registry
from slowfast_ext.tasks.base import class_counts


@section("MODEL", "Backbone, head and regularisation")
@dataclass(frozen=True)
class ModelOptions(Options):
    """Backbone, head and regularisation: the section MODEL."""

    backbone: str = option("vit", "name in the BACKBONES registry")
    init_std: float = option(
        0.02,
        "deviation of linear weights at the start; 0.02 is made for hundreds of channels, a narrow model learns much sooner from about 1 / sqrt(channels)",
        low=0,
    )
    drop_path: float = option(
        0.0, "stochastic depth of the last block; rises linearly from 0", low=0, high=1
    )
    checkpoint_blocks: tuple[int, ...] = option(
        (0,),
        "first blocks of each stage (one value: of the whole) whose activations are recomputed",
        low=0,
    )


class VideoModel(nn.Module):
    """A backbone and its classifiers: normalised clip [B, 3, T, H, W] -> tuple of logits [B, K]."""

    def __init__(self, cfg: CfgNode) -> None:
        super().__init__()
        self.backbone = BACKBONES.get(cfg.MODEL.BACKBONE)(cfg)
        counts = class_counts(cfg)
        self.head = ClassHead(self.backbone.feature_dim, counts, cfg.MODEL.DROPOUT_RATE)
        self.head.apply(init_transformer(cfg.MODEL.INIT_STD))

    def forward(self, clip_BCTHW: Tensor) -> tuple[Tensor, ...]:
        """Logits of each head."""
        return self.head(self.backbone(clip_BCTHW))


def build_model(cfg: CfgNode) -> VideoModel:
    """The model that `cfg` describes, on the CPU. Raises ConfigError for what cannot be built."""
    problems = list(check_model(cfg))
    if problems:
        raise ConfigError("\n".join(f"{p.key}: {p.message}; {p.remedy}" for p in problems))
    return VideoModel(cfg)


def check_model(cfg: CfgNode) -> Iterable[Problem]:
    """Names that are in no registry, and what the backbone cannot be built from."""
    named = [("MODEL.BACKBONE", cfg.MODEL.BACKBONE, BACKBONES)]
    named += [("ATTENTION.CYCLE", name, ATTENTION) for name in cfg.ATTENTION.CYCLE]
    named += [("ATTENTION.KERNEL", cfg.ATTENTION.KERNEL, KERNELS)]
    unknown = [
        _unknown(key, name, registry) for key, name, registry in named if name not in registry
    ]
    yield from unknown
    if not unknown:
        yield from BACKBONES.get(cfg.MODEL.BACKBONE).check(cfg)
        yield from Neighbour.check(cfg)
        for variant in map(ATTENTION.get, dict.fromkeys(cfg.ATTENTION.CYCLE)):
            if issubclass(variant, Attention):
                yield from variant.check(cfg)


def _unknown(key: str, name: str, registry: Registry) -> Problem:
    try:
        registry.get(name)
    except ConfigError as error:
        return Problem(key, str(error), "see docs/attention.md")
    raise AssertionError(f"{name} is registered")
