"""A batch of bytes on the host -> mixed model input and soft targets on the device.

Shapes: B clips, T frames, C colours, H W pixels, K classes of a head.
"""

from torch import Tensor
from yacs.config import CfgNode

from slowfast_ext.config import options_of
from slowfast_ext.data.loader import Batch
from slowfast_ext.data.seeds import step_rng
from slowfast_ext.data.transforms.device import PixelOptions, to_model_input
from slowfast_ext.data.transforms.mixing import MixupOptions, mix_batch, soft_targets
from slowfast_ext.engine.distributed import World
from slowfast_ext.tasks.base import class_counts


def prepare_batch(
    cfg: CfgNode, world: World, batch: Batch, epoch: int, number: int
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Clips [B, C, T, H, W] and targets [B, K] of each head; `number` counts the batches of the epoch."""
    clip_BTCHW = batch.clip_BTCHW.to(world.device, non_blocking=True)
    labels = batch.labels.to(world.device, non_blocking=True)
    rng = step_rng(cfg.RNG_SEED, epoch, number)
    targets = soft_targets(labels, class_counts(cfg), cfg.MIXUP.LABEL_SMOOTH_VALUE)
    clip_BCTHW = to_model_input(clip_BTCHW, options_of(cfg, PixelOptions))
    return mix_batch(clip_BCTHW, targets, options_of(cfg, MixupOptions), rng)
