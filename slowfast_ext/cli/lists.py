"""Turn a tree of class folders into the lists train.csv, val.csv and classes.txt: slowfast-ext lists TREE LISTS.

The splits come from clips.tsv (columns path, class, split) or from train/ and val/ folders in the tree;
without either, a fifth of each class goes to val.csv.
"""

import argparse
from collections.abc import Sequence
from shlex import quote

from slowfast_ext.cli import reported
from slowfast_ext.errors import DataError


@reported
def main(argv: Sequence[str] | None = None) -> int:
    """Write the lists and say what was written; 2 for a tree that cannot be read."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tree", help="folder with <class>/<video> or train/<class>/<video>")
    parser.add_argument("lists", help="folder for the lists; becomes DATA.PATH_TO_DATA_DIR")
    args = parser.parse_args(argv)

    from slowfast_ext.data.annotations.class_folders import write_lists

    try:
        counts = write_lists(args.tree, args.lists)
    except OSError as error:
        raise DataError(f"{args.lists}: cannot be written to: {error.strerror}") from error
    for name, count in counts.items():
        print(f"{args.lists}/{name}: {count} videos")
    print(
        "train with: TRAIN.DATASET kinetics TEST.DATASET kinetics \\\n"
        f"    DATA.PATH_TO_DATA_DIR {quote(args.lists)} DATA.PATH_PREFIX {quote(args.tree)}"
    )
    return 0
