"""Train and test: tools/run_net.py --cfg FILE... [KEY VALUE ...]."""

import sys

from slowfast_ext.cli.train import main

if __name__ == "__main__":
    sys.exit(main())
