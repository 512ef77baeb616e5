"""Weights of one project in the names of another: tools/convert_weights.py --cfg FILE [--from NAME] [--to NAME] IN OUT."""

import sys

from slowfast_ext.cli.convert import main

if __name__ == "__main__":
    sys.exit(main())
