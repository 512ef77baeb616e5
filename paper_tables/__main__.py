"""Make what follows from published.csv and experiments.csv: docs/paper_tables.md and exp/README.md.

python -m paper_tables [--memory] [--recount] [--check]

Counts are kept in counted.json; --memory also counts what training keeps where that is not known yet, --recount takes no
kept count, --check writes nothing and says what is not current.
"""

import argparse
import sys
from pathlib import Path

from paper_tables.counts import KEPT, ShapeCounter
from paper_tables.index import index, read_experiments
from paper_tables.table import compare, read_published, report, tally
from slowfast_ext.errors import ConfigError

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Exit code: 0 done, 1 a difference without a reason or a page that is not current, 2 an experiment that does not load."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--csv", type=Path, default=ROOT / "paper_tables/published.csv")
    parser.add_argument("--exp", type=Path, default=ROOT / "exp", help="folder of the experiments")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/paper_tables.md")
    parser.add_argument("--recount", action="store_true", help="take no count of an earlier run")
    parser.add_argument("--memory", action="store_true", help="count the memory of training too")
    parser.add_argument("--check", action="store_true", help="write nothing")
    args = parser.parse_args()
    rows, count = (
        read_published(args.csv),
        ShapeCounter(None if args.recount else KEPT, args.memory),
    )
    try:
        comparisons = [compare(row, args.exp, count) for row in rows]
        facts = read_experiments(ROOT / "paper_tables/experiments.csv")
        pages = {
            args.out: report(comparisons),
            args.exp / "README.md": index(rows, facts, args.exp, count),
        }
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    old = [
        path
        for path, text in pages.items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    if not args.check:
        for path, text in pages.items():
            path.write_text(text, encoding="utf-8")
        count.save(KEPT)
    print(tally(comparisons))
    silent = [c.published for c in comparisons if not c.within and c.published.reason == "-"]
    for row in silent:
        print(f"off without a reason: {row.variant}, {row.dataset}, {row.source}", file=sys.stderr)
    for path in old if args.check else ():
        print(f"not current: {path}", file=sys.stderr)
    return 1 if silent or (args.check and old) else 0


if __name__ == "__main__":
    sys.exit(main())
