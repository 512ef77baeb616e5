"""Test trained weights, without training: slowfast-ext test --cfg FILE... | --weights FILE [KEY VALUE ...].

With --cfg, TEST.CHECKPOINT_FILE_PATH names the weights; without it the newest checkpoint in OUTPUT_DIR is tested. Public weights need
no configuration: --weights FILE --data NAME ROOT tests them with their published input and views.
Exit code: 0 done, 1 failed, 2 bad configuration, data or checkpoint, 74 a file cannot be written (full disk), 75
interrupted (start it again).
"""

import argparse
import os
import sys
from collections.abc import Sequence
from itertools import takewhile

from slowfast_ext.cli import reported
from slowfast_ext.cli.signals import stop_on_signals
from slowfast_ext.cli.train import parser_of, run, start, worker_command
from slowfast_ext.errors import ConfigError
from slowfast_ext.launched import join_launcher
from slowfast_ext.released import released

JOBS = ("TRAIN.ENABLE", "False", "TEST.ENABLE", "True")


@reported
def main(argv: Sequence[str] | None = None) -> int:
    """Test as the configuration, or the weights, say."""
    with stop_on_signals(polled=False):
        join_launcher()
        return _main(argv)


def _main(argv: Sequence[str] | None) -> int:
    parser = parser_of(__doc__)
    parser.add_argument(
        "--weights",
        nargs="+",
        default=[],
        metavar="FILE",
        help="public weights of a known release, instead of --cfg",
    )
    parser.add_argument("--model", default="", metavar="NAME", help="a named model, or a YAML file")
    parser.add_argument(
        "--data", nargs=2, metavar=("NAME", "ROOT"), help="data set and its folder, for --weights"
    )
    args = parser.parse_args(argv)
    if args.weights and not args.explain:
        return _test_public(args)
    if args.model or args.data:
        raise ConfigError("--model and --data belong to --weights FILE; with --cfg use keys")
    return run(args, worker_command(argv, "test"), JOBS)


def _is_weights(text: str) -> bool:
    return os.path.isfile(text) or text in released()


def _test_public(args: argparse.Namespace) -> int:
    if args.cfg or not args.data:
        raise ConfigError("--weights FILE needs --data NAME ROOT, and no --cfg (--model FILE.yaml)")
    from slowfast_ext.cli.launch import environment_pairs
    from slowfast_ext.cli.public import configured, saved

    first, *rest = args.weights
    files = [first, *takewhile(_is_weights, rest)]
    pairs = [*rest[len(files) - 1 :], *args.opts, *args.pairs, *JOBS, *environment_pairs()]
    data, root = args.data
    cfg, facts = configured(files, args.model, data, root, pairs)
    if int(os.environ.get("RANK", 0)) == 0 and not args.print_cfg:
        print(*facts, sep="\n", flush=True)
    worker = [sys.executable, "-m", "slowfast_ext", "test", "--cfg", "FILE"]
    if not (args.print_cfg or args.dry_run):
        worker[-1] = saved(cfg)
    return start(args, cfg, worker)
