"""A classifier whose tokens are classified too (token labelling), and MixToken (Jiang et al., 2021).

Shapes: B batch, T frames, H W pixels or first tokens, h w tokens that the head reads, C channels, K classes.
"""

from collections.abc import Iterable

import torch
from torch import Tensor
from yacs.config import CfgNode

from slowfast_ext.config import options_of
from slowfast_ext.models.backbones import BACKBONES
from slowfast_ext.models.build import MODELS, VideoModel
from slowfast_ext.options import Problem
from slowfast_ext.tasks import Output
from slowfast_ext.tasks.token_labelling import TokenHead, TokenLabelOptions, TokenOutput

TOKEN_SHARE = 0.5
"""Of the best token's logit in a test, as published."""


class MixToken:
    """The first tokens in a box are those of the batch's image B - 1 - b; the last tokens there go back to it.

    `draw_3` is `mix_draw`'s. The box is rounded to the grid of the first tokens, and down to that of the last, as
    published.
    """

    def __init__(self, draw_3: Tensor) -> None:
        self.draw_3 = draw_3
        self.box_4 = draw_3.new_zeros(4, dtype=torch.int64)
        self.first = 0

    def mix(self, x_BTHWC: Tensor) -> Tensor:
        """The first tokens, mixed."""
        self.first = x_BTHWC.shape[2]
        self.box_4 = mixed_box(self.draw_3, x_BTHWC.shape[2], x_BTHWC.shape[3])
        return _swapped(x_BTHWC, self.box_4)

    def restore(self, x_BThwK: Tensor) -> tuple[Tensor, Tensor]:
        """What was made of the last tokens, each with its own image again, and the share of them that never left it."""
        h, w = x_BThwK.shape[2:4]
        top, left, bottom, right = box_4 = self.box_4 // (self.first // h)
        own = 1 - ((bottom - top) * (right - left)).float() / (h * w)
        return _swapped(x_BThwK, box_4), own


def mixed_box(draw_3: Tensor, height: int, width: int) -> Tensor:
    """Top, left, bottom, right, int64 [4]: sides of the drawn part of the grid around the drawn centre, cut off at the edge."""
    size_2 = draw_3.new_tensor([height, width])
    half_2 = (size_2 * draw_3[0]).long() // 2
    centre_2 = torch.minimum((size_2 * draw_3[1:]).long(), size_2.long() - 1)
    first_2 = (centre_2 - half_2).clamp(min=0)
    return torch.cat([first_2, torch.minimum(centre_2 + half_2, size_2.long())])


def _swapped(x_BTHWC: Tensor, box_4: Tensor) -> Tensor:
    """With the partner's values in the box; a mask, so that no shape depends on the box."""
    top, left, bottom, right = box_4
    y_H1 = torch.arange(x_BTHWC.shape[2], device=x_BTHWC.device)[:, None]
    x_W = torch.arange(x_BTHWC.shape[3], device=x_BTHWC.device)
    inside_HW = (y_H1 >= top) & (y_H1 < bottom) & (x_W >= left) & (x_W < right)
    return torch.where(inside_HW[..., None], x_BTHWC.flip(0), x_BTHWC)


@MODELS.register("token_labelling")
class TokenLabelledModel(VideoModel):
    """Normalised images [B, 3, 1, H, W] -> TokenOutput in training, else logits [B, K].

    A test adds half of the best token's logits to the image's, as published; a plain classifier with the same weights
    (it leaves those of the tokens out) gives the image's alone.
    """

    head: TokenHead

    @classmethod
    def check(cls, cfg: CfgNode) -> Iterable[Problem]:
        """Clips of several frames, backbones without a grid of tokens, and tokens of another size than their labels."""
        if cfg.DATA.NUM_FRAMES != 1:
            yield Problem("DATA.NUM_FRAMES", "label maps are those of images", "set it to 1")
        name = cfg.MODEL.BACKBONE
        own = (options_of(cfg, kind) for kind in BACKBONES.options(name))
        size = BACKBONES.get(name).token_size(*own)
        if not size:
            able = ", ".join(other for other, kind in BACKBONES if "dense" in vars(kind))
            yield Problem("MODEL.BACKBONE", "has no tokens to label as it is set", f"see {able}")
        elif size != options_of(cfg, TokenLabelOptions).token_size:
            yield Problem(
                "TOKEN_LABELS.TOKEN_SIZE", "is not that of the model", f"set it to {size}"
            )

    def forward(self, clip_BCTHW: Tensor, draw_3: Tensor | None = None) -> Output:
        """`draw_3` (see `mix_draw`) is only for training; without it nothing is mixed."""
        mixing = MixToken(draw_3) if draw_3 is not None and self.training else None
        feature_BC, tokens_BThwC = self.backbone.dense(
            clip_BCTHW, None if mixing is None else mixing.mix
        )
        image_BK = self.head(self.head_drop(feature_BC))
        tokens_BThwK = self.head.tokens(tokens_BThwC)
        if not self.training:
            return image_BK + TOKEN_SHARE * tokens_BThwK.flatten(1, 3).amax(1)
        own = image_BK.new_ones((), dtype=torch.float32)
        if mixing is not None:
            tokens_BThwK, own = mixing.restore(tokens_BThwK)
        return TokenOutput(image_BK, tokens_BThwK[:, 0], own)
