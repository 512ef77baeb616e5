#!/usr/bin/env python
"""Turn a tree of class folders into the lists train.csv, val.csv and classes.txt.

The splits come from clips.tsv (columns path, class, split) or from train/ and val/ folders in the tree;
without either, a fifth of each class goes to val.csv.
"""

import argparse
import sys

from slowfast_ext.data.annotations.class_folders import write_lists
from slowfast_ext.errors import DataError


def main() -> int:
    """Parse, write, say what was written; 2 for a tree that cannot be read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tree", help="folder with <class>/<video> or train/<class>/<video>")
    parser.add_argument("lists", help="folder for the lists; becomes DATA.PATH_TO_DATA_DIR")
    args = parser.parse_args()
    try:
        counts = write_lists(args.tree, args.lists)
    except (DataError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for name, count in counts.items():
        print(f"{args.lists}/{name}: {count} videos")
    print(
        f"train with: TRAIN.DATASET kinetics TEST.DATASET kinetics \\\n    DATA.PATH_TO_DATA_DIR {args.lists} DATA.PATH_PREFIX {args.tree}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
