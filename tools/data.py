"""Check, copy and look at a data set: tools/data.py {check,stats,transcode,browse} --cfg FILE... [KEY VALUE ...]."""

import sys

from slowfast_ext.cli.data import main

if __name__ == "__main__":
    sys.exit(main())
