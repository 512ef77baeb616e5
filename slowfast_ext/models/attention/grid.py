"""What a backbone tells its attention layers: the layout of the tokens and the facts of a layer."""

from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class Grid:
    """A token sequence: `prefix` tokens (cls), then t*h*w tokens, time-major, then row, then column.

    With `framewise` every frame has prefix tokens of its own (XViT's cls): prefix = t * frame_prefix, frame
    after frame. Patterns that ask only for the prefix treat them as tokens of the whole clip. `valid_BN` marks
    the tokens that are no padding (None: all); only the joint pattern takes sequences with padding.
    """

    t: int
    h: int
    w: int
    prefix: int = 0
    framewise: bool = False
    valid_BN: Tensor | None = field(default=None, compare=False, repr=False)

    @property
    def key_mask(self) -> Tensor | None:
        """`valid_BN` as [B, 1, 1, N], for scores of any heads and queries."""
        return None if self.valid_BN is None else self.valid_BN[:, None, None]

    def without_padding(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """The tensors [B, h, N, D] with zeros for padding."""
        if self.valid_BN is None:
            return tensors
        return tuple(x * self.valid_BN[:, None, :, None].to(x.dtype) for x in tensors)

    @property
    def space(self) -> int:
        """Tokens of one frame, h*w."""
        return self.h * self.w

    @property
    def patches(self) -> int:
        """Tokens without the prefix, t*h*w."""
        return self.t * self.space

    @property
    def tokens(self) -> int:
        """All tokens, prefix + t*h*w."""
        return self.prefix + self.patches

    @property
    def frame_prefix(self) -> int:
        """Prefix tokens that a frame shows: its own, or those of the clip."""
        return self.prefix // self.t if self.framewise else self.prefix

    def frame(self, prefix: int | None = None) -> "Grid":
        """The grid of a single frame, with the same prefix unless another is given."""
        return Grid(1, self.h, self.w, self.prefix if prefix is None else prefix)

    def line(self, prefix: int | None = None) -> "Grid":
        """The grid of one position over time, with the same prefix unless another is given."""
        return Grid(self.t, 1, 1, self.prefix if prefix is None else prefix)


@dataclass(frozen=True)
class LayerSpec:
    """What a backbone tells an attention layer. `grid` is the one the model is built for; only
    variants with a parameter per position may depend on it, all others take any grid in forward."""

    dim: int
    num_heads: int
    grid: Grid
    qkv_bias: bool = True
    norm_eps: float = 1e-6
    drop_path: float = 0.0

    @property
    def head_dim(self) -> int:
        """Channels of one head."""
        return self.dim // self.num_heads
