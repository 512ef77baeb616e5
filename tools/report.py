"""One HTML page of runs: tools/report.py OUTPUT_DIR... [--out FILE.html]."""

import sys

from slowfast_ext.cli.report import main

if __name__ == "__main__":
    sys.exit(main())
