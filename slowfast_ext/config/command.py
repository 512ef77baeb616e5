"""The part of a command line that all tools share: --cfg FILE... [KEY VALUE ...]."""

import argparse
from collections.abc import Iterable, Sequence

from yacs.config import CfgNode

from slowfast_ext.config.load import load_config
from slowfast_ext.config.problems import Check


def add_config_arguments(parser: argparse.ArgumentParser, trailing: str = "overrides") -> None:
    """--cfg, PySlowFast's --opts, and trailing pairs; `trailing` says what these are."""
    parser.add_argument(
        "--cfg",
        nargs="+",
        default=[],
        metavar="FILE",
        help="YAML files, later over earlier, then pairs",
    )
    parser.add_argument(
        "--opts", nargs="*", default=[], metavar="KEY VALUE", help="the same as pairs"
    )
    parser.add_argument("pairs", nargs="*", metavar="KEY VALUE", help=trailing)


def files_and_pairs(args: argparse.Namespace) -> tuple[list[str], list[str]]:
    """What follows --cfg is files as long as it ends in .yaml or .yml; the rest are pairs."""
    files = [value for value in args.cfg if value.endswith((".yaml", ".yml"))]
    return files, [*args.cfg[len(files) :], *args.opts, *args.pairs]


def config_of(
    args: argparse.Namespace, checks: Iterable[Check] = (), more: Sequence[str] = ()
) -> CfgNode:
    """The merged, checked tree of a command line, `more` pairs over it. Raises ConfigError."""
    files, pairs = files_and_pairs(args)
    return load_config(files, [*pairs, *more], checks)
