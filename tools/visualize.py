"""Pictures of attention: tools/visualize.py --cfg FILE... --video V --out DIR [--weights W] [KEY VALUE ...]."""

import sys

from slowfast_ext.cli.visualize import main

if __name__ == "__main__":
    sys.exit(main())
