"""Label maps by a teacher: its classifier reads every token of an image as it reads the feature of the whole one.

As LV-ViT's program makes them (Jiang et al., 2021), but from whole images: scaled to the teacher's crop without regard to
their form, so that a map's cells are parts of the image, as training takes them.
Shapes: B images, C channels or colours, T frames (one), H W pixels, h w tokens, K classes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from slowfast_ext.config import options_of
from slowfast_ext.data.label_maps import MOST_CLASSES, LabelMaps, write_label_map
from slowfast_ext.data.loader import LoaderOptions, data_loader
from slowfast_ext.data.reading import Source, bad_sample, read_frames
from slowfast_ext.data.records import VideoRecord
from slowfast_ext.data.transforms.device import PixelOptions, to_model_input
from slowfast_ext.data.transforms.resize_crop import CropOptions, Resize
from slowfast_ext.engine.precision import autocast
from slowfast_ext.errors import CheckpointError, ConfigError, DataError
from slowfast_ext.files import remove_temporary
from slowfast_ext.models import VideoModel
from slowfast_ext.models.backbones import BACKBONES
from slowfast_ext.models.build import check_model
from slowfast_ext.models.weights.classes import same_order
from slowfast_ext.options import pair
from slowfast_ext.tasks.token_labelling import TokenHead


@dataclass(frozen=True)
class Teacher:
    """A classifier of images, in evaluation mode on its device, and the input that it wants.

    `size` is (height, width) of the scaled image in pixels; `precision` is fp32, bf16 or fp16.
    """

    model: VideoModel
    pixels: PixelOptions
    size: tuple[int, int]
    resize: Resize
    precision: str = "fp32"

    @classmethod
    def of(
        cls, model: VideoModel, device: torch.device, size: int = 0, precision: str = "fp32"
    ) -> "Teacher":
        """For a model with its configuration; `size` is the side of the scaled image, 0: the model's test crop.

        Raises CheckpointError for a model that is no classifier of images by one linear layer, or gives no tokens, and
        ConfigError for a size that it cannot take.
        """
        cfg = model.config
        if cfg is None:
            raise ConfigError("the teacher has no configuration; make it with create_model or load_model")  # fmt: skip
        cfg = cfg.clone()
        cfg.defrost()
        cfg.DATA.TEST_CROP_SIZE = size or cfg.DATA.TEST_CROP_SIZE
        wrong = [f"the teacher at this size: {p.message}; {p.remedy}" for p in check_model(cfg)]
        if wrong:
            raise ConfigError("\n".join(wrong))
        name = cfg.MODEL.BACKBONE
        own = (options_of(cfg, kind) for kind in BACKBONES.options(name))
        if not BACKBONES.get(name).token_size(*own):
            raise CheckpointError(f"the teacher ({name}) has no tokens that its classifier could read")  # fmt: skip
        if cfg.DATA.NUM_FRAMES != 1:
            raise CheckpointError(f"the teacher takes clips of {cfg.DATA.NUM_FRAMES} frames; give a classifier of images")  # fmt: skip
        if not isinstance(model.head, nn.Linear):
            raise CheckpointError("the teacher's classifier is not one linear layer, so that it cannot read tokens")  # fmt: skip
        crop = options_of(cfg, CropOptions)
        return cls(
            model.to(device).eval(),
            options_of(cfg, PixelOptions),
            pair(crop.test_crop_size),
            Resize(crop.interpolation, crop.antialias),
            precision,
        )

    @property
    def classifier(self) -> nn.Linear:
        """Of tokens where it has one (a model of token labelling), else that of the image."""
        head = self.model.head
        assert isinstance(head, nn.Linear)
        return head.tokens if isinstance(head, TokenHead) else head

    @property
    def num_classes(self) -> int:
        """K."""
        return self.classifier.out_features

    def require_for(self, num_classes: int, names: Sequence[str], best: int) -> None:
        """Raise CheckpointError unless its classes are those of the data, ConfigError for `best` classes of a cell."""
        known = self.model.class_names[0] if len(self.model.class_names) == 1 else ()
        if self.num_classes != num_classes:
            raise CheckpointError(
                f"the teacher has {self.num_classes} classes, the data {num_classes} (MODEL.NUM_CLASSES)"
            )
        if known and names and not same_order(known, names):
            pairs = enumerate(zip(known, names, strict=True))
            at = next(number for number, (one, two) in pairs if not same_order([one], [two]))
            raise CheckpointError(
                f"the teacher's class {at} is '{known[at]}', the data's '{names[at]}': label maps hold numbers, "
                "and would name other classes"
            )
        if num_classes > MOST_CLASSES:
            raise ConfigError(f"label maps hold numbers up to {MOST_CLASSES} exactly, not {num_classes} classes")  # fmt: skip
        if not 1 <= best <= num_classes:
            raise ConfigError(f"--best {best}: must be from 1 to the {num_classes} classes")

    @torch.no_grad()
    def logits(self, image_BCHW: Tensor) -> Tensor:
        """What it sees in each token of uint8 RGB images of `size`: float32 [B, K, h, w], on its device."""
        device = self.classifier.weight.device
        clip_BTCHW = image_BCHW[:, None].to(device, non_blocking=True)
        with autocast(device, self.precision):
            _, tokens_BThwC = self.model.backbone.dense(to_model_input(clip_BTCHW, self.pixels))
            logits_BThwK = self.classifier(tokens_BThwC)
        return logits_BThwK[:, 0].permute(0, 3, 1, 2).float()


class WholeImage(NamedTuple):
    """An image [C, H, W] in the teacher's size, or why it could not be read."""

    record: VideoRecord
    image_CHW: Tensor | None
    error: str = ""


class WholeImages(Dataset[WholeImage]):
    """Number of a record -> its image: what loader processes run."""

    def __init__(
        self, records: Sequence[VideoRecord], source: Source, size: tuple[int, int], resize: Resize
    ) -> None:
        self.records, self.source, self.size, self.resize = records, source, size, resize
        # Much larger images may come smaller; the last scaling is ours, whatever the decoder.
        self.short_side = 2 * max(size) if resize.antialias else 0

    def __getitem__(self, index: int) -> WholeImage:
        """The first frame of a record."""
        record = self.records[index]
        try:
            frame_TCHW = read_frames(self.source, record, np.zeros(1, np.int64), self.short_side)
        except DataError as error:
            return WholeImage(record, None, bad_sample(index, record, error).reason)
        return WholeImage(record, self.resize(frame_TCHW, self.size)[0])


def make_label_maps(
    teacher: Teacher,
    maps: LabelMaps,
    records: Sequence[VideoRecord],
    source: Source,
    best: int = 5,
    batch: int = 16,
    workers: int = 0,
) -> Iterator[WholeImage]:
    """Write the map of each image with its `best` classes a cell; gives the images, in order, when theirs is written.

    Raises WriteError where one cannot be written.
    """
    for folder in {maps.file(record).parent for record in records}:
        remove_temporary(folder)  # of a run that was killed
    images = WholeImages(records, source, teacher.size, teacher.resize)
    numbers = torch.arange(len(records)).split(batch) if records else ()
    batches = [part.tolist() for part in numbers]
    for items in data_loader(images, batches, list, LoaderOptions(num_workers=workers), False):
        sound = [item for item in items if item.image_CHW is not None]
        if sound:
            logits_BKhw = teacher.logits(torch.stack([item.image_CHW for item in sound]))
            for item, logits_Khw in zip(sound, logits_BKhw, strict=True):
                write_label_map(maps.file(item.record), logits_Khw, best)
        yield from items
