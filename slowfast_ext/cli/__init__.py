"""The console command: slowfast-ext NAME [OPTIONS]. Each NAME is a module here with main(argv) -> exit code."""

import ast
import errno
import functools
import importlib
import io
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from slowfast_ext.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    ExportError,
    Interrupted,
    WriteError,
)
from slowfast_ext.launched import say_last
from slowfast_ext.registry import unknown_name
from slowfast_ext.safe_text import visible

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USER_ERROR = 2
EXIT_NOT_WRITTEN = 74
EXIT_INTERRUPTED = 75
EXIT_KILLED = 130
EXIT_BROKEN_PIPE = 141
"""What a shell says of a command that SIGPIPE ended."""

_SQLITE_FULL = 13
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)

Main = Callable[[Sequence[str] | None], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; 2 for a name that is none. Only the module of the command is imported."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files need not be text
    return unless_unread(lambda: _run(argv))


def _run(argv: Sequence[str] | None) -> int:
    name, *rest = (sys.argv[1:] if argv is None else list(argv)) or ["--help"]
    found = commands()
    if name in ("-h", "--help"):
        print("usage: slowfast-ext NAME [OPTIONS]; slowfast-ext NAME --help says more\n")
        print("\n".join(f"{command:12}{help}" for command, help in found.items()))
        return 0
    if name not in found:
        print(f"slowfast-ext: no command '{name}': {unknown_name(name, found)}", file=sys.stderr)
        return 2
    command = importlib.import_module(f"{__name__}.{name}")
    if argv is not None:
        return command.main(rest)
    sys.argv = [f"slowfast-ext {name}", *rest]
    return command.main()


def commands() -> dict[str, str]:
    """Name -> what it does, in one line: the modules here that define `main`, which are read, not imported."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("[a-z]*.py")):
        module = ast.parse(path.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in module.body):
            found[path.stem] = (
                (ast.get_docstring(module) or "").partition("\n")[0].partition(":")[0]
            )
    return found


def reported(main: Main) -> Main:
    """`main` whose every end is an exit code, and in words where it is not a good one.

    2: a bad configuration, data set, checkpoint or export. 74: a file cannot be written, wherever that was found. 75: a
    request to stop. 130: Ctrl-C. 1, with a traceback: anything else, which is a fault of ours.
    """

    @functools.wraps(main)
    def guarded(argv: Sequence[str] | None = None) -> int:
        try:
            return unless_unread(lambda: main(argv))
        except (Exception, KeyboardInterrupt, Interrupted) as error:
            code, words = _end_of(error)
        say_last(words)
        return code

    return guarded


def _end_of(error: BaseException) -> tuple[int, str]:
    """Exit code and words of what ended a command."""
    if isinstance(error, Interrupted):
        return EXIT_INTERRUPTED, str(error)
    if isinstance(error, KeyboardInterrupt):
        return EXIT_KILLED, str(error) or "interrupted"
    if isinstance(error, (ConfigError, DataError, CheckpointError, ExportError)):
        not_written = isinstance(error, WriteError) or _is_full_disk(error)
        words = "\n".join(map(visible, str(error).split("\n")))
        return EXIT_NOT_WRITTEN if not_written else EXIT_USER_ERROR, words
    if _is_full_disk(error):
        return EXIT_NOT_WRITTEN, f"a file was not written ({error}); free some space"
    return EXIT_FAILED, "".join(traceback.format_exception(error)).rstrip()


def _is_full_disk(error: BaseException | None) -> bool:
    """Whether an error, or what it was raised from, says that a file could not become longer."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
            return True
        if getattr(error, "sqlite_errorcode", None) == _SQLITE_FULL:
            return True
        error = error.__cause__
    return False


def unless_unread(call: Callable[[], int]) -> int:
    """The exit code of `call`; that of SIGPIPE where nobody reads what it prints any more (`| head`)."""
    try:
        try:
            return call()
        finally:  # not only when Python ends, where it would be a traceback
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
