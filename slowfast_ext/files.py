"""Files that are whole or untouched when written, and read without running what is in them."""

import os
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from slowfast_ext.errors import CheckpointError, WriteError

_TEMPORARY = ".tmp"


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raise WriteError, with the file and the cause (full disk, no permission), where writing `path` fails inside."""
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        raise WriteError(
            f"{path}: not written ({error}); what was there before is untouched. "
            "Free some space or set OUTPUT_DIR to a folder that can be written"
        ) from error


def write_atomically(path: Path, write: Callable[[Path], Any]) -> None:
    """Write beside `path`, flush to disk and rename: `path` is whole or untouched, and nothing lies beside it.

    Raises WriteError with the cause.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}{_TEMPORARY}")
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            write(temporary)
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
    finally:
        # Also after it went well: renaming one link of a file over another of the same file leaves both.
        with suppress(OSError):
            temporary.unlink()


def append_text(path: Path, text: str) -> None:
    """Add whole lines to a file; one that a kill or a full disk cut short before is ended first. Raises WriteError."""
    with writing(path), path.open("ab") as file:
        if file.tell() and not _ends_its_line(path):
            file.write(b"\n")
        file.write(text.encode())


def _ends_its_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"


def remove_temporary(folder: Path) -> None:
    """Remove what `write_atomically` left in a folder when its process was killed."""
    for path in folder.glob(f".*{_TEMPORARY}"):
        with suppress(OSError):
            path.unlink()


def read_weights(path: str | Path) -> Mapping[str, Any]:
    """A checkpoint file, .safetensors or torch.save's. No code in it is run. Raises CheckpointError."""
    path = Path(path)
    if path.suffix != ".safetensors":
        return read_torch_file(path)
    try:
        return load_file(path)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file") from None
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path}: not a readable safetensors file ({error}); fetch or write it again"
        ) from error


def read_torch_file(path: Path) -> dict[str, Any]:
    """The dict that torch.save wrote: tensors and plain values only, no code is run.

    Raises CheckpointError for anything else, saying what it is.
    """
    found = read_torch_object(path)
    if not isinstance(found, dict):
        raise CheckpointError(f"{path}: holds a {type(found).__name__}, not named tensors")
    return found


def read_torch_object(path: Path) -> Any:
    """What torch.save wrote, a tensor say; otherwise as `read_torch_file`."""
    _refuse_wrong_kind(path)
    try:
        _refuse_damaged_zip(path)
        return torch.load(
            path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
        )
    except CheckpointError:
        raise
    except Exception as error:
        if "weights_only" in str(error) or "Unsupported" in str(error):
            reason = re.sub(r"\s+", " ", str(error))[:300]
            raise CheckpointError(
                f"{path}: holds Python objects, not only tensors; loading it could run code, so it is refused. "
                f"Convert it once where you trust it: keep the state dict alone. ({reason})"
            ) from error
        raise CheckpointError(
            f"{path}: cut short or damaged ({error}); fetch or write it again"
        ) from error


def _refuse_wrong_kind(path: Path) -> None:
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    with path.open("rb") as file:
        head = file.read(512)
    if not head:
        raise CheckpointError(f"{path}: is empty; fetch or write it again")
    if head.lstrip().startswith(b"<") or b"<html" in head.lower():
        raise CheckpointError(
            f"{path}: is a web page, not weights; the download failed, fetch it again"
        )
    if head.startswith(b"version https://git-lfs"):
        raise CheckpointError(f"{path}: is a Git LFS pointer, not weights; run git lfs pull")


def _refuse_damaged_zip(path: Path) -> None:
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        broken = archive.testzip()
    if broken:
        raise CheckpointError(
            f"{path}: checksum of {broken} does not match; fetch or write it again"
        )
