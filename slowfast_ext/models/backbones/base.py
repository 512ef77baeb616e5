"""What a backbone is: clips in, one feature per clip out.

Shapes: B batch, C channels, T frames, H W pixels.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from slowfast_ext.models.attention import AttentionOptions
from slowfast_ext.options import Options, Problem, Size
from slowfast_ext.registry import Registry

BACKBONES = Registry("BACKBONES")

Mix = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class BackboneSpec:
    """What every backbone is told: the clips it is built for [frames, px], its attention, how it is trained.

    `drop_path` is the rate of the last block, rising from 0; `init_std` the standard deviation of linear weights at
    the start; `checkpoint_blocks` the first blocks of each stage (one value: of the whole) whose activations are
    recomputed for the backward pass, `checkpoint_every` 2 every second of these.
    """

    num_frames: int = 16
    img_size: Size = 224
    attention: AttentionOptions = AttentionOptions()
    drop_path: float = 0.0
    init_std: float = 0.02
    checkpoint_blocks: tuple[int, ...] = (0,)
    checkpoint_every: int = 1


class Backbone(nn.Module):
    """Base class; register with `@BACKBONES.register("name", MyOptions)`.

    A backbone is constructed with a BackboneSpec and the options that it is registered with.
    `feature_dim` is the width of the feature the classifier reads; `num_layers` counts the groups of
    layer-wise learning-rate decay, of which `layer_index` names one per parameter; `attention_stages` the stages that
    may each have attention of their own.
    """

    attention_stages: ClassVar[int] = 1
    feature_dim: int
    num_layers: int

    @classmethod
    def check(
        cls, spec: BackboneSpec, test_size: tuple[int, int], *options: Options
    ) -> Iterable[Problem]:
        """What does not fit together; `test_size` is the (height, width) of test crops."""
        return ()

    @classmethod
    def token_size(cls, *options: Options) -> int:
        """Side in pixels of the tokens that `dense` gives; 0: it gives none."""
        return 0

    def forward(self, clip_BCTHW: Tensor) -> Tensor:
        """Normalised clip [B, 3, T, H, W] -> feature [B, feature_dim]."""
        raise NotImplementedError

    def dense(self, clip_BCTHW: Tensor, mix: Mix | None = None) -> tuple[Tensor, Tensor]:
        """The feature, and the tokens that it is made of [B, T, h, w, feature_dim], as a classifier reads them.

        `mix` changes the first tokens [B, T, H, W, C], before blocks and positions (MixToken).
        """
        raise NotImplementedError

    def layer_index(self, name: str) -> int:
        """Group of the parameter `name`: 0 embedding, 1.. blocks, num_layers - 1 what follows them."""
        raise NotImplementedError
