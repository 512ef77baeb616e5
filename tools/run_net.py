"""Train and test: tools/run_net.py --cfg FILE... [KEY VALUE ...]."""

import argparse
import sys

from slowfast_ext.config.command import add_config_arguments, config_of
from slowfast_ext.config.explain import describe, explain
from slowfast_ext.errors import ConfigError


def parse_args() -> argparse.Namespace:
    """The command line; PySlowFast's --opts is accepted before the pairs."""
    parser = argparse.ArgumentParser(description=__doc__)
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
    return parser.parse_args()


def main() -> int:
    """Exit code: 0 done, 1 failed, 2 bad configuration, data or checkpoint, 75 interrupted (start again)."""
    args = parse_args()
    try:
        if args.explain:
            print(explain(args.explain))
            return 0
        from slowfast_ext.engine.checks import CHECKS
        from slowfast_ext.engine.launch import environment_pairs, run_everywhere

        cfg = config_of(args, CHECKS, environment_pairs())
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    if args.print_cfg:
        print(describe(cfg))
        return 0
    from slowfast_ext.engine.jobs import dry_run, train_and_test

    return run_everywhere(cfg, dry_run if args.dry_run else train_and_test, sys.argv)


if __name__ == "__main__":
    sys.exit(main())
