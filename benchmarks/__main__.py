"""Measure something: python -m benchmarks NAME [OPTIONS]; each NAME is a module benchmarks/NAME.py.

The exit code is 0 where the measurement reaches its targets.
"""

import importlib
import sys

NAMES = (
    "attention",
    "beside",
    "compile",
    "data",
    "engine",
    "exports",
    "gpu",
    "growth",
    "launches",
    "model",
    "mutants",
    "packs",
    "soak",
    "throughput",
)

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in NAMES:
        sys.exit(f"{__doc__}\nThere is: {', '.join(NAMES)}")
    sys.exit(importlib.import_module(f"benchmarks.{sys.argv[1]}").main(sys.argv[2:]))
