"""Exact evaluation: every video once, all its views, whatever the number of processes.

Shapes: B videos of a batch, V views, T frames, C colours, H W pixels, K classes, M videos of the set.
"""

import logging
from collections import Counter
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from yacs.config import CfgNode

from slowfast_ext.config import options_of
from slowfast_ext.data.loader import EvalBatch
from slowfast_ext.data.records import VideoSet
from slowfast_ext.data.transforms.device import PixelOptions, to_model_input
from slowfast_ext.engine.distributed import World, gather_objects
from slowfast_ext.engine.metrics import Evaluation
from slowfast_ext.engine.precision import autocast
from slowfast_ext.engine.signals import StopRequest
from slowfast_ext.errors import DataError, Interrupted
from slowfast_ext.tasks.base import class_counts

logger = logging.getLogger(__name__)

Scores = dict[int, tuple[Tensor, ...]]


def evaluate(
    cfg: CfgNode,
    world: World,
    model: nn.Module,
    videos: VideoSet,
    batches: Iterable[EvalBatch],
    stop_request: StopRequest,
) -> Evaluation:
    """Scores of this process's share of the videos, merged with those of the other processes.

    Raises DataError for a video that cannot be decoded when TEST.ON_DECODE_ERROR is `error`, Interrupted
    between batches when a stop is asked for.
    """
    model.eval()
    scores: Scores = {}
    errors: dict[int, str] = {}
    counts: Counter[str] = Counter()
    with torch.inference_mode():
        for batch in batches:
            if stop_request:
                raise Interrupted(
                    f"stopped by {stop_request.name} during an evaluation; start it again"
                )
            counts += batch.counts
            for bad in batch.bad:
                errors[bad.index] = f"{bad.path} ({bad.location}): {bad.reason}"
                if cfg.TEST.ON_DECODE_ERROR == "error":
                    raise DataError(f"{errors[bad.index]}; TEST.ON_DECODE_ERROR is error")
            if len(batch.index_B):
                scores.update(_score_batch(cfg, world, model, batch))
    for what, times in sum(gather_objects(world, counts), Counter()).items():
        logger.warning("reading: %s, %d times", what, times)
    return _merge(cfg, world, videos, scores, errors)


def _score_batch(cfg: CfgNode, world: World, model: nn.Module, batch: EvalBatch) -> Scores:
    """Mean over the views of each video of its probabilities or logits."""
    views = batch.clip_BVTCHW.shape[1]
    clips = batch.clip_BVTCHW.flatten(0, 1).split(cfg.TEST.VIEW_BATCH)
    parts = [score_clips(cfg, world.device, model, clip_BTCHW) for clip_BTCHW in clips]
    heads = []
    for head in zip(*parts, strict=True):
        heads.append(torch.cat(head).unflatten(0, (-1, views)).mean(1).cpu())
    return {int(i): scores for i, *scores in zip(batch.index_B, *heads, strict=True)}


def score_clips(
    cfg: CfgNode, device: torch.device, model: nn.Module, clip_BTCHW: Tensor
) -> list[Tensor]:
    """uint8 clips -> scores [B, K] of each head: sigmoid or softmax probabilities, or logits."""
    clip_BCTHW = to_model_input(
        clip_BTCHW.to(device, non_blocking=True), options_of(cfg, PixelOptions)
    )
    with autocast(device, cfg.TEST.PRECISION):
        logits = [logits_BK.float() for logits_BK in model(clip_BCTHW)]
    if cfg.TEST.ENSEMBLE == "logits":
        return logits
    if cfg.DATA.MULTI_LABEL:
        return [torch.sigmoid(logits_BK) for logits_BK in logits]
    return [torch.softmax(logits_BK, dim=-1) for logits_BK in logits]


def _merge(
    cfg: CfgNode, world: World, videos: VideoSet, scores: Scores, errors: dict[int, str]
) -> Evaluation:
    """The shares of all processes in list order; each video must have come exactly once."""
    shares = gather_objects(world, (scores, errors))
    arrived = [index for share in shares for part in share for index in part]
    assert sorted(arrived) == list(range(len(videos))), "a video was evaluated twice or not at all"
    all_scores = {index: s for share, _ in shares for index, s in share.items()}
    all_errors = {index: e for _, share in shares for index, e in sorted(share.items())}
    counts = class_counts(cfg)
    heads = tuple(torch.zeros(len(videos), count) for count in counts)
    for index, video_scores in all_scores.items():
        for scores_MK, scores_K in zip(heads, video_scores, strict=True):
            scores_MK[index] = scores_K
    decoded_M = torch.tensor([index in all_scores for index in range(len(videos))])
    labels = _labels(videos, counts[0])
    return Evaluation(heads, labels, decoded_M, all_errors, videos.multi_label)


def _labels(videos: VideoSet, count: int) -> Tensor:
    if not videos.multi_label:
        return torch.tensor([record.labels for record in videos], dtype=torch.int64)
    target_MK = torch.zeros(len(videos), count)
    for row, record in enumerate(videos):
        target_MK[row, list(record.labels)] = 1.0
    return target_MK
