"""Measure: tools/bench.py NAME [OPTIONS], NAME is a module slowfast_ext/analysis/bench_NAME.py."""

import importlib
import pkgutil
import sys

import slowfast_ext.analysis

PREFIX = "bench_"


def benches() -> dict[str, str]:
    """Name -> module of each measurement: the bench modules that have a `main`."""
    found = (module.name for module in pkgutil.iter_modules(slowfast_ext.analysis.__path__))
    return {
        name.removeprefix(PREFIX): f"slowfast_ext.analysis.{name}"
        for name in found
        if name.startswith(PREFIX)
    }


def main() -> int:
    """Exit code of the measurement: 0 where it reaches its targets; 2 for an unknown name."""
    names = benches()
    if len(sys.argv) < 2 or sys.argv[1] not in names:
        print(f"{__doc__}\nthere is: {', '.join(sorted(names))}", file=sys.stderr)
        return 2
    return importlib.import_module(names[sys.argv[1]]).main(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
