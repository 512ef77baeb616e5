"""Fetch a checkpoint from the Hugging Face hub: slowfast-ext pull OWNER/NAME [FOLDER].

It is one that `slowfast-ext push` has put there. Needs pip install 'slowfast_ext[hub]'; HF_ENDPOINT names another server.
"""

import argparse
from collections.abc import Sequence

from slowfast_ext.cli import reported


@reported
def main(argv: Sequence[str] | None = None) -> int:
    """Download and say how to use it; 2 for a repository that cannot be used."""
    parser = argparse.ArgumentParser(
        prog="slowfast-ext pull",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("repo", metavar="OWNER/NAME", help="of the hub")
    parser.add_argument("folder", metavar="FOLDER", nargs="?", default="", help="default: NAME")
    parser.add_argument("--revision", metavar="REV", help="branch, tag or commit; default: newest")
    args = parser.parse_args(argv)
    from slowfast_ext.sharing import pull

    checkpoint = pull(args.repo, args.folder, revision=args.revision)
    print(f"{checkpoint}\n  slowfast-ext predict --weights {checkpoint} VIDEO")
    return 0
