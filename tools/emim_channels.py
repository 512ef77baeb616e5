"""Was an EMIM checkpoint trained on 32 channels of each head? tools/emim_channels.py CHECKPOINT [--pretrained FILE]."""

import argparse
import sys

from slowfast_ext.errors import CheckpointError
from slowfast_ext.files import read_weights
from slowfast_ext.models.weights.emim_context import context_channels


def main() -> int:
    """Print the value for ATTENTION.EMIM.CONTEXT_CHANNELS and the evidence; 1 when the files do not tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint")
    parser.add_argument("--pretrained", help="the weights that its training started from")
    args = parser.parse_args()
    try:
        start = read_weights(args.pretrained) if args.pretrained else None
        verdict = context_channels(read_weights(args.checkpoint), start)
    except CheckpointError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"ATTENTION.EMIM.CONTEXT_CHANNELS {verdict.channels or 'unknown'}: {verdict.evidence}")
    return 0 if verdict.channels else 1


if __name__ == "__main__":
    sys.exit(main())
