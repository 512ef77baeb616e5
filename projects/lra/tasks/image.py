"""Image: CIFAR-10 in grey, pixel by pixel."""

import numpy as np
from torchvision.datasets import CIFAR10

from projects.lra.tasks.base import TASKS, Examples, Splits, Task
from slowfast_ext.errors import DataError

GREY = (0.2989, 0.5870, 0.1140)
TRAIN = 45000


@TASKS.register("image")
class Image(Task):
    """Ten classes. A black pixel is id 0, which is padding (as in LRA's code)."""

    vocabulary, classes, length = 512, 10, 32 * 32

    def read(self) -> Splits:
        """The official python version; its last 5000 training images are for validation."""
        self.official_file(CIFAR10.base_folder, f"the unpacked archive {CIFAR10.filename}")
        try:
            train, test = (CIFAR10(self.options.data_dir, train=part) for part in (True, False))
        except RuntimeError as error:
            raise DataError(
                f"{self.options.data_dir}/{CIFAR10.base_folder}: damaged or incomplete ({error}); "
                f"unpack {CIFAR10.filename} again"
            ) from error
        examples = grey_examples(train.data, train.targets)
        return Splits(
            examples.part(0, TRAIN),
            examples.part(TRAIN, len(examples)),
            grey_examples(test.data, test.targets),
        )


def grey_examples(rgb: np.ndarray, labels: list[int]) -> Examples:
    """Images [count, H, W, 3] uint8 as sequences of grey levels, row after row."""
    grey = np.rint(rgb @ np.array(GREY, dtype=np.float32)).astype(np.uint8)
    return Examples.join(list(grey.reshape(len(grey), -1)), labels)
