"""The plainest reader there can be: decodes the whole file for every call. For tests of what uses readers."""

import os
from collections import Counter
from types import SimpleNamespace

import av
import numpy as np
import torch
from PIL import Image

from slowfast_ext.errors import DataError


class PlainSource:
    """Reads whole video files and frame folders."""

    def __init__(self):
        self.counts = Counter()

    def info(self, record):
        return SimpleNamespace(length=len(self._decode(record)), fps=12.0)

    def frames(self, record, indices, short_side=0):
        return torch.from_numpy(self._decode(record)[list(indices)])

    def claimed_frames(self, record):
        return len(self._decode(record))

    def _decode(self, record):
        if os.path.isdir(record.path):
            names = sorted(os.listdir(record.path))
            return np.stack([np.asarray(Image.open(os.path.join(record.path, n))) for n in names])
        try:
            with av.open(record.path) as container:
                return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])
        except (av.FFmpegError, ValueError) as error:
            raise DataError(f"{record.path}: {error}") from error
