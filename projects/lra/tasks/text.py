"""Text: the sentiment of IMDB reviews from their bytes (Maas et al., 2011)."""

from pathlib import Path

from projects.lra.tasks.base import TASKS, Examples, Splits, Task, byte_ids
from slowfast_ext.errors import DataError

LENGTH = 4000
CLASSES = ("neg", "pos")


@TASKS.register("text")
class Text(Task):
    """Two classes. Validation is the test set, as in the published runs."""

    vocabulary, classes, length = 512, 2, LENGTH

    def read(self) -> Splits:
        """The folder aclImdb of the official archive."""
        root = self.official_file("aclImdb", "the unpacked archive aclImdb_v1.tar.gz")
        test = _reviews(root / "test")
        return Splits(_reviews(root / "train"), test, test)


def _reviews(folder: Path) -> Examples:
    files = [(path, k) for k, name in enumerate(CLASSES) for path in _files(folder / name)]
    sequences = [byte_ids(path.read_bytes(), LENGTH, str(path)) for path, _ in files]
    return Examples.join(sequences, [label for _, label in files])


def _files(folder: Path) -> list[Path]:
    files = sorted(folder.glob("*.txt"))
    if not files:
        raise DataError(f"{folder}: no .txt files; expected the reviews of aclImdb_v1.tar.gz")
    return files
