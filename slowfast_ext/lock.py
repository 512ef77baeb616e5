"""One run a folder: a lock that says who holds it and that no death leaves behind.

On one machine the kernel knows: it drops the lock of a process that ends, however it ends. A machine that shares the
folder over a network may not be told, so the holder touches the file every few seconds, and a run elsewhere waits for
the next touch before it takes the lock of a dead one over. No clocks are compared.
"""

import contextlib
import errno
import fcntl
import json
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from slowfast_ext.errors import ConfigError
from slowfast_ext.files import writing

logger = logging.getLogger(__name__)

FILE = ".running"
TOUCH_SECONDS = 10.0
"""Between two signs of life of the holder."""

PATIENCE_SECONDS = 35.0
"""Wait for a sign of life of a holder on another machine."""


@contextlib.contextmanager
def only_run_in(folder: str | Path) -> Iterator[str]:
    """Hold the lock of a folder; gives a sentence about the dead run that held it before, if there was one.

    Raises ConfigError, naming the holder, where another run has it.
    """
    path = Path(folder) / FILE
    _wait_for_other_machine(path)
    descriptor = _locked(path)
    ended = threading.Event()
    try:
        before = _parsed(_text(descriptor))
        with writing(path):
            _sign(descriptor)
        threading.Thread(target=_touch, args=(descriptor, ended), daemon=True).start()
        yield (
            f"{_in_words(path, before)}; it was killed, this run takes its place" if before else ""
        )
    finally:
        ended.set()
        if _is_ours(_parsed(_text(descriptor))):
            path.unlink(missing_ok=True)  # first the name, then the lock
        os.close(descriptor)


def _wait_for_other_machine(path: Path) -> None:
    """Until a holder elsewhere has shown a sign of life (ConfigError) or long enough none."""
    holder, seen = _read(path)
    if not holder or holder.get("host") == socket.gethostname():
        return
    logger.warning("%s; waiting %d s for a sign of life", _in_words(path, holder), PATIENCE_SECONDS)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        time.sleep(min(0.5, PATIENCE_SECONDS / 10))
        now, touched = _read(path)
        if not now:
            return
        if (now, touched) != (holder, seen):
            raise _held(path, now)


def _locked(path: Path) -> int:
    """A descriptor that holds the kernel's lock of the file that has this name now."""
    while True:
        with writing(path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            # Of the process, not of the open file: forked loader workers do not hold it on.
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = _parsed(_text(descriptor))
            has_locks = error.errno in (errno.EACCES, errno.EAGAIN)
            if not has_locks and not Path(f"/proc/{holder.get('pid')}").exists():
                return descriptor
            os.close(descriptor)
            raise _held(path, holder) from None
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        os.close(descriptor)  # its holder removed it just now


def _sign(descriptor: int) -> None:
    since = datetime.now().astimezone().isoformat(" ", "seconds")
    text = json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "since": since})
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text.encode(), 0)


def _is_ours(holder: dict) -> bool:
    return (holder.get("host"), holder.get("pid")) == (socket.gethostname(), os.getpid())


def _touch(descriptor: int, ended: threading.Event) -> None:
    while not ended.wait(TOUCH_SECONDS):
        with contextlib.suppress(OSError):
            os.utime(descriptor)


def _read(path: Path) -> tuple[dict, int]:
    """Holder and time of the last touch; opened anew, for only that makes a network file system ask its server."""
    try:
        with path.open(encoding="utf-8") as file:
            return _parsed(file.read()), os.fstat(file.fileno()).st_mtime_ns
    except OSError:
        return {}, 0


def _text(descriptor: int) -> str:
    return os.pread(descriptor, 1000, 0).decode(errors="replace")


def _parsed(text: str) -> dict:
    """What `_sign` wrote; empty for a file that was cut short."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _in_words(path: Path, holder: dict) -> str:
    words = {name: holder.get(name, "?") for name in ("host", "pid", "since")}
    return "{folder} is used by process {pid} on {host} since {since}".format(
        folder=path.parent, **words
    )


def _held(path: Path, holder: dict) -> ConfigError:
    return ConfigError(
        f"OUTPUT_DIR: {_in_words(path, holder)}. Two runs would mix their files: "
        "set OUTPUT_DIR to another folder, or end that run first"
    )
