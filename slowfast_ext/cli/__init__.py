"""The console command: slowfast-ext NAME [OPTIONS]; each NAME is a module here with main(argv) -> exit code."""

import functools
import importlib
import pkgutil
import sys
from collections.abc import Callable, Sequence

from slowfast_ext.errors import CheckpointError, ConfigError, DataError

Main = Callable[[Sequence[str] | None], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; 2 for a name that is none. Only the module of the command is imported."""
    words = sys.argv[1:] if argv is None else argv
    commands = [module.name for module in pkgutil.iter_modules(__path__)]
    if not words or words[0] not in commands:
        print(f"usage: slowfast-ext {{{','.join(commands)}}} [OPTIONS]", file=sys.stderr)
        return 0 if words[:1] in (["-h"], ["--help"]) else 2
    return importlib.import_module(f"{__name__}.{words[0]}").main(words[1:])


def reported(main: Callable[[Sequence[str] | None], int]) -> Main:
    """`main` that prints a bad configuration, data set or checkpoint as one message and gives 2."""

    @functools.wraps(main)
    def guarded(argv: Sequence[str] | None = None) -> int:
        try:
            return main(argv)
        except (ConfigError, DataError, CheckpointError) as error:
            print(error, file=sys.stderr)
            return 2

    return guarded
