"""How videos are looked at: views, the stretch of a clip, the reader, the device."""

from dataclasses import replace

import torch

from slowfast_ext.data.decode.source import DECODERS, DecodeOptions
from slowfast_ext.data.sampling import SamplingOptions, ViewOptions, clip_seconds
from slowfast_ext.engine.distributed import pick_device
from slowfast_ext.errors import ConfigError


def view_options(views: str | ViewOptions) -> ViewOptions:
    """ "10x3" -> 10 clips x 3 crops. Raises ConfigError."""
    if isinstance(views, ViewOptions):
        return views
    parts = views.lower().split("x")
    if len(parts) != 2 or not all(part.strip().isdecimal() for part in parts):
        raise ConfigError(f"views '{views}': write clips x crops, like 1x1 or 10x3")
    clips, crops = map(int, parts)
    return ViewOptions(num_ensemble_views=clips, num_spatial_crops=crops)


def reader_options(options: DecodeOptions, image_template: str = "") -> DecodeOptions:
    """The reader that was trained with, where this machine has it (all are exact), for images of this name."""
    name = options.decoding_backend
    if name != "auto" and DECODERS.get(name).missing():
        options = replace(options, decoding_backend="auto")
    return replace(options, image_template=image_template or options.image_template)


def device_of(name: str | torch.device) -> torch.device:
    """auto, cpu, cuda or cuda:1. Raises ConfigError for a device that is not there."""
    if isinstance(name, torch.device):
        return name
    try:
        device = pick_device(name) if name == "auto" else torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device '{name}': allowed are auto, cpu, cuda, cuda:1, ...") from error
    if device.type == "cuda":
        pick_device("cuda", device.index or 0)
    return device


def span_frames(options: SamplingOptions) -> int:
    """Frames from the first to the last of a clip, both included, in a video of the rate that it was trained for."""
    if options.sampling == "segment":
        return options.num_frames
    return round(clip_seconds(1.0, replace(options, target_fps=0.0))) + 1


def span_seconds(fps: float, options: SamplingOptions) -> float:
    """The same in seconds; 0 where clips cover all of a video."""
    return 0.0 if options.sampling == "segment" else clip_seconds(fps, options)
