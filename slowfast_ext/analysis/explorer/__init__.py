"""Attention of one clip to click through: `build_explorer(seen, scene, ...)` gives an HTML page."""

from slowfast_ext.analysis.explorer.build import build_explorer
from slowfast_ext.analysis.explorer.top_classes import Prediction, predictions

__all__ = ["Prediction", "build_explorer", "predictions"]
