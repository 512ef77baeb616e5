"""Test trained weights, without training: slowfast-ext test --cfg FILE... [KEY VALUE ...].

TEST.CHECKPOINT_FILE_PATH names the weights; without it they are the newest in OUTPUT_DIR.
Exit code: 0 done, 1 failed, 2 bad configuration, data or checkpoint, 75 interrupted (start it again).
"""

from collections.abc import Sequence

from slowfast_ext.cli import reported
from slowfast_ext.cli.train import run


@reported
def main(argv: Sequence[str] | None = None) -> int:
    """Test as the configuration says."""
    return run(argv, "test", __doc__, ("TRAIN.ENABLE", "False", "TEST.ENABLE", "True"))
