"""What a process knows of the launcher of ours that started it: whom to end with, and who reads its last words.

Both stand in the environment it is started with, and are taken out: what this process starts has another parent.
"""

import os
import sys

from slowfast_ext.processes import end_with_parent

LAUNCHER = "SLOWFAST_LAUNCHER"
"""In the environment: the launcher's process id."""

ERRORS = "SLOWFAST_ERRORS"
"""In the environment: the open file that the launcher reads the last words of a rank from."""


class _Joined:
    """The launcher that this process has joined."""

    process: int | None = None
    errors: int | None = None


def join_launcher() -> None:
    """Have this process end with the one that started it, ours or torchrun, however that ends."""
    launcher, errors = os.environ.pop(LAUNCHER, ""), os.environ.pop(ERRORS, "")
    if errors:
        _Joined.errors = int(errors)
        os.set_inheritable(_Joined.errors, False)
    if launcher:
        _Joined.process = int(launcher)
    if launcher or "TORCHELASTIC_RUN_ID" in os.environ:
        end_with_parent(int(launcher or os.getppid()))


def is_launched() -> bool:
    """Whether a launcher of ours started this process: it passes each signal on, and the terminal may send it too."""
    return _Joined.process is not None


def speaks_for_all() -> bool:
    """Whether this process says what every process of the run finds: the launcher does, else the first one."""
    return os.environ.get("RANK", "0") == "0" and not is_launched()


def say_last(text: str) -> None:
    """Print the last words of a process; those of a rank go to its launcher, which prints them once for all."""
    if _Joined.errors is not None:
        os.write(_Joined.errors, text.encode(errors="backslashreplace"))
    else:
        print(text, file=sys.stderr, flush=True)
