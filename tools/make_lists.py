"""Turn a tree of class folders into the lists train.csv, val.csv and classes.txt: tools/make_lists.py TREE LISTS."""

import sys

from slowfast_ext.cli.lists import main

if __name__ == "__main__":
    sys.exit(main())
