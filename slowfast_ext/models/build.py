"""The door to the models: a configuration becomes arguments here. Shapes: B batch, T frames, H W pixels, K classes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from torch import Tensor, nn
from yacs.config import CfgNode

from slowfast_ext.config import options_of
from slowfast_ext.errors import ConfigError
from slowfast_ext.models.attention import ATTENTION, KERNELS, AttentionOptions
from slowfast_ext.models.attention.fixation import FixationOptions
from slowfast_ext.models.attention.neighbour import NeighbourOptions
from slowfast_ext.models.backbones import BACKBONES, Backbone, BackboneSpec
from slowfast_ext.models.blocks import BLOCKS, attention_names
from slowfast_ext.models.layers import init_transformer
from slowfast_ext.options import OptionError, Options, Problem, option, pair, section
from slowfast_ext.registry import Registry, unknown_name
from slowfast_ext.tasks import TASKS, Output, Task, build_task
from slowfast_ext.tasks.build import task_name

MODELS = Registry("MODELS")


@section("MODEL", "Backbone, head and regularisation")
@dataclass(frozen=True)
class ModelOptions(Options):
    """The backbone and how it is trained."""

    backbone: str = option("vit", "name in the BACKBONES registry")
    init_std: float = option(
        0.02,
        "standard deviation of linear weights at the start; 0.02 is made for hundreds of channels, a narrow model learns much sooner from about 1 / sqrt(channels)",
        low=0,
    )
    head_init_scale: float = option(
        1.0, "factor of the head's weights at the start (VideoMAE: 0.001)", low=0
    )
    drop_path: float = option(
        0.0, "stochastic depth of the last block; rises linearly from 0", low=0, high=1
    )
    checkpoint_blocks: tuple[int, ...] = option(
        (0,),
        "first blocks of each stage (one value: of the whole) whose activations are recomputed",
        low=0,
    )
    checkpoint_every: int = option(
        1,
        "of CHECKPOINT_BLOCKS recompute every k-th in a stage: less memory spared, less time lost",
        unit="blocks",
        low=1,
    )


@MODELS.register("classifier")
class VideoModel(nn.Module):
    """A backbone and the head of a task: normalised clip [B, 3, T, H, W] -> what the head gives.

    Logits [B, K] for one label; for verb and noun a named tuple of two. `config` is the configuration that it was
    built from, where it was; `class_names` are those it was trained for, one tuple a head.
    """

    config: CfgNode | None = None
    class_names: tuple[tuple[str, ...], ...] = ()

    def __init__(
        self,
        backbone: Backbone,
        head: nn.Module,
        dropout: float = 0.0,
        init_std: float = 0.02,
        head_init_scale: float = 1.0,
    ) -> None:
        """`dropout` before the head, `init_std` of its weights at the start, times `head_init_scale`."""
        super().__init__()
        self.backbone = backbone
        self.head_drop = nn.Dropout(dropout)
        self.head = head
        self.head.apply(init_transformer(init_std * head_init_scale))

    @classmethod
    def from_cfg(cls, cfg: CfgNode, backbone: Backbone, task: Task) -> "VideoModel":
        """The task's head on the backbone."""
        model, head = options_of(cfg, ModelOptions), task.head(backbone.feature_dim)
        return cls(backbone, head, cfg.MODEL.DROPOUT_RATE, model.init_std, model.head_init_scale)

    @classmethod
    def check(cls, cfg: CfgNode) -> Iterable[Problem]:
        """What of `cfg` it cannot be built from."""
        return ()

    def forward(self, clip_BCTHW: Tensor) -> Output:
        """What the head makes of the clip's feature."""
        return self.head(self.head_drop(self.backbone(clip_BCTHW)))


def build_model(cfg: CfgNode) -> VideoModel:
    """The model that `cfg` describes, on the CPU. Raises ConfigError for what cannot be built."""
    problems = list(check_model(cfg))
    if problems:
        raise ConfigError("\n".join(f"{p.key}: {p.message}; {p.remedy}" for p in problems))
    model = options_of(cfg, ModelOptions)
    own = (options_of(cfg, kind) for kind in BACKBONES.options(model.backbone))
    backbone = BACKBONES.get(model.backbone)(_spec(cfg, model), *own)
    task = build_task(cfg)
    return MODELS.get(task.model).from_cfg(cfg, backbone, task)


def check_model(cfg: CfgNode) -> Iterable[Problem]:
    """Names that are in no registry, options that do not fit, and what the backbone cannot be built from."""
    unknown = list(_unknown_names(cfg))
    yield from unknown
    if unknown:
        return
    wrong = list(_wrong_options(cfg))
    yield from wrong
    if wrong:
        return
    model = options_of(cfg, ModelOptions)
    own = (options_of(cfg, kind) for kind in BACKBONES.options(model.backbone))
    test_size = pair(cfg.DATA.TEST_CROP_SIZE)
    yield from BACKBONES.get(model.backbone).check(_spec(cfg, model), test_size, *own)
    task = task_name(cfg)
    if task in TASKS:
        yield from MODELS.get(TASKS.get(task).model).check(cfg)


def _spec(cfg: CfgNode, model: ModelOptions) -> BackboneSpec:
    attention = replace(
        options_of(cfg, AttentionOptions),
        parts=tuple(options_of(cfg, kind) for kind in _attention_parts(cfg)),
    )
    return BackboneSpec(
        num_frames=cfg.DATA.NUM_FRAMES,
        img_size=pair(cfg.DATA.TRAIN_CROP_SIZE),
        attention=attention,
        drop_path=model.drop_path,
        init_std=model.init_std,
        checkpoint_blocks=model.checkpoint_blocks,
        checkpoint_every=model.checkpoint_every,
    )


def _cycle(cfg: CfgNode) -> Iterator[str]:
    """The names in ATTENTION.CYCLE, of all stages where each has its own."""
    for item in cfg.ATTENTION.CYCLE:
        yield from [item] if isinstance(item, str) else item


def _unknown_names(cfg: CfgNode) -> Iterator[Problem]:
    named = [("MODEL.BACKBONE", cfg.MODEL.BACKBONE, "BACKBONES", BACKBONES.names())]
    attention = attention_names()
    named += [("ATTENTION.CYCLE", name, "ATTENTION", attention) for name in _cycle(cfg)]
    named += [("ATTENTION.KERNEL", cfg.ATTENTION.KERNEL, "KERNELS", KERNELS.names())]
    for key, name, registry, allowed in named:
        if name not in allowed:
            message = f"{registry} has no '{name}': {unknown_name(name, allowed)}"
            yield Problem(key, message, "see docs/attention.md")


def _attention_parts(cfg: CfgNode) -> list[type[Options]]:
    """Option classes of everything that the attention of `cfg` is made of."""
    parts = [FixationOptions, NeighbourOptions, *KERNELS.options(cfg.ATTENTION.KERNEL)]
    for name in _cycle(cfg):
        parts += (BLOCKS if name in BLOCKS else ATTENTION).options(name)
    return list(dict.fromkeys(parts))


def _wrong_options(cfg: CfgNode) -> Iterator[Problem]:
    stages = BACKBONES.get(cfg.MODEL.BACKBONE).attention_stages
    kinds = [ModelOptions, AttentionOptions, *BACKBONES.options(cfg.MODEL.BACKBONE)]
    for kind in [*kinds, *_attention_parts(cfg)]:
        try:
            options_of(cfg, kind).at_stage(0, stages)
        except OptionError as error:
            yield Problem(error.key, error.message, error.remedy)
