"""Train, then test: slowfast-ext train --cfg FILE... [KEY VALUE ...].

TRAIN.ENABLE False or TEST.ENABLE False skips one of them.
Exit code: 0 done, 1 failed, 2 bad configuration, data or checkpoint, 74 a file cannot be written (full disk), 75
interrupted by a signal or Ctrl-C after a checkpoint (start it again to go on), 130 ended at once by a second Ctrl-C.
"""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from slowfast_ext.cli import reported
from slowfast_ext.cli.signals import stop_on_signals
from slowfast_ext.launched import join_launcher

if TYPE_CHECKING:
    from yacs.config import CfgNode


@reported
def main(argv: Sequence[str] | None = None) -> int:
    """Train and test as the configuration says."""
    # Before anything that takes time is imported: a signal that comes then means "start again", too.
    with stop_on_signals(polled=False):
        join_launcher()
        return run(parser_of(__doc__).parse_args(argv), worker_command(argv, "train"))


def run(args: argparse.Namespace, worker: Sequence[str], pairs: Sequence[str] = ()) -> int:
    """The jobs of a command line with `pairs` over it, in all processes of this node; `worker` starts further ones."""
    from slowfast_ext.config.command import config_of, refuse_mistakes
    from slowfast_ext.config.explain import explain

    if args.explain:
        print(explain(args.explain))
        return 0
    refuse_mistakes(
        args, pairs
    )  # at once: torch and the models are not loaded before they are needed
    from slowfast_ext.cli.launch import environment_pairs
    from slowfast_ext.engine.checks import CHECKS

    return start(args, config_of(args, CHECKS, [*pairs, *environment_pairs()]), worker)


def start(args: argparse.Namespace, cfg: "CfgNode", worker: Sequence[str]) -> int:
    """The jobs of a configuration, or what --print-cfg and --dry-run ask for instead."""
    from slowfast_ext.config.explain import describe

    if args.print_cfg:
        print(describe(cfg))
        return 0
    from slowfast_ext.cli.jobs import dry_run, train_and_test
    from slowfast_ext.cli.launch import run_everywhere
    from slowfast_ext.cli.summary import published_of
    from slowfast_ext.config import options_of
    from slowfast_ext.config.command import files_and_pairs
    from slowfast_ext.engine.options import RunOptions

    published = published_of(files_and_pairs(args)[0])
    job = partial(dry_run, cfg) if args.dry_run else partial(train_and_test, cfg, published)
    return run_everywhere(job, options_of(cfg, RunOptions), worker)


def parser_of(description: str | None) -> argparse.ArgumentParser:
    """The command line; PySlowFast's --opts is accepted before the pairs."""
    from slowfast_ext.config.command import add_config_arguments

    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_config_arguments(parser)
    parser.add_argument(
        "--print-cfg", action="store_true", help="print the merged configuration and exit"
    )
    parser.add_argument(
        "--explain", metavar="KEY", help="print the meaning of a key or section and exit"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="build all, run two steps, print cost and time"
    )
    return parser


def worker_command(argv: Sequence[str] | None, command: str) -> list[str]:
    """What starts a further process of the run: this process's own command line, whichever way in it took."""
    own = sys.orig_argv[1:] if argv is None else ["-m", "slowfast_ext", command, *argv]
    return [sys.executable, *own]
