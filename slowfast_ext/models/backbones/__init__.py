"""Backbones: one file each."""

from slowfast_ext.models.backbones.base import BACKBONES, Backbone, BackboneSpec
from slowfast_ext.registry import import_submodules

import_submodules(__name__)

__all__ = ["BACKBONES", "Backbone", "BackboneSpec"]
