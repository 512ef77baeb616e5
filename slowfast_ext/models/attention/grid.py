"""The layout of a token sequence."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Grid:
    """A token sequence: `prefix` tokens (cls), then t*h*w tokens, time-major, then row, then column.

    With `framewise` every frame has prefix tokens of its own (XViT's cls): prefix = t * frame_prefix, frame
    after frame. Patterns that ask only for the prefix treat them as tokens of the whole clip.
    """

    t: int
    h: int
    w: int
    prefix: int = 0
    framewise: bool = False

    @classmethod
    def placeless(cls, tokens: int = 0) -> "Grid":
        """So many tokens that have no place in space and time: all are prefix."""
        return cls(0, 0, 0, tokens)

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
