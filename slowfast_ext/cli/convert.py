"""Rename the weights of one program to the names of another: slowfast-ext convert --cfg FILE [--from NAME] [--to NAME] IN OUT."""

import argparse
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slowfast_ext.cli import reported
from slowfast_ext.config.load import IS_KEY, load_config, refuse_mistakes

if TYPE_CHECKING:
    from slowfast_ext.models.weights import State


@reported
def main(argv: Sequence[str] | None = None) -> int:
    """Read IN whoever wrote it, fit it to the model of --cfg, write OUT (.safetensors or .pyth), report."""
    args = _parse(argv)
    refuse_mistakes(args.cfg, args.pairs)
    # Only what a wrong command line needs is imported before it is answered.
    from slowfast_ext.config import options_of
    from slowfast_ext.files import read_weights
    from slowfast_ext.models import build_model, check_model
    from slowfast_ext.models.weights import WEIGHTS, LoadOptions, fit_weights

    target = WEIGHTS.get(args.target)
    cfg = load_config(args.cfg, args.pairs, (check_model,))
    weights, model = read_weights(args.input), build_model(cfg)
    state, report = fit_weights(weights, model, options_of(cfg, LoadOptions))
    write(args.output, target.to_theirs(model.state_dict() | state, model))
    print(report)
    if "emim" in cfg.ATTENTION.CYCLE:
        print(_context_channels(weights, args.pretrained))
    print(f"written: {args.output}, names of {args.target}")
    return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="slowfast-ext convert", description=__doc__)
    parser.add_argument(
        "--cfg", nargs="+", default=[], metavar="FILE", help="the model, as for training"
    )
    parser.add_argument(
        "--from", dest="source", default="auto", help="whose names IN has; default: recognised"
    )
    parser.add_argument(
        "--to", dest="target", default="ours", help="whose names OUT gets; default: ours"
    )
    parser.add_argument(
        "--opts",
        nargs="*",
        default=[],
        metavar="KEY VALUE",
        help="settings over those of the files",
    )
    parser.add_argument(
        "--pretrained",
        type=Path,
        help="EMIM: the weights that IN was trained from; they show its context channels",
    )
    parser.add_argument("words", nargs="*", metavar="IN OUT", help="weights to read and to write")
    args = parser.parse_args(argv)
    files = list(takewhile(lambda word: word.endswith((".yaml", ".yml")), args.cfg))
    # argparse gives what stands behind --cfg FILE or --opts KEY VALUE to that option: IN and OUT too.
    paths, args.pairs = _sorted_out([*args.cfg[len(files) :], *args.opts, *args.words])
    if len(paths) != 2:
        parser.error(
            f"give IN and OUT, two files; there {'is' if len(paths) == 1 else 'are'} {len(paths)}: {paths}"
        )
    args.cfg, (args.input, args.output) = files, map(Path, paths)
    args.pairs += ["TRAIN.CHECKPOINT_SOURCE", args.source]
    return args


def _sorted_out(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Paths, and KEY VALUE pairs."""
    paths: list[str] = []
    pairs: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if IS_KEY(word) and "." in word and rest:
            pairs += [word, rest.pop(0)]
        elif IS_KEY(word.partition("=")[0]) and "=" in word:
            pairs += word.split("=", 1)
        else:
            paths.append(word)
    return paths, pairs


def _context_channels(weights: Mapping[str, Any], pretrained: Path | None) -> str:
    from slowfast_ext.files import read_weights
    from slowfast_ext.models.weights.emim_context import context_channels

    verdict = context_channels(weights, read_weights(pretrained) if pretrained else None)
    channels = verdict.channels or "unknown"
    return f"ATTENTION.EMIM.CONTEXT_CHANNELS {channels}: {verdict.evidence}"


def write(path: Path, state: "State") -> None:
    """Tensors alone, in the format that the suffix names."""
    import torch
    from safetensors.torch import save_file

    from slowfast_ext.files import write_atomically

    tensors = {name: tensor.contiguous().clone() for name, tensor in state.items()}
    if path.suffix == ".safetensors":
        write_atomically(path, lambda temporary: save_file(tensors, temporary))
    else:
        write_atomically(path, lambda temporary: torch.save({"model_state": tensors}, temporary))
