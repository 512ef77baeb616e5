"""A contact sheet of what training really feeds to the model: the first batch of an epoch, made by the same
code from the same seed, mixed as the engine mixes it, turned back to pixels.

Shapes: B clips, T frames, C colours, H W pixels, K classes.
"""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor
from yacs.config import CfgNode

from slowfast_ext.config import options_of
from slowfast_ext.data.dataset import Source, TrainClips
from slowfast_ext.data.loader import Batch, TrainCollate
from slowfast_ext.data.records import VideoSet
from slowfast_ext.data.samplers import train_batches
from slowfast_ext.data.seeds import step_rng
from slowfast_ext.data.transforms.device import PixelOptions, to_model_input
from slowfast_ext.data.transforms.mixing import MixupOptions, mix_batch, soft_targets
from slowfast_ext.tasks.base import class_counts

CAPTION_HEIGHT = 14
MARGIN = 4
LEAST_SHARE = 0.01
"""Labels below this share, the rest of label smoothing, are not written."""


def contact_sheet(
    cfg: CfgNode, videos: VideoSet, source: Source, clips: int = 12, frames: int = 8, epoch: int = 0
) -> Image.Image:
    """Rows of up to `clips` training clips, `frames` of each, captioned with labels and files."""
    batch = first_batch(cfg, videos, source, epoch)
    clip_BCTHW, targets = mix_batch(
        to_model_input(batch.clip_BTCHW, options_of(cfg, PixelOptions)),
        soft_targets(batch.labels, class_counts(cfg), cfg.MIXUP.LABEL_SMOOTH_VALUE),
        options_of(cfg, MixupOptions),
        step_rng(cfg.RNG_SEED, epoch, 0),
    )
    pixels_BTHWC = to_pixels(clip_BCTHW[:clips], cfg)
    captions = [
        f"{label_words([target[row] for target in targets], videos)}  "
        f"[{videos.records[int(batch.index_B[row])].name}]"
        for row in range(len(pixels_BTHWC))
    ]
    return sheet(pixels_BTHWC[:, _spread(pixels_BTHWC.shape[1], frames)], captions)


def first_batch(cfg: CfgNode, videos: VideoSet, source: Source, epoch: int) -> Batch:
    """Step 0 of an epoch, as TrainLoader gives it to a single process."""
    size = cfg.TRAIN.BATCH_SIZE * cfg.NUM_SHARDS
    draws = next(train_batches(len(videos), size, cfg.RNG_SEED, epoch))
    dataset = TrainClips.from_cfg(cfg, videos, source)
    return TrainCollate(cfg, videos.multi_label)([dataset[draw] for draw in draws])


def to_pixels(clip_BCTHW: Tensor, cfg: CfgNode) -> np.ndarray:
    """Model input -> uint8 RGB [B, T, H, W, C]: the inverse of `to_model_input`."""
    mean, std = (torch.tensor(v).view(-1, 1, 1, 1) for v in (cfg.DATA.MEAN, cfg.DATA.STD))
    pixels = (clip_BCTHW * std + mean).mul_(255).round_().clamp_(0, 255).to(torch.uint8)
    if cfg.DATA.CHANNEL_ORDER == "bgr":
        pixels = pixels.flip(1)
    return pixels.permute(0, 2, 3, 4, 1).numpy()


def label_words(targets: Sequence[Tensor], videos: VideoSet) -> str:
    """Class names of one clip's targets [K], one tensor a head, with their shares where these are soft."""
    words = []
    for head, target_K in enumerate(targets):
        names = videos.class_names[head] if videos.class_names else ()
        floor = max(LEAST_SHARE, float(target_K.min()) * 1.001)
        for label in torch.argsort(target_K, descending=True)[:3].tolist():
            share = float(target_K[label])
            if share > floor:
                name = names[label] if names else f"class {label}"
                words.append(name if share > 1 - LEAST_SHARE else f"{name} {share:.2f}")
    return " + ".join(words) or "no label"


def sheet(pixels_BTHWC: np.ndarray, captions: Sequence[str]) -> Image.Image:
    """Clips as rows of frames, each under its caption."""
    B, T, H, W, _ = pixels_BTHWC.shape
    row_height = CAPTION_HEIGHT + H + MARGIN
    image = Image.new("RGB", (T * (W + 1) + 2 * MARGIN, B * row_height + MARGIN), "white")
    draw = ImageDraw.Draw(image)
    for row, (clip_THWC, caption) in enumerate(zip(pixels_BTHWC, captions, strict=True)):
        top = MARGIN + row * row_height
        draw.text(
            (MARGIN, top), caption.encode("latin-1", "replace").decode("latin-1"), fill="black"
        )
        for column, frame_HWC in enumerate(clip_THWC):
            left = MARGIN + column * (W + 1)
            image.paste(Image.fromarray(frame_HWC), (left, top + CAPTION_HEIGHT))
    return image


def _spread(length: int, count: int) -> list[int]:
    return np.linspace(0, length - 1, min(length, count)).round().astype(int).tolist()
