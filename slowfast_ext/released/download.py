"""A file from the web into the cache: whole or not there, however often the line breaks.

What has arrived stands in `<file>.part`; the next attempt, of this process or a later one, asks for the rest.
"""

import hashlib
import http.client
import logging
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from iopath.common.file_io import file_lock
from portalocker import LockException
from rich.console import Console
from rich.progress import DownloadColumn, TransferSpeedColumn
from rich.progress import Progress as Bar

from slowfast_ext.errors import CheckpointError

logger = logging.getLogger(__name__)

ATTEMPTS = 5
PAUSE_SECONDS = 1.0
TIMEOUT_SECONDS = 60.0
_BLOCK = 1 << 20
_HOPELESS = (401, 403, 404, 410)
_BROKEN = (http.client.HTTPException, TimeoutError, ConnectionError)


def download(link: str, path: Path, sha256: str = "", size: int | None = None) -> Path:
    """Fetch `link` to `path` unless it is there; one process fetches, the others wait for it.

    Raises CheckpointError with the link for a file that is not there, is a page or has another sum, a server that breaks
    off again and again, and a folder that cannot be written.
    """
    if path.is_file():
        return path
    by_hand = f"fetch it yourself ({link}) and save it as {path}, or give the path of your copy"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with file_lock(str(path)):
            if not path.is_file():
                _fetch(link, path, sha256, size, by_hand)
    except (OSError, LockException) as error:
        raise CheckpointError(
            f"{path}: not fetched, the folder cannot be written ({error}); set SLOWFAST_EXT_CACHE to one that can, or {by_hand}"
        ) from error
    return path


def _fetch(link: str, path: Path, sha256: str, size: int | None, by_hand: str) -> None:
    part = path.with_name(f"{path.name}.part")
    reason: object = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            logger.warning("%s: %s; going on", link, reason)
            time.sleep(PAUSE_SECONDS * attempt)
        try:
            whole = _receive(link, part)
        except urllib.error.HTTPError as error:
            reason = f"the server answers {error.code} {error.reason}"
            if error.code in _HOPELESS:
                break
            if error.code == 416:  # the part is longer than the file: it belongs to another one
                part.unlink(missing_ok=True)
            continue
        except urllib.error.URLError as error:
            reason = f"no connection ({error.reason})"
            continue
        except _BROKEN as error:
            reason = f"the connection broke ({error})"
            continue
        if whole is not None and part.stat().st_size != whole:
            reason = f"it ended after {part.stat().st_size} of {whole} bytes"
            continue
        _require_sound(part, sha256, size, f"{path}: what came from {link} ", by_hand)
        part.replace(path)
        return
    raise CheckpointError(f"{path}: not fetched: {reason}; {by_hand}")


def _receive(link: str, part: Path) -> int | None:
    """Append what is missing to `part`; the number of bytes of the whole file, where the server says it."""
    there = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(link, headers={"User-Agent": "slowfast_ext"})
    if there:
        request.add_header("Range", f"bytes={there}-")
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
        if answer.headers.get_content_type() == "text/html":
            raise CheckpointError(
                f"{part.with_suffix('')}: {link} gives a web page, not a file; open it in a browser and save the file there"
            )
        goes_on = answer.status == http.HTTPStatus.PARTIAL_CONTENT
        there = there if goes_on else 0
        left = answer.headers.get("Content-Length")
        whole = there + int(left) if left else None
        with part.open("ab" if goes_on else "wb") as file:
            _copy(answer.read, file, part.with_suffix("").name, there, whole)
    return whole


def _copy(
    read: Callable[[int], bytes], file: Any, name: str, there: int, whole: int | None
) -> None:
    console = Console(stderr=True)
    columns = (*Bar.get_default_columns(), DownloadColumn(), TransferSpeedColumn())
    with Bar(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(name, total=whole, completed=there)
        while block := read(_BLOCK):
            file.write(block)
            bar.advance(task, len(block))
        file.flush()
        os.fsync(file.fileno())


def _require_sound(part: Path, sha256: str, size: int | None, what: str, by_hand: str) -> None:
    """The file is as long as it should be and has its sum, else it is removed and CheckpointError raised."""
    found = part.stat().st_size
    wrong = f"has {found} bytes, not {size}" if size is not None and found != size else ""
    if not wrong and sha256:
        digest = sum_of(part)
        wrong = "" if digest.startswith(sha256) else f"has the sha256 {digest}, not {sha256}"
    if wrong:
        part.unlink()
        raise CheckpointError(f"{what}{wrong}; it was removed. Try again, or {by_hand}")


def sum_of(path: Path) -> str:
    """sha256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
