"""Token labelling (Jiang et al., "All Tokens Matter", 2021): every token of an image learns what a teacher saw in its place.

Targets are a teacher's dense scores, cut as the image is (label_maps.py), for the image as for its tokens. The class
in the list only counts in an evaluation. Shapes: B images, K classes, C channels, h w tokens.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax
from yacs.config import CfgNode

from slowfast_ext.options import Options, option, pair, section
from slowfast_ext.tasks.base import TASKS, Output, heads_of
from slowfast_ext.tasks.label_maps import CroppedMaps, crop_labels
from slowfast_ext.tasks.single_label import SingleLabel


@section("TOKEN_LABELS", "Token labelling (TASK token_labelling)")
@dataclass(frozen=True)
class TokenLabelOptions(Options):
    """Where the labels of tokens are, how much they count, and MixToken."""

    path: str = option(
        "",
        "folder of the label maps, a file an image (CLASS/IMAGE.pt, as LV-ViT publishes them); needed for training alone",
    )
    token_size: int = option(
        32, "side of a labelled token: 32 for UniFormer, VIT.PATCH_SIZE for ViT", unit="px", low=1
    )
    loss_weight: float = option(
        1.0, "weight of the tokens' loss; that of the image has 1 (as in LV-ViT's program)", low=0
    )
    mix_alpha: float = option(
        1.0,
        "MixToken: beta parameter of the share of an image's tokens that is its own; 0: no MixToken",
        low=0,
    )


class TokenHead(nn.Linear):
    """The classifier of the image, and beside it, in `tokens`, that of its tokens."""

    def __init__(self, dim: int, num_classes: int) -> None:
        super().__init__(dim, num_classes)
        self.tokens = nn.Linear(dim, num_classes)


class TokenOutput(NamedTuple):
    """In training: logits of the images [B, K] and of their own tokens [B, h, w, K].

    `own` []: the share of an image's tokens that are its own, the rest are those of image B - 1 - b.
    """

    image: Tensor
    tokens: Tensor
    own: Tensor


@TASKS.register("token_labelling", TokenLabelOptions)
class TokenLabelling(SingleLabel):
    """Single label in an evaluation; in training the mean of the images' cross-entropy and that of the tokens."""

    model = "token_labelling"

    def __init__(
        self,
        num_classes: Sequence[int],
        options: TokenLabelOptions = TokenLabelOptions(),
        crop_size: tuple[int, int] = (224, 224),
        **common: Any,
    ) -> None:
        """`crop_size` is that of the training crop (height, width), in pixels."""
        super().__init__(num_classes, **common)
        self.options = options
        height, width = (side // options.token_size for side in crop_size)
        self.grid = height, width

    @classmethod
    def from_cfg(
        cls, cfg: CfgNode, num_classes: Sequence[int], *options: Options, **common: Any
    ) -> "TokenLabelling":
        """For crops of DATA.TRAIN_CROP_SIZE."""
        (own,) = options
        assert isinstance(own, TokenLabelOptions)
        return cls(num_classes, own, pair(cfg.DATA.TRAIN_CROP_SIZE), **common)

    def head(self, dim: int) -> nn.Module:
        """Features [B, C] with C = `dim` -> logits, and the classifier of tokens."""
        (outputs,) = self.output_sizes
        return TokenHead(dim, outputs)

    def batch_targets(self, labels: Tensor, maps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Probabilities of the images [B, K] and of their tokens [B, h, w, K], smoothed towards 1/K."""
        (num_classes,) = self.num_classes
        found = crop_labels(CroppedMaps(*maps), num_classes, self.grid)
        smoothing = self.label_smoothing
        return tuple(x * (1 - smoothing) + smoothing / num_classes for x in found)

    def inputs(self, clip_BCTHW: Tensor, rngs: Iterable[np.random.Generator]) -> tuple[Tensor, ...]:
        """The clips and, for MixToken, what decides on the box of the batch, [3]: see `mix_draw`."""
        if not self.options.mix_alpha:
            return (clip_BCTHW,)
        draw_3 = mix_draw(self.options.mix_alpha, next(iter(rngs)))
        return clip_BCTHW, draw_3.to(clip_BCTHW.device, non_blocking=True)

    def loss(self, output: Output, targets: Sequence[Tensor]) -> Tensor:
        """H(own * y + (1 - own) * y of the partner, image) + LOSS_WEIGHT * mean over tokens of H(their y, token)."""
        image_BK, tokens_BhwK, own = heads_of(output)
        target_BhwK = targets[1]
        of_image = super().loss(image_BK, self._mixed(own, targets))
        of_tokens = -(target_BhwK * log_softmax(tokens_BhwK.float(), dim=-1)).sum(-1).mean()
        return of_image + self.options.loss_weight * of_tokens

    def running_sums(self, output: Output, targets: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """As for one label, of the images and what the teacher saw most of in them."""
        image_BK, _, own = heads_of(output)
        return super().running_sums(image_BK, self._mixed(own, targets))

    @staticmethod
    def _mixed(own: Tensor, targets: Sequence[Tensor]) -> tuple[Tensor]:
        return (torch.lerp(targets[0].flip(0), targets[0], own),)


def mix_draw(alpha: float, rng: np.random.Generator) -> Tensor:
    """What decides on the box of MixToken, float32 [3]: its sides as a part of the grid's, and its centre (y, x) in [0, 1).

    The box has 1 - own of the grid, own from Beta(alpha, alpha).
    """
    own = rng.beta(alpha, alpha)
    return torch.tensor([math.sqrt(1 - own), *rng.random(2)], dtype=torch.float32)
