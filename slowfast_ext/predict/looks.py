"""How a checkpoint's videos are looked at: views, the stretch of a clip, the reader."""

from dataclasses import replace

from slowfast_ext.data.decode.source import DECODERS, DecodeOptions
from slowfast_ext.data.sampling import SamplingOptions, ViewOptions, clip_seconds
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


def available_reader(options: DecodeOptions) -> DecodeOptions:
    """The reader that was trained with, where this machine has it; all are exact."""
    name = options.decoding_backend
    if name != "auto" and DECODERS.get(name).missing():
        return replace(options, decoding_backend="auto")
    return options


def span_frames(options: SamplingOptions) -> int:
    """Frames from the first to the last of a clip, both included, in a video of the rate that it was trained for."""
    if options.sampling == "segment":
        return options.num_frames
    return round(clip_seconds(1.0, replace(options, target_fps=0.0))) + 1


def span_seconds(fps: float, options: SamplingOptions) -> float:
    """The same in seconds; 0 where clips cover all of a video."""
    return 0.0 if options.sampling == "segment" else clip_seconds(fps, options)
