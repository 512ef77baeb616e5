"""`python -m slowfast_ext` is `slowfast-ext`."""

import sys

from slowfast_ext.cli import main

if __name__ == "__main__":
    sys.exit(main())
