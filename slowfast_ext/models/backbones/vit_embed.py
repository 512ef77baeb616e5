"""Clip -> tokens of a vision transformer: the patch embedding, and position tables for any grid.

Shapes: B batch, C channels, T frames, H W pixels, t h w tokens along each axis.
"""

from torch import Tensor, nn
from torch.nn.functional import interpolate

from slowfast_ext.errors import ConfigError

Patch = tuple[int, int, int]


class PatchEmbed(nn.Module):
    """Linear embedding of disjoint tubelets: [B, 3, T, H, W] -> [B, C, t, h, w].

    Cost: 3 * t*h*w * prod(patch) * C multiply-adds.
    """

    def __init__(self, patch: Patch, dim: int) -> None:
        """`patch` is the size of a tubelet in frames and pixels."""
        super().__init__()
        self.patch = patch
        self.proj = nn.Conv3d(3, dim, kernel_size=patch, stride=patch)
        nn.init.trunc_normal_(self.proj.weight, std=(3 * patch[0] * patch[1] * patch[2]) ** -0.5)
        assert self.proj.bias is not None
        nn.init.zeros_(self.proj.bias)

    def forward(self, clip_BCTHW: Tensor) -> Tensor:
        """Raises ConfigError for a clip that the tubelets do not divide."""
        size = tuple(clip_BCTHW.shape[2:])
        if any(pixels % side for pixels, side in zip(size, self.patch, strict=True)):
            raise ConfigError(
                f"a clip of {_times(size)} (frames x height x width) cannot be cut into "
                f"{_times(self.patch)} tubelets; change VIT.PATCH_SIZE, DATA.NUM_FRAMES "
                "or the crop size"
            )
        return self.proj(clip_BCTHW)


def resize_space(table_1thwC: Tensor, h: int, w: int, mode: str = "bicubic") -> Tensor:
    """Position tables [1, t, h, w, C] on another spatial grid: bicubic, as ViT does, unless another `mode` is given."""
    if table_1thwC.shape[2:4] == (h, w):
        return table_1thwC
    table_tChw = table_1thwC[0].permute(0, 3, 1, 2).float()
    resized = _interpolate(table_tChw, (h, w), mode)
    return resized.permute(0, 2, 3, 1)[None].to(table_1thwC.dtype)


def resize_time(table_1tC: Tensor, t: int, mode: str = "linear") -> Tensor:
    """A temporal table [1, t, C] with another number of rows: linear unless another `mode` is given."""
    if table_1tC.shape[1] == t:
        return table_1tC
    return _interpolate(table_1tC.mT.float(), (t,), mode).mT.to(table_1tC.dtype)


def _interpolate(table: Tensor, size: tuple[int, ...], mode: str) -> Tensor:
    corners = None if mode == "nearest" else False
    return interpolate(table, size=size, mode=mode, align_corners=corners)


def _times(size: tuple[int, ...]) -> str:
    return "x".join(map(str, size))
