"""A folder of images, one a frame, read with torchvision."""

import importlib.util
import itertools
import re
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from slowfast_ext.data.decode.base import DECODERS, Frames, positions_of, scaled_size
from slowfast_ext.data.decode.image_size import refuse_huge
from slowfast_ext.data.decode.index import VideoIndex
from slowfast_ext.data.storage import store
from slowfast_ext.errors import DataError

if TYPE_CHECKING:
    import torch


@DECODERS.register("frames")
class FramesReader:
    """Reader over image files; see `base.Reader`. No codec that may hang: it needs no child process."""

    guarded = False

    def __init__(self, path: str, index: VideoIndex, short_side: int = 0) -> None:
        self.folder, self.index = path, index
        self.size = scaled_size(index.size, short_side)

    @staticmethod
    def missing() -> str:
        """The package to install where torchvision is not there."""
        return "" if importlib.util.find_spec("torchvision") else "pip install torchvision"

    @staticmethod
    def exact(index: VideoIndex) -> bool:
        """For folders only."""
        return bool(index.template)

    def frames(self, indices: Sequence[int], out: Frames) -> None:
        """Fill out [T, H, W, 3]. Raises DataError naming the image that cannot be read."""
        positions = positions_of(indices)
        names = [self.index.template.format(self.index.pts[frame]) for frame in positions]
        contents = store.read(self.folder, names)
        for name, content, to in zip(names, contents, positions.values(), strict=True):
            out[to] = self._image(name, content)

    def close(self) -> None:
        """Nothing stays open."""

    def _image(self, name: str, content: bytes) -> Frames:
        image_CHW = decoded_image(name, content)
        if tuple(image_CHW.shape[1:]) != self.index.size:
            height, width = image_CHW.shape[1:]
            raise DataError(
                f"image {name} is {width}x{height}, the first {self.index.width}x{self.index.height}"
            )
        if self.size != self.index.size:
            from torch.nn.functional import interpolate

            image_CHW = interpolate(image_CHW[None], self.size, mode="bilinear", antialias=True)[0]
        return image_CHW.permute(1, 2, 0).numpy()


def decoded_image(name: str, content: bytes) -> "torch.Tensor":
    """RGB of the bytes of a JPEG, PNG or WebP file: uint8 [3, H, W]. Raises DataError with its name."""
    import torch
    from torchvision.io import ImageReadMode, decode_image

    try:
        refuse_huge(content)
        # The buffer is read only: a bytearray is what torch takes without a warning.
        packed = torch.frombuffer(bytearray(content), dtype=torch.uint8)
        return decode_image(packed, ImageReadMode.RGB)
    except (RuntimeError, ValueError) as error:  # ValueError: refused, or empty
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"image {name} cannot be read: {reason}") from error


def folder_template(path: str, template: str) -> str:
    """DATA.IMAGE_TEMPLATE of one folder: {name} is the folder's own name."""
    name = Path(path).name.replace("{", "{{").replace("}", "}}")
    return template.replace("{name}", name)


def scan_folder(path: str, template: str, fps: float) -> VideoIndex:
    """Index of a folder whose images are named `template.format(i)`, i from 0 or 1 on without gaps.

    Raises DataError where there are none, or some are missing.
    """
    numbers = _image_numbers(path, template)
    if not numbers:
        raise DataError(
            f"folder has no image named like {template.format(1)} (DATA.IMAGE_TEMPLATE)"
        )
    first = numbers[0]
    absent = first if first > 1 else _first_gap(numbers)
    if absent is not None:
        gap = "begins at number" if first > 1 else "has no image number"
        raise DataError(f"folder {gap} {absent}, its images end at {numbers[-1]}")
    name = template.format(first)
    height, width = decoded_image(name, store.read(path, [name])[0]).shape[1:]
    rate = Fraction(fps).limit_denominator(1001)
    return VideoIndex(
        pts=tuple(numbers),
        keys=(),
        time_base=(rate.denominator, rate.numerator),
        fps=fps,
        height=height,
        width=width,
        container="folder",
        codec=Path(template).suffix.lstrip("."),
        template=template,
    )


def _image_numbers(path: str, template: str) -> list[int]:
    before, after = template.format(_Hole()).split(_Hole.MARK)
    pattern = re.compile(re.escape(before) + r"(\d+)" + re.escape(after))
    found = (pattern.fullmatch(name) for name in store.names(path))
    numbers = (
        int(match[1]) for match in found if match and template.format(int(match[1])) == match[0]
    )
    return sorted(numbers)


class _Hole:
    """Formats, whatever the width asked for, as a mark that no file name has."""

    MARK = "\0"

    def __format__(self, spec: str) -> str:
        return self.MARK


def _first_gap(numbers: list[int]) -> int | None:
    follows = (a + 1 for a, b in itertools.pairwise(numbers) if b != a + 1)
    return next(follows, None)
