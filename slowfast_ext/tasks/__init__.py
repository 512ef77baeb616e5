"""Tasks."""

from slowfast_ext.tasks import base as base
