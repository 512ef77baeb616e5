"""Models: backbones, attention, heads, weights."""

from slowfast_ext.models.build import MODELS, VideoModel, build_model, check_model
from slowfast_ext.models.masked import MaskedAutoencoder

__all__ = ["MODELS", "MaskedAutoencoder", "VideoModel", "build_model", "check_model"]
