"""Parameters, GFLOPs, memory and time of a model: tools/profile_net.py --cfg FILE... [--json] [KEY VALUE ...]."""

import sys

from slowfast_ext.cli.profile import main

if __name__ == "__main__":
    sys.exit(main())
