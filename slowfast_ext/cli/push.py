"""Put a checkpoint on the Hugging Face hub, with a model card: slowfast-ext push CHECKPOINT OWNER/NAME [--private].

The card is made from the checkpoint's configuration and the results of its run. Needs pip install 'slowfast_ext[hub]'
and a token (hf auth login, or HF_TOKEN); HF_ENDPOINT names another server.
"""

import argparse
from collections.abc import Sequence

from slowfast_ext.cli import reported


@reported
def main(argv: Sequence[str] | None = None) -> int:
    """Upload and name the address; 2 for a checkpoint or a repository that cannot be used."""
    parser = argparse.ArgumentParser(
        prog="slowfast-ext push",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="that was trained here")
    parser.add_argument("repo", metavar="OWNER/NAME", help="of the hub; made if it is not there")
    parser.add_argument("--private", action="store_true", help="only you can see a new repository")
    parser.add_argument(
        "--licence", default="", metavar="NAME", help="for the card, like apache-2.0"
    )
    args = parser.parse_args(argv)
    from slowfast_ext.sharing import push

    print(push(args.checkpoint, args.repo, private=args.private, licence=args.licence))
    return 0
