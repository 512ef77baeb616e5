"""Predictions as lines of a file, JSON Lines or csv, that an interrupted run goes on with."""

import csv
import hashlib
import io
import json
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from slowfast_ext.errors import DataError, WriteError
from slowfast_ext.files import write_atomically
from slowfast_ext.predict.prediction import Classes, Prediction
from slowfast_ext.safe_text import guarded, unguarded

Key = tuple[str, str]
"""Video and start of the window ("" where it is whole)."""


class AppendedFile:
    """A text file that grows by whole lines; a last line that was cut off is taken away when it is opened.

    Raises DataError where it cannot be written; what was written before stays.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("ab", buffering=0)
            self._trim()
            self.text = _text_of(self.path)
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{self.path}: cannot be written to: {_reason(error)}") from error

    def append(self, text: str) -> None:
        """Add lines; all of them or, on a full disk, none."""
        before, rest = os.fstat(self._file.fileno()).st_size, _bytes_of(text)
        try:
            while rest:
                rest = rest[self._file.write(rest) or 0 :]
        except OSError as error:
            self._file.truncate(before)
            raise DataError(
                f"{self.path}: cannot be written to: {_reason(error)}; what is in it is whole, and the same "
                "command goes on from there"
            ) from error

    def close(self) -> None:
        """Give the file back."""
        self._file.close()

    def _trim(self) -> None:
        content = self.path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(self.path, whole)


class Lines:
    """Predictions in a file, `.jsonl` or `.csv`, a line a video or window.

    `done` are those that the file has already; `failed` are videos that could not be read. Raises DataError for a file of
    another kind, or that was made with other settings.
    """

    def __init__(
        self,
        path: str | Path,
        classes: Classes,
        top: int,
        windows: bool,
        settings: dict[str, Any],
        retry: bool = False,
    ) -> None:
        """With `retry` the lines of videos that could not be read are taken out."""
        self.path, self._classes, self._top, self._windows = Path(path), classes, top, windows
        self._csv = check_suffix(path) == ".csv"
        remember(self.path.with_name(f"{self.path.name}.settings.json"), settings, self.path)
        if retry:
            without_errors(self.path, _json_error if not self._csv else csv_error)
        self._file = AppendedFile(path)
        self.done: set[Key] = set()
        self.failed: set[str] = set()
        self._read(self._file.text)
        if self._csv and not self._file.text:
            self._file.append(_csv_line(self._header()))

    def write(self, prediction: Prediction) -> None:
        """Add a prediction, if it is not there. Raises DataError on a full disk."""
        key = prediction.video, _start(prediction.window)
        if key in self.done:
            return
        record = self._record(prediction)
        self._file.append(
            _csv_line(self._row(record))
            if self._csv
            else json.dumps(record, ensure_ascii=False) + "\n"
        )
        self.done.add(key)

    @property
    def videos(self) -> set[str]:
        """Videos that it has a line of."""
        return {video for video, _ in self.done}

    def close(self) -> None:
        """Give the file back."""
        self._file.close()

    def _read(self, text: str) -> None:
        try:
            if self._csv:
                rows: Iterable[dict[str, Any]] = csv.DictReader(io.StringIO(text))
            else:
                rows = (json.loads(line) for line in text.split("\n") if line)
            for row in rows:
                start = row.get("start")
                video = unguarded(row["video"]) if self._csv else row["video"]
                self.done.add((video, f"{float(start):.3f}" if start not in (None, "") else ""))
                if row.get("error"):
                    self.failed.add(video)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"{self.path}: has lines that are no predictions; name another file, or remove this one"
            ) from error

    def _record(self, prediction: Prediction) -> dict[str, Any]:
        record: dict[str, Any] = {"video": prediction.video}
        if prediction.window:
            record |= dict(
                zip(("start", "end"), (round(x, 3) for x in prediction.window), strict=True)
            )
        if prediction.error:
            return record | {"error": prediction.error}
        for head, key in enumerate(self._keys("top")):
            best = prediction.top(self._top, head)
            record[key] = [
                {"name": guess.name, "score": round(guess.score, 6), "class": guess.label}
                for guess in best
            ]
        return record

    def _keys(self, word: str) -> list[str]:
        return [f"{head}_{word}" if head else word for head in self._classes.heads]

    def _header(self) -> list[str]:
        times = ["start", "end"] if self._windows else []
        best = [
            f"{key}{number}"
            for head, names in zip(self._classes.heads, self._classes.names, strict=True)
            for number in range(1, min(self._top, len(names)) + 1)
            for key in ((f"{head}_top", f"{head}_score") if head else ("top", "score"))
        ]
        return ["video", *times, *best, "error"]

    def _row(self, record: dict[str, Any]) -> list[object]:
        row = [
            record["video"],
            *((record.get("start", ""), record.get("end", "")) if self._windows else ()),
        ]
        for key, names in zip(self._keys("top"), self._classes.names, strict=True):
            best = record.get(key) or [{"name": "", "score": ""}] * min(self._top, len(names))
            row += [value for guess in best for value in (guess["name"], guess["score"])]
        return [*row, record.get("error", "")]


def without_errors(path: Path, is_error: Callable[[str], bool]) -> None:
    """Take the lines out of a file that tell of errors."""
    if not path.exists():
        return
    lines = re.findall(r"[^\n]*\n|[^\n]+", _text_of(path))
    kept = [line for line in lines if not (line.endswith("\n") and is_error(line))]
    if len(kept) < len(lines):
        write_atomically(path, lambda target: target.write_bytes(_bytes_of("".join(kept))))


def _text_of(path: Path) -> str:
    """With names in it that are no UTF-8 as Python has them."""
    return path.read_bytes().decode("utf-8", "surrogateescape")


def _bytes_of(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def csv_error(line: str) -> bool:
    """Whether the last column, `error`, has something in it; not in the header."""
    error = next(csv.reader([line]), [""])[-1]
    return error not in ("", "error")


def _json_error(line: str) -> bool:
    return '"error": ' in line and "error" in json.loads(line)


def check_suffix(path: str | Path) -> str:
    """`.jsonl` or `.csv`. Raises DataError for another suffix."""
    suffix = Path(path).suffix.lower()
    if suffix not in (".jsonl", ".csv"):
        raise DataError(f"{path}: predictions are written to a .jsonl or a .csv file")
    return suffix


def remember(path: Path, settings: dict[str, Any], result: Path) -> None:
    """Note beside a result how it is made. Raises DataError where it was made in another way, or by others."""
    said = json.loads(json.dumps(settings))

    def write(target: Path) -> None:
        target.write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")

    try:
        if path.exists():
            before = json.loads(path.read_text(encoding="utf-8"))
        elif _has_content(result):
            raise DataError(
                f"{result}: is there, and not of this command; name another file, or remove it"
            )
        else:
            write_atomically(path, write)
            return
    except (OSError, ValueError) as error:
        if isinstance(error, (DataError, WriteError)):
            raise
        raise DataError(f"{path}: {_reason(error)}") from error
    other = [
        f"{key} {before.get(key)!r}, now {said.get(key)!r}"
        for key in {**said, **before}
        if before.get(key) != said.get(key)
    ]
    if other and _has_content(result):
        raise DataError(
            f"{result}: was made with {'; '.join(other)}; name another one, or remove it and {path.name}"
        )
    if other:
        write_atomically(path, write)


def _has_content(path: Path) -> bool:
    if path.is_dir():
        return any(True for _ in path.iterdir())
    return path.exists() and path.stat().st_size > 0


def fingerprint(path: Path) -> str:
    """SHA-256 of a file, 16 digits of it."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()[:16]


def _start(window: tuple[float, float] | None) -> str:
    return f"{window[0]:.3f}" if window else ""


def _csv_line(row: Sequence[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow([guarded(cell) for cell in row])
    return text.getvalue()


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
