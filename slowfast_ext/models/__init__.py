"""Models: backbones, attention, heads, weights."""

from slowfast_ext.models.build import MODELS, VideoModel, build_model, check_model
from slowfast_ext.models.masked import MaskedAutoencoder
from slowfast_ext.models.token_labelling import TokenLabelledModel

__all__ = [
    "MODELS",
    "MaskedAutoencoder",
    "TokenLabelledModel",
    "VideoModel",
    "build_model",
    "check_model",
]
