"""Exact evaluation: every video once, all its views, whatever the number of processes.

Shapes: B videos of a batch, V views, T frames, C colours, H W pixels, K outputs of a head, M videos of the set.
"""

import logging
from collections import Counter
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from slowfast_ext.data.loader import EvalBatch, EvalLoader
from slowfast_ext.data.prefetch import on_device
from slowfast_ext.data.seeds import view_rngs
from slowfast_ext.data.transforms.device import PixelOptions, to_model_input
from slowfast_ext.engine.distributed import World, gather_objects
from slowfast_ext.engine.options import TestOptions
from slowfast_ext.engine.precision import autocast
from slowfast_ext.errors import DataError, Interrupted
from slowfast_ext.processes import StopRequest
from slowfast_ext.safe_text import visible
from slowfast_ext.tasks import Evaluation, Task
from slowfast_ext.tasks.base import Labels

logger = logging.getLogger(__name__)

Scores = dict[int, tuple[Tensor, ...]]


def evaluate(
    model: nn.Module,
    loader: EvalLoader,
    task: Task,
    *,
    pixels: PixelOptions = PixelOptions(),
    options: TestOptions = TestOptions(),
    on_decode_error: str = "wrong",
    world: World | None = None,
    stop: StopRequest | None = None,
    central_view: int | None = None,
    on_batch: Callable[[int, int], None] = lambda done, total: None,
) -> Evaluation:
    """Scores of all videos of the loader, means over their views; `task.evaluate` makes metrics of them.

    Without a `world` this process evaluates alone, on the model's device. Raises DataError for a video that cannot
    be decoded when `on_decode_error` is `error`, Interrupted between batches once `stop` is true. `on_batch` is told how
    many batches of this process are done, and of how many. `central_view`: the view whose own scores are kept too.
    """
    world = world or World.alone(next(model.parameters()).device)
    stop = StopRequest() if stop is None else stop
    scores: Scores = {}
    errors: dict[int, str] = {}
    counts: Counter[str] = Counter()
    was_training = model.training
    model.eval()
    with torch.inference_mode(), stop.watched():
        for done, batch in enumerate(on_device(loader, world.device), start=1):
            if stop:
                raise Interrupted(f"stopped by {stop.name} during an evaluation; start it again")
            counts += batch.counts
            for bad in batch.bad:
                errors[bad.index] = f"{visible(bad.path)} ({visible(bad.location)}): {bad.reason}"
                if on_decode_error == "error":
                    raise DataError(f"{errors[bad.index]}; TEST.ON_DECODE_ERROR is error")
            if len(batch.index_B):
                scores |= _score_batch(
                    model, batch, task, pixels, options, world.device, central_view
                )
            on_batch(done, len(loader))
    model.train(was_training)
    for what, times in sum(gather_objects(world, counts), Counter()).items():
        logger.warning("reading: %s, %d times", what, times)
    return _merge(world, [record.labels for record in loader.videos], task, scores, errors)


def _score_batch(
    model: nn.Module,
    batch: EvalBatch,
    task: Task,
    pixels: PixelOptions,
    options: TestOptions,
    device: torch.device,
    central_view: int | None,
) -> Scores:
    """Means over the views by head, behind them those of the central view."""
    videos = batch.index_B.tolist()
    views = view_scores(model, task, batch.clip_BVTCHW, pixels, options, device, videos)
    heads = [head_BVK.mean(1).cpu() for head_BVK in views]
    if central_view is not None:
        heads += [head_BVK[:, central_view].cpu() for head_BVK in views]
    return {int(index): tuple(own) for index, *own in zip(batch.index_B, *heads, strict=True)}


def mean_scores(
    model: nn.Module,
    task: Task,
    clip_BVTCHW: Tensor,
    pixels: PixelOptions,
    options: TestOptions,
    device: torch.device,
) -> list[Tensor]:
    """Scores [B, K] of each head, means over the views of each video, on the CPU.

    Testing and predicting share `view_scores`, so that they agree to the last bit.
    """
    views = view_scores(model, task, clip_BVTCHW, pixels, options, device)
    return [head_BVK.mean(1).cpu() for head_BVK in views]


def view_scores(
    model: nn.Module,
    task: Task,
    clip_BVTCHW: Tensor,
    pixels: PixelOptions,
    options: TestOptions,
    device: torch.device,
    videos: Sequence[int] | None = None,
) -> list[Tensor]:
    """Scores [B, V, K] of each head for every view.

    `videos` are their numbers in the set, for what a task draws for a view.
    """
    B, V = clip_BVTCHW.shape[:2]
    rngs = view_rngs(range(B) if videos is None else videos, V)

    def scores(clip_BCTHW: Tensor) -> tuple[Tensor, ...]:
        inputs = task.inputs(clip_BCTHW, rngs)
        with autocast(device, options.precision):
            output = model(*inputs)
        return task.scores(output)

    return over_views(scores, clip_BVTCHW, pixels, options.view_batch, device)


def over_views(
    call: Callable[[Tensor], tuple[Tensor, ...]],
    clip_BVTCHW: Tensor,
    pixels: PixelOptions,
    view_batch: int,
    device: torch.device,
) -> list[Tensor]:
    """Tensors [B, V, ...] that `call` gives for all views as model input, `view_batch` of them at a time."""
    views, parts = clip_BVTCHW.shape[1], []
    for clip_BTCHW in clip_BVTCHW.flatten(0, 1).split(view_batch):
        parts.append(call(to_model_input(clip_BTCHW.to(device, non_blocking=True), pixels)))
    return [torch.cat(part).unflatten(0, (-1, views)) for part in zip(*parts, strict=True)]


def _merge(
    world: World, labels: Sequence[Labels], task: Task, scores: Scores, errors: dict[int, str]
) -> Evaluation:
    """The shares of all processes in list order; each video must have come exactly once."""
    shares = gather_objects(world, (scores, errors))
    arrived = sorted(index for share in shares for part in share for index in part)
    if arrived != list(range(len(labels))):
        raise RuntimeError("a video was evaluated twice or not at all")
    all_scores = {index: own for share, _ in shares for index, own in share.items()}
    all_errors = {index: error for _, share in shares for index, error in sorted(share.items())}
    count = len(task.output_sizes)
    central = any(len(own) > count for own in all_scores.values())
    heads = [
        torch.zeros(len(labels), size)
        for size in (*task.output_sizes, *task.output_sizes * central)
    ]
    for index, own in all_scores.items():
        for scores_MK, scores_K in zip(heads, own, strict=True):
            scores_MK[index] = scores_K
    decoded_M = torch.tensor([index in all_scores for index in range(len(labels))])
    means, middle = tuple(heads[:count]), tuple(heads[count:])
    return Evaluation(means, task.labels(labels), decoded_M, all_errors, middle)
