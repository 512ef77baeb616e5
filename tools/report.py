"""A picture of a run's clips and curve: tools/report.py --cfg FILE --out PNG [OUTPUT_DIR DIR KEY VALUE ...]."""

import sys

from slowfast_ext.cli.report import main

if __name__ == "__main__":
    sys.exit(main())
