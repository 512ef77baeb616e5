"""What a backbone is: clips in, one feature per clip out.

Shapes: B batch, C channels, T frames, H W pixels.
"""

from collections.abc import Iterable

from torch import Tensor, nn
from yacs.config import CfgNode

from slowfast_ext.config import Problem
from slowfast_ext.registry import Registry

BACKBONES = Registry("BACKBONES")


class Backbone(nn.Module):
    """Base class; register with `@BACKBONES.register("name")`, construct with the whole cfg.

    `feature_dim` is the width of the feature the classifier reads; `num_layers` counts the groups of
    layer-wise learning-rate decay, of which `layer_index` names one per parameter.
    """

    feature_dim: int
    num_layers: int

    @classmethod
    def check(cls, cfg: CfgNode) -> Iterable[Problem]:
        """What in `cfg` this backbone cannot be built from."""
        return ()

    def forward(self, clip_BCTHW: Tensor) -> Tensor:
        """Normalised clip [B, 3, T, H, W] -> feature [B, feature_dim]."""
        raise NotImplementedError

    def layer_index(self, name: str) -> int:
        """Group of the parameter `name`: 0 embedding, 1.. blocks, num_layers - 1 what follows them."""
        raise NotImplementedError
