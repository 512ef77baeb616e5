"""Clip transforms on uint8 [T, C, H, W], the same for every frame of a clip, drawn from a generator.

Clips are views of a decoder's [T, H, W, C] buffer (channels_last memory) and stay so: that is the
fast layout of the image kernels. Batches become floats on the device: `device.to_model_input`.
"""

from slowfast_ext.data.transforms.device import to_model_input
from slowfast_ext.data.transforms.mixing import mix_batch
from slowfast_ext.data.transforms.pipeline import (
    ClipTransform,
    Compose,
    train_transform,
    train_transform_from,
)
from slowfast_ext.data.transforms.resize_crop import test_crops

__all__ = [
    "ClipTransform",
    "Compose",
    "mix_batch",
    "test_crops",
    "to_model_input",
    "train_transform",
    "train_transform_from",
]
