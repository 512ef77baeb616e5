"""A contact sheet of what training really feeds to the model: the first batch of an epoch, made by the same
code from the same seed, mixed as the engine mixes it, turned back to pixels.

Shapes: B clips, T frames, C colours, H W pixels, K classes.
"""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from slowfast_ext.data.loader import TrainLoader
from slowfast_ext.data.records import VideoSet
from slowfast_ext.data.seeds import step_rng
from slowfast_ext.data.transforms.device import PixelOptions, to_model_input, to_pixels
from slowfast_ext.data.transforms.mixing import MixupOptions, mix_batch
from slowfast_ext.tasks import Task

CAPTION_HEIGHT = 14
MARGIN = 4
LEAST_SHARE = 0.01
"""Labels below this share, the rest of label smoothing, are not written."""


def contact_sheet(
    loader: TrainLoader,
    task: Task,
    pixels: PixelOptions,
    mixup: MixupOptions,
    clips: int = 12,
    frames: int = 8,
    epoch: int = 0,
) -> Image.Image:
    """Rows of up to `clips` clips of the epoch's first step, `frames` of each, captioned with labels and files."""
    batch, videos = next(loader.epoch(epoch)), loader.videos
    clip_BCTHW, targets = mix_batch(
        to_model_input(batch.clip_BTCHW, pixels),
        task.batch_targets(batch.labels, batch.maps),
        mixup,
        step_rng(loader.seed, epoch, 0),
    )
    pixels_BTHWC = to_pixels(clip_BCTHW[:clips], pixels).numpy()
    captions = [
        f"{label_words([target[row] for target in targets[: len(task.head_names)]], videos)}  "
        f"[{videos.records[int(batch.index_B[row])].name}]"
        for row in range(len(pixels_BTHWC))
    ]
    return sheet(pixels_BTHWC[:, _spread(pixels_BTHWC.shape[1], frames)], captions)


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
