"""Make what follows from published.csv: docs/paper_tables.md and the headers in exp/*/config.yaml.

python -m paper_tables [--csv FILE] [--exp DIR] [--out FILE]
"""

import argparse
import sys
from pathlib import Path

from paper_tables.headers import with_published
from paper_tables.table import ShapeCounter, compare, read_published, report
from slowfast_ext.errors import ConfigError

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Exit code: 0 done, 1 a difference that has no reason, 2 an experiment that does not load."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--csv", type=Path, default=ROOT / "paper_tables/published.csv")
    parser.add_argument("--exp", type=Path, default=ROOT / "exp", help="folder of the experiments")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/paper_tables.md")
    args = parser.parse_args()
    rows, count = read_published(args.csv), ShapeCounter()
    try:
        for file in sorted(args.exp.glob("*/config.yaml")):
            own = [row for row in rows if row.exp == file.parent.name]
            file.write_text(with_published(file, own), encoding="utf-8")
        comparisons = [compare(row, args.exp, count) for row in rows]
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    args.out.write_text(report(comparisons), encoding="utf-8")
    unexplained = [c for c in comparisons if not c.within and c.published.reason == "-"]
    print(
        f"{args.out}: {len(comparisons)} rows, {sum(c.within for c in comparisons)} within tolerance"
    )
    for comparison in unexplained:
        row = comparison.published
        print(f"off without a reason: {row.variant}, {row.dataset}, {row.source}", file=sys.stderr)
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
