"""A backbone with options of its own: a small 3-D convolution network."""

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn

from slowfast_ext.models.backbones import BACKBONES, Backbone, BackboneSpec
from slowfast_ext.options import Options, option, section


@section("CONVNET", "A small 3-D convolution network")
@dataclass(frozen=True)
class ConvNetOptions(Options):
    """Its width and depth."""

    width: int = option(8, "channels", low=1)
    depth: int = option(2, "convolutions", low=1)


@BACKBONES.register("convnet", ConvNetOptions)
class ConvNet(Backbone):
    """Strided convolutions and the mean over all positions."""

    def __init__(
        self, spec: BackboneSpec = BackboneSpec(), options: ConvNetOptions = ConvNetOptions()
    ) -> None:
        super().__init__()
        self.feature_dim, self.num_layers = options.width, options.depth + 2
        dims = [3, *[options.width] * options.depth]
        self.convs = nn.ModuleList(
            nn.Conv3d(a, b, 3, stride=(1, 2, 2), padding=1) for a, b in pairwise(dims)
        )

    def forward(self, clip_BCTHW: Tensor) -> Tensor:
        """[B, 3, T, H, W] -> [B, C]."""
        for conv in self.convs:
            clip_BCTHW = conv(clip_BCTHW).relu()
        return clip_BCTHW.mean((2, 3, 4))

    def layer_index(self, name: str) -> int:
        """A layer a convolution."""
        return int(name.split(".")[1]) + 1
