"""Models: backbones, attention, heads, weights."""

from slowfast_ext.models.build import VideoModel, build_model, check_model

__all__ = ["VideoModel", "build_model", "check_model"]
