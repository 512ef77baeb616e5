"""Label maps of token labelling: a file an image, in the layout that LV-ViT publishes.

FOLDER/CLASS/IMAGE.pt for .../CLASS/IMAGE.JPEG, written by torch.save: float16 [2, k, H, W], a teacher's k best logits in
each of H x W cells of the image, then the numbers of their classes (whole numbers, exact in float16 up to 2048).
Shapes: k best classes, H W cells.
"""

from collections.abc import Iterable
from pathlib import Path, PurePath

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from yacs.config import CfgNode

from slowfast_ext.config import options_of
from slowfast_ext.data.records import VideoRecord
from slowfast_ext.data.transforms.affine import Matrix
from slowfast_ext.data.transforms.box import HeightWidth
from slowfast_ext.data.transforms.geometry import Geometry
from slowfast_ext.errors import CheckpointError, ConfigError, DataError
from slowfast_ext.files import read_torch_object, write_atomically
from slowfast_ext.safe_text import visible
from slowfast_ext.tasks.build import build_task, task_name
from slowfast_ext.tasks.label_maps import CroppedMaps
from slowfast_ext.tasks.token_labelling import TokenLabelOptions

MOST_CLASSES = 2048
"""Whole numbers beyond it are not exact in float16."""


class LabelMaps:
    """The maps in a folder, for images of so many classes."""

    def __init__(self, folder: str | Path, num_classes: int) -> None:
        self.folder, self.num_classes = Path(folder), num_classes

    @classmethod
    def from_cfg(cls, cfg: CfgNode) -> "LabelMaps | None":
        """Those of TOKEN_LABELS.PATH; None for a task that has none. Raises ConfigError where there is no such folder."""
        if task_name(cfg) != "token_labelling":
            return None
        path = options_of(cfg, TokenLabelOptions).path
        if not Path(path).is_dir() or not path:
            raise ConfigError(
                f"TOKEN_LABELS.PATH = '{path}': {'no such folder' if path else 'training needs a folder'} of label maps "
                "(CLASS/IMAGE.pt); slowfast-ext data label-maps makes one, docs/token_labelling.md says where there is one"
            )
        return cls(path, build_task(cfg).num_classes[0])

    def file(self, record: VideoRecord) -> Path:
        """The file of an image: its folder's name, and its own up to the first dot."""
        path = PurePath(record.path)
        return self.folder / path.parent.name / f"{path.name.partition('.')[0]}.pt"

    def without_map(self, records: Iterable[VideoRecord]) -> list[VideoRecord]:
        """The records whose map is still to be made. Raises DataError where two images would have the same file."""
        owners: dict[Path, VideoRecord] = {}
        for record in records:
            path = self.file(record)
            other = owners.setdefault(path, record)
            if other.path != record.path:
                raise DataError(
                    f"{record.shown}: its label map {visible(str(path))} would be that of {other.shown}; rename one "
                    "(its folder and its name up to the first dot count)"
                )
        return [record for path, record in owners.items() if not path.is_file()]

    def read(self, record: VideoRecord) -> tuple[Tensor, Tensor]:
        """Logits float16 and classes int16 of an image, each [k, H, W]. Raises DataError with the file and what is wrong."""
        path = self.file(record)
        if not path.is_file():
            raise DataError(
                f"{record.shown}: has no label map {visible(str(path))} (TOKEN_LABELS.PATH)"
            )
        try:
            found = read_torch_object(path)
        except CheckpointError as error:
            raise DataError(f"{record.shown}: label map {error}") from error
        wrong = _complaint(found, self.num_classes)
        if wrong:
            raise DataError(
                f"{record.shown}: label map {visible(str(path))}: {wrong}; fetch or make it again"
            )
        return found[0].half(), found[1].to(torch.int16)

    def cropped(self, record: VideoRecord, geometry: Geometry) -> CroppedMaps:
        """The map of an image and the part of it that a training clip shows, without a batch dimension."""
        scores_kHW, classes_kHW = self.read(record)
        for matrix in geometry.moves:
            scores_kHW, classes_kHW = moved(scores_kHW, classes_kHW, matrix, geometry.size)
        (height, width), (top, left, h, w) = geometry.size, geometry.box
        box_4 = [top / height, left / width, (top + h) / height, (left + w) / width]
        return CroppedMaps(
            scores_kHW, classes_kHW, torch.tensor(box_4), torch.tensor(geometry.mirrored)
        )


def write_label_map(path: Path, scores_KHW: Tensor, best: int) -> None:
    """The `best` logits of each cell in the published layout. Raises WriteError where it cannot be written."""
    logits_kHW, classes_kHW = scores_KHW.float().topk(best, dim=0)
    both = torch.stack([logits_kHW.half(), classes_kHW.half()]).cpu()
    write_atomically(path, lambda file: torch.save(both, file))


def moved(
    scores_kHW: Tensor, classes_kHW: Tensor, matrix: Matrix, size: HeightWidth
) -> tuple[Tensor, Tensor]:
    """A map after an affine move of its frames of `size` (see `affine`): each cell is what was at its centre.

    What comes from outside the frame has logits 0: no opinion.
    """
    _, H, W = scores_kHW.shape
    row_HW, column_HW = _sources(matrix, (H, W), size)
    inside_HW = (row_HW >= 0) & (row_HW < H) & (column_HW >= 0) & (column_HW < W)
    row, column = (torch.from_numpy(x_HW * inside_HW) for x_HW in (row_HW, column_HW))
    scores = scores_kHW[:, row, column] * torch.from_numpy(inside_HW)
    return scores, classes_kHW[:, row, column]


def _sources(
    matrix: Matrix, cells: HeightWidth, size: HeightWidth
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row and column of the cell that each cell's centre comes from; the matrix counts in pixels."""
    (H, W), (height, width) = cells, size
    a, b, c, d, e, f = matrix
    x_W = (np.arange(W) + 0.5) * (width / W)
    y_H1 = ((np.arange(H) + 0.5) * (height / H))[:, None]
    row = np.floor((d * x_W + e * y_H1 + f) * (H / height))
    column = np.floor((a * x_W + b * y_H1 + c) * (W / width))
    return row.astype(np.int64), column.astype(np.int64)


def _complaint(found: object, num_classes: int) -> str:
    """What is wrong with the content of a file; empty where nothing is."""
    if not isinstance(found, Tensor):
        return f"holds a {type(found).__name__}, not a tensor"
    shape = tuple(found.shape)
    if found.ndim != 4 or shape[0] != 2 or 0 in shape or not found.is_floating_point():
        return f"is {found.dtype} of {list(shape)}, not floats of [2, classes, height, width]"
    if not found.isfinite().all():
        return "has values that are no numbers"
    classes_kHW = found[1].float()
    if (classes_kHW != classes_kHW.round()).any():
        return "its second half are no numbers of classes"
    for number in (int(classes_kHW.min()), int(classes_kHW.max())):
        if not 0 <= number < num_classes:
            return f"names class {number}, there are {num_classes} (MODEL.NUM_CLASSES)"
    steps = classes_kHW.sort(0).values.diff(dim=0)
    return "names a class twice in a cell" if (steps == 0).any() else ""
