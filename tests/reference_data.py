"""Where reference data lies that is not part of the project."""

import os
from pathlib import Path

SHARED = Path(os.environ.get("SHARED_DIR", Path(__file__).resolve().parents[2] / "shared"))
GOLDEN = Path(os.environ.get("GOLDEN_DIR", SHARED / "golden"))
