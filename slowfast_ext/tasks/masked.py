"""Masked pre-training (VideoMAE): nine of ten tubes of a clip are hidden, and their pixels are to be told from the rest.

Shapes: B clips, M videos of a set, N tokens of a clip (time-major), S tokens of a frame, V visible tokens, U hidden
ones, P numbers of a tubelet's pixels.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import mse_loss
from yacs.config import CfgNode

from slowfast_ext.options import Options, option, section
from slowfast_ext.tasks.base import TASKS, Labels, Output, Task, heads_of
from slowfast_ext.tasks.metrics import Evaluation, metric


@section("MASKED", "Masked pre-training (TASK masked_pretraining)")
@dataclass(frozen=True)
class MaskedOptions(Options):
    """What is hidden, what is predicted, and by which decoder."""

    ratio: float = option(
        0.9, "share of the tubes (a position in all frames) that is hidden", low=0, high=1
    )
    normalize_targets: bool = option(
        True, "predict pixels normalised within their tubelet and colour, else pixels in [0, 1]"
    )
    decoder_dim: int = option(384, "width of the decoder", unit="channels", low=1)
    decoder_depth: int = option(4, "blocks of the decoder", low=0)
    decoder_heads: int = option(6, "heads of the decoder", low=1)
    decoder_mlp_ratio: float = option(4.0, "hidden width over the width in the decoder", low=0)

    def check(self) -> None:
        """Heads share the decoder's width."""
        if self.decoder_dim % self.decoder_heads:
            remedy = f"choose a multiple of {self.decoder_heads}"
            raise self.error("decoder_dim", "is not divisible by MASKED.DECODER_HEADS", remedy)

    def hidden_of(self, tubes: int) -> int:
        """How many of the tubes are hidden, as published: rounded down."""
        return int(self.ratio * tubes)


class Reconstruction(NamedTuple):
    """The hidden tubelets as predicted and as they are, both [B, U, P]."""

    predicted: Tensor
    wanted: Tensor


class Split(NamedTuple):
    """Numbers of the tokens that are visible [B, V] and hidden [B, U], each in rising order."""

    visible: Tensor
    hidden: Tensor


def tube_mask(tubes: int, hidden: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Which of the tubes are hidden, bool [S]: `hidden` of them, all choices equally likely."""
    mask_S = np.zeros(tubes, dtype=bool)
    mask_S[rng.permutation(tubes)[:hidden]] = True
    return mask_S


def split_tokens(masks: Sequence[NDArray[np.bool_]], frames: int) -> Split:
    """The tokens of clips of so many token frames, whose tubes are masked by bool [S] a clip."""
    mask_BN = np.tile(np.stack(masks), (1, frames))
    visible, hidden = (
        torch.from_numpy(np.stack([np.flatnonzero(mask_N) for mask_N in rows]))
        for rows in (~mask_BN, mask_BN)
    )
    return Split(visible, hidden)


@metric("reconstruction_loss", lower_is_better=True)
def reconstruction_loss(evaluation: Evaluation) -> float:
    """Mean over the decoded videos of their loss, under masks that are the same in every evaluation."""
    (loss_M1,) = evaluation.scores
    return loss_M1[evaluation.decoded].double().mean().item()


@TASKS.register("masked_pretraining", MaskedOptions)
class MaskedPretraining(Task):
    """No labels: the model is told which tokens are hidden, its loss is the mean squared error of their pixels."""

    metrics = ("reconstruction_loss",)
    model = "masked_autoencoder"
    head_names = ()
    labels_per_video = None
    output_sizes = (1,)

    def __init__(
        self,
        num_classes: Sequence[int] = (),
        options: MaskedOptions = MaskedOptions(),
        patch_size: Sequence[int] = (2, 16, 16),
        **common: Any,
    ) -> None:
        """`patch_size` is that of the model, in frames and pixels; classes are none of its business."""
        super().__init__((), **common)
        self.options, self.patch_size = options, tuple(patch_size)

    @classmethod
    def from_cfg(
        cls, cfg: CfgNode, num_classes: Sequence[int], *options: Options, **common: Any
    ) -> "MaskedPretraining":
        """With the tubelets of VIT.PATCH_SIZE."""
        (own,) = options
        assert isinstance(own, MaskedOptions)
        return cls(num_classes, own, cfg.VIT.PATCH_SIZE, **common)

    def by_head(self, labels: Labels) -> tuple[Labels, ...]:
        """None has to know any."""
        return ()

    def labels(self, rows: Sequence[Labels]) -> Tensor:
        """Nothing of them, int64 [B, 0]."""
        return torch.empty(len(rows), 0, dtype=torch.int64)

    def targets(self, labels: Tensor) -> tuple[Tensor, ...]:
        """None: what is wanted comes with the output."""
        return ()

    def inputs(self, clip_BCTHW: Tensor, rngs: Iterable[np.random.Generator]) -> tuple[Tensor, ...]:
        """The clips, and the numbers of their visible [B, V] and of their hidden tokens [B, U]."""
        frames, height, width = (
            size // side for size, side in zip(clip_BCTHW.shape[2:], self.patch_size, strict=True)
        )
        tubes = height * width
        draws = zip(range(len(clip_BCTHW)), rngs, strict=False)
        masks = [tube_mask(tubes, self.options.hidden_of(tubes), rng) for _, rng in draws]
        split = split_tokens(masks, frames)
        return clip_BCTHW, *(x.to(clip_BCTHW.device, non_blocking=True) for x in split)

    def loss(self, output: Output, targets: Sequence[Tensor]) -> Tensor:
        """Mean over clips, hidden tubelets and their pixels of the squared error."""
        predicted, wanted = heads_of(output)
        return mse_loss(predicted.float(), wanted)

    def scores(self, output: Output) -> tuple[Tensor, ...]:
        """The loss of each clip, [B, 1]."""
        predicted, wanted = heads_of(output)
        return ((predicted.float() - wanted).square().mean((1, 2))[:, None],)

    def predictions(self, evaluation: Evaluation) -> Iterator[tuple[str, str]]:
        """No class, and the loss."""
        (loss_M1,) = evaluation.scores
        for (loss,) in loss_M1.tolist():
            yield "", f"{loss:.6f}"
