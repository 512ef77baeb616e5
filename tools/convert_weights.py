"""Checkpoints between families: tools/convert_weights.py --cfg FILE [--from NAME] [--to NAME] IN OUT [--opts KEY VALUE ...]."""

import argparse
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from slowfast_ext.config import load_config
from slowfast_ext.errors import CheckpointError, ConfigError
from slowfast_ext.files import read_weights, write_atomically
from slowfast_ext.models import build_model, check_model
from slowfast_ext.models.weights import WEIGHTS, State, import_state


def main() -> int:
    """Read IN whoever wrote it, fit it to the model of --cfg, write OUT (.safetensors or .pyth), report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--cfg", nargs="+", default=[], metavar="FILE", help="the model, as for training"
    )
    parser.add_argument(
        "--from", dest="source", default="auto", help="whose names IN has; recognised if not given"
    )
    parser.add_argument(
        "--to", dest="target", default="ours", help=f"names of OUT: {', '.join(WEIGHTS.names())}"
    )
    parser.add_argument(
        "--opts", nargs="*", default=[], metavar="KEY VALUE", help="overrides of the configuration"
    )
    parser.add_argument("input", metavar="IN", type=Path)
    parser.add_argument("output", metavar="OUT", type=Path)
    args = parser.parse_args()
    try:
        cfg = load_config(
            args.cfg, [*args.opts, "TRAIN.CHECKPOINT_SOURCE", args.source], (check_model,)
        )
        own = build_model(cfg).state_dict()
        state, report = import_state(read_weights(args.input), cfg, own)
        write(args.output, WEIGHTS.get(args.target).to_theirs(own | state, cfg))
    except (ConfigError, CheckpointError) as error:
        print(error, file=sys.stderr)
        return 2
    print(report)
    print(f"written: {args.output}, names of {args.target}")
    return 0


def write(path: Path, state: State) -> None:
    """Tensors alone, in the format that the suffix names."""
    tensors = {name: tensor.contiguous().clone() for name, tensor in state.items()}
    if path.suffix == ".safetensors":
        write_atomically(path, lambda temporary: save_file(tensors, temporary))
    else:
        write_atomically(path, lambda temporary: torch.save({"model_state": tensors}, temporary))


if __name__ == "__main__":
    sys.exit(main())
