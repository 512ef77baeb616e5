"""Weights of one project in the names of another: slowfast-ext convert --cfg FILE [--from NAME] [--to NAME] IN OUT."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from slowfast_ext.cli import reported
from slowfast_ext.config import load_config, options_of
from slowfast_ext.config.command import add_config_arguments, files_and_pairs
from slowfast_ext.files import read_weights, write_atomically
from slowfast_ext.models import build_model, check_model
from slowfast_ext.models.weights import WEIGHTS, LoadOptions, State, fit_weights
from slowfast_ext.models.weights.emim_context import context_channels


@reported
def main(argv: Sequence[str] | None = None) -> int:
    """Read IN whoever wrote it, fit it to the model of --cfg, write OUT (.safetensors or .pyth), report."""
    args = _parse(argv)
    pairs = [*args.opts, "TRAIN.CHECKPOINT_SOURCE", args.source]
    cfg = load_config(args.cfg, pairs, (check_model,))
    weights, model = read_weights(args.input), build_model(cfg)
    state, report = fit_weights(weights, model, options_of(cfg, LoadOptions))
    write(args.output, WEIGHTS.get(args.target).to_theirs(model.state_dict() | state, model))
    print(report)
    if "emim" in cfg.ATTENTION.CYCLE:
        print(_context_channels(weights, args.pretrained))
    print(f"written: {args.output}, names of {args.target}")
    return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add_config_arguments(parser, "IN OUT, then overrides")
    parser.add_argument(
        "--from", dest="source", default="auto", help="whose names IN has; recognised if not given"
    )
    parser.add_argument(
        "--to", dest="target", default="ours", help=f"names of OUT: {', '.join(WEIGHTS.names())}"
    )
    parser.add_argument(
        "--pretrained",
        type=Path,
        help="EMIM: the weights that IN was trained from, which tell its context channels",
    )
    args = parser.parse_args(argv)
    # `--cfg FILE IN OUT`: what follows the YAML files is ours.
    args.opts, opts = [], args.opts
    args.cfg, words = files_and_pairs(args)
    if len(words) < 2:
        parser.error("give IN, the weights, and OUT, the file to write")
    args.input, args.output = Path(words[0]), Path(words[1])
    args.opts = [*opts, *words[2:]]
    return args


def _context_channels(weights: Mapping[str, Any], pretrained: Path | None) -> str:
    verdict = context_channels(weights, read_weights(pretrained) if pretrained else None)
    channels = verdict.channels or "unknown"
    return f"ATTENTION.EMIM.CONTEXT_CHANNELS {channels}: {verdict.evidence}"


def write(path: Path, state: State) -> None:
    """Tensors alone, in the format that the suffix names."""
    tensors = {name: tensor.contiguous().clone() for name, tensor in state.items()}
    if path.suffix == ".safetensors":
        write_atomically(path, lambda temporary: save_file(tensors, temporary))
    else:
        write_atomically(path, lambda temporary: torch.save({"model_state": tensors}, temporary))
