"""The part of a command line that all tools share: --cfg FILE... [KEY VALUE ...]."""

import argparse
from collections.abc import Iterable, Sequence
from itertools import takewhile

from yacs.config import CfgNode

from slowfast_ext.config import load
from slowfast_ext.config.load import IS_KEY
from slowfast_ext.config.problems import Check


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """--cfg, PySlowFast's --opts, and trailing pairs."""
    parser.add_argument(
        "--cfg",
        nargs="+",
        default=[],
        metavar="FILE",
        help="YAML files; a later one wins over an earlier one, and pairs over all",
    )
    parser.add_argument(
        "--opts",
        nargs="*",
        default=[],
        metavar="KEY VALUE",
        help="the same as KEY VALUE at the end",
    )
    parser.add_argument(
        "pairs", nargs="*", metavar="KEY VALUE", help="settings over those of the files"
    )


def files_and_pairs(args: argparse.Namespace) -> tuple[list[str], list[str]]:
    """What follows --cfg is files until the first that looks like a key; the rest are pairs."""
    files = list(takewhile(lambda word: not IS_KEY(word.partition("=")[0]), args.cfg))
    return files, [*args.cfg[len(files) :], *args.opts, *args.pairs]


def refuse_mistakes(args: argparse.Namespace, more: Sequence[str] = ()) -> None:
    """Raise ConfigError for mistakes in keys and values at once: torch is not loaded for it."""
    files, pairs = files_and_pairs(args)
    load.refuse_mistakes(files, [*pairs, *more])


def config_of(
    args: argparse.Namespace, checks: Iterable[Check] = (), more: Sequence[str] = ()
) -> CfgNode:
    """The merged, checked tree of a command line, `more` pairs over it. Raises ConfigError."""
    files, pairs = files_and_pairs(args)
    return load.load_config(files, [*pairs, *more], checks)
