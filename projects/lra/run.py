"""Long Range Arena with several attention kernels.

    python projects/lra/run.py --task listops --kernels softmax orthoformer [KEY VALUE ...]

The recipe is projects/lra/configs/TASK.yaml; the results are printed and written to OUTPUT_DIR/TASK/report.json.
"""

import argparse
import sys
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from projects.lra.compare import compare, shortened, table
from projects.lra.tasks import TASKS
from slowfast_ext.config import load_config
from slowfast_ext.errors import ConfigError, DataError

RECIPES = Path(__file__).resolve().parent / "configs"


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code: 0 done, 1 a kernel failed, 2 bad configuration or missing data."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", required=True, choices=TASKS.names())
    parser.add_argument("--kernels", nargs="+", default=["softmax"], metavar="KERNEL [KEY VALUE]")
    parser.add_argument("--steps", type=int, default=0, help="optimizer steps; 0: the recipe's")
    parser.add_argument("pairs", nargs="*", metavar="KEY VALUE", help="overrides")
    args = parser.parse_args(argv)
    kernels = list(takewhile(str.islower, args.kernels))
    pairs = [*args.kernels[len(kernels) :], *args.pairs]
    try:
        cfg = load_config([RECIPES / f"{args.task}.yaml"], pairs)
        results = compare(cfg, kernels, args.steps)
    except (ConfigError, DataError) as error:
        print(error, file=sys.stderr)
        return 2
    steps = shortened(cfg, args.steps).SOLVER.MAX_EPOCH
    Console().print(table(args.task, steps, results))
    return int(any(result.failure for result in results))


if __name__ == "__main__":
    sys.exit(main())
