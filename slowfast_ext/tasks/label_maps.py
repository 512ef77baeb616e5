"""Label maps cut as their images are: RoI-align (He et al., 2017) of a teacher's scores, then a softmax.

Shapes: B images, k best classes of a cell, K classes, H W cells of a map, h w tokens, L cells and S parts along an axis,
N samples of a part.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor


class CroppedMaps(NamedTuple):
    """Label maps of images, and what a training crop shows of each.

    `scores` are the teacher's best logits [B, k, H, W] (any float type), `classes` theirs (any integer type). `box` is
    [B, 4]: top, left, bottom, right of the crop as parts of the image; `mirrored` [B]: it is flipped afterwards.
    """

    scores: Tensor
    classes: Tensor
    box: Tensor
    mirrored: Tensor


def crop_labels(
    maps: CroppedMaps, num_classes: int, grid: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Probabilities of the whole crop [B, K], and of its tokens [B, h, w, K] for `grid` (h, w).

    A cell's classes beyond its best k have the logit 0; logits are averaged over a part of the crop, then normalised.
    """
    scores_BKHW = _all_scores(maps, num_classes)
    return (
        _part_probabilities(scores_BKHW, maps, (1, 1)).flatten(0, 2),
        _part_probabilities(scores_BKHW, maps, grid),
    )


def _all_scores(maps: CroppedMaps, num_classes: int) -> Tensor:
    B, _, H, W = maps.scores.shape
    empty = maps.scores.new_zeros((B, num_classes, H, W), dtype=torch.float32)
    return empty.scatter_(1, maps.classes.long(), maps.scores.float())


def _part_probabilities(scores_BKHW: Tensor, maps: CroppedMaps, grid: tuple[int, int]) -> Tensor:
    top_B, left_B, bottom_B, right_B = maps.box.float().unbind(1)
    rows_BhH = roi_weights(top_B, bottom_B, grid[0], scores_BKHW.shape[2])
    columns_BwW = roi_weights(left_B, right_B, grid[1], scores_BKHW.shape[3])
    columns_BwW = torch.where(maps.mirrored[:, None, None], columns_BwW.flip(1), columns_BwW)
    # Bilinear samples on a regular grid: the average over a part is a product of two averages along its sides.
    parts_BKhw = rows_BhH[:, None] @ scores_BKHW @ columns_BwW.transpose(1, 2)[:, None]
    return parts_BKhw.permute(0, 2, 3, 1).softmax(-1)


def roi_weights(first_B: Tensor, last_B: Tensor, parts: int, length: int) -> Tensor:
    """How much each of `length` cells counts in each of `parts` equal parts of [first, last], [B, S, L].

    RoI-align along one axis: a part has ceil(its cells) samples, the centres of as many equal pieces; a sample between
    two cell centres is their linear mixture, one beyond the outermost centres the outermost cell, and one more than a
    cell beyond the last centre nothing (before the first none is). `first` and `last` are parts of the whole in [0, 1].
    """
    start_B, end_B = first_B * length - 0.5, last_B * length - 0.5  # cell i has its centre at i
    size_B = (end_B - start_B).clamp(min=1.0)
    count_B = (size_B / parts).ceil()
    sample_N = torch.arange(math.ceil(length / parts), device=first_B.device)
    within_BN = (sample_N + 0.5) / count_B[:, None]
    part_S = torch.arange(parts, device=first_B.device)
    at_BSN = (part_S[:, None] + within_BN[:, None]) * (size_B / parts)[:, None, None]
    at_BSN = start_B[:, None, None] + at_BSN
    counts = (sample_N < count_B[:, None])[:, None] & (at_BSN <= length)
    cell_L = torch.arange(length, device=first_B.device)
    near_BSNL = (1 - (at_BSN.clamp(0, length - 1)[..., None] - cell_L).abs()).clamp(min=0)
    return (near_BSNL * counts[..., None]).sum(2) / count_B[:, None, None]
