"""The console command: slowfast-ext NAME [OPTIONS]. Each NAME is a module here with main(argv) -> exit code."""

import ast
import functools
import importlib
import io
import os
import sys
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
from slowfast_ext.registry import unknown_name
from slowfast_ext.safe_text import visible

ERRORS = "SLOWFAST_ERRORS"
"""In the environment of a rank: the open file that its launcher reads its last words from."""

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USER_ERROR = 2
EXIT_NOT_WRITTEN = 74
EXIT_INTERRUPTED = 75
EXIT_KILLED = 130
EXIT_BROKEN_PIPE = 141
"""What a shell says of a command that SIGPIPE ended."""

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


def say_last(text: str) -> None:
    """Print the last words of a process; those of a rank go to its launcher, which prints them once for all."""
    errors = os.environ.get(ERRORS, "")
    if errors:
        os.write(int(errors), text.encode())
    else:
        print(text, file=sys.stderr, flush=True)


def reported(main: Main) -> Main:
    """`main` that prints a bad configuration, data set, checkpoint or export as one message and gives 2.

    It gives 74 for a file that cannot be written, 75 for a signal before anything was done.
    """

    @functools.wraps(main)
    def guarded(argv: Sequence[str] | None = None) -> int:
        try:
            return unless_unread(lambda: main(argv))
        except Interrupted as stop:
            say_last(str(stop))
            return EXIT_INTERRUPTED
        except WriteError as error:
            print(error, file=sys.stderr)
            return EXIT_NOT_WRITTEN
        except (ConfigError, DataError, CheckpointError, ExportError) as error:
            print("\n".join(map(visible, str(error).split("\n"))), file=sys.stderr)
            return EXIT_USER_ERROR

    return guarded


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
