"""Features as files, one a video, with an index that an interrupted run goes on with."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import save_file

from slowfast_ext.errors import DataError
from slowfast_ext.files import write_atomically
from slowfast_ext.predict.features import Features
from slowfast_ext.predict.kinds import FEATURES
from slowfast_ext.predict.lines import AppendedFile, csv_error, remember, without_errors
from slowfast_ext.safe_text import guarded, unguarded, visible

SETTINGS = "settings.json"
COLUMNS = ("video", "file", "shape", "fps", "seconds", "error")


class FeatureFolder:
    """Files of features and `index.csv`: video, file, shape, frame rate, length, or the error.

    `part` names the share of one of several processes, which has an index of its own (`index-1-of-4.csv`); what any
    index names is `done`, but with `retry` for what could not be read. Raises DataError for a folder that was made with other settings or cannot be written.
    """

    def __init__(
        self,
        folder: str | Path,
        settings: dict[str, Any],
        kind: str = "safetensors",
        part: str = "",
        retry: bool = False,
    ) -> None:
        self.folder, self._kind = Path(folder), kind
        if kind not in FEATURES:
            raise DataError(f"features are written as {' or '.join(FEATURES)}, not {kind}")
        if self.folder.is_file():
            raise DataError(f"{self.folder}: is a file; name a folder for the features")
        remember(self.folder / SETTINGS, settings, self.folder)
        self.index = self.folder / (f"index-{part}.csv" if part else "index.csv")
        if retry:
            without_errors(self.index, csv_error)
        self._index = AppendedFile(self.index)
        self._files: dict[str, str] = {}
        self.failed: set[str] = set()
        if not self._index.text:
            self._index.append(",".join(COLUMNS) + "\n")
        for path in sorted(self.folder.glob("index*.csv")):
            text = path.read_text(encoding="utf-8", errors="surrogateescape")
            for row in csv.DictReader(io.StringIO(text)):
                video = unguarded(row["video"])
                self._files[video] = row["file"]
                if row["error"]:
                    self.failed.add(video)

    @property
    def done(self) -> set[str]:
        """Videos that have a file, or were found to be unreadable."""
        return {
            video
            for video, file in self._files.items()
            if not file or (self.folder / file).exists()
        }

    def write(self, features: Features, below: str) -> str:
        """Write the file `below` the folder, then its line; returns its name. Raises DataError on a full disk."""
        if features.error:
            self._note((features.video, "", "", "", "", features.error))
            return ""
        name = self._free(f"{below}.{self._kind}", features.video)
        tensors = features.tensors()

        def save(target: Path) -> None:
            if self._kind == "npz":
                with target.open("wb") as file:
                    arrays: dict[str, Any] = {key: value.numpy() for key, value in tensors.items()}
                    np.savez(file, **arrays)
            else:
                whole = {key: value.contiguous() for key, value in tensors.items()}
                save_file(whole, target, metadata={"video": visible(features.video)})

        write_atomically(self.folder / name, save)
        shape = "x".join(map(str, features.features.shape))
        seconds = f"{float(features.seconds[-1, 1]):.3f}"
        self._note((features.video, name, shape, f"{features.fps:g}", seconds, ""))
        self._files[features.video] = name
        return name

    def close(self) -> None:
        """Give the index back."""
        self._index.close()

    def _free(self, name: str, video: str) -> str:
        """The name, numbered where another video of the index has it."""
        taken = {file for other, file in self._files.items() if other != video}
        stem, number, found = name.removesuffix(f".{self._kind}"), 1, name
        while found in taken:
            number += 1
            found = f"{stem}-{number}.{self._kind}"
        return found

    def _note(self, row: Sequence[object]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow([guarded(cell) for cell in row])
        self._index.append(text.getvalue())
