"""Runs side by side: tools/compare.py OUTPUT_ROOT... [--metric top1_acc] [--markdown]."""

import sys

from slowfast_ext.cli.compare import main

if __name__ == "__main__":
    sys.exit(main())
