"""Attention of a clip: tools/visualize.py --video V [--html FILE.html] [--out DIR] [--weights W] [--cfg FILE...] [KEY VALUE ...]."""

import sys

from slowfast_ext.cli.visualize import main

if __name__ == "__main__":
    sys.exit(main())
