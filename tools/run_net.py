"""Train and test: tools/run_net.py --cfg FILE... [KEY VALUE ...]."""

import argparse
import os
import sys


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line; PySlowFast's --opts is accepted before the pairs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--cfg",
        nargs="+",
        default=[],
        metavar="FILE",
        help="YAML files, later over earlier, then pairs",
    )
    parser.add_argument(
        "--opts", nargs="*", default=[], metavar="KEY VALUE", help="the same as trailing pairs"
    )
    parser.add_argument(
        "--print-cfg", action="store_true", help="print the merged configuration and exit"
    )
    parser.add_argument(
        "--explain", metavar="KEY", help="print the meaning of a key or section and exit"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="build all, run two steps, print cost and time"
    )
    parser.add_argument("pairs", nargs="*", metavar="KEY VALUE", help="overrides")
    args = parser.parse_args(argv)
    files = [value for value in args.cfg if value.endswith((".yaml", ".yml"))]
    args.pairs = [*args.cfg[len(files) :], *args.opts, *args.pairs]
    args.cfg = args.cfg[: len(files)]
    return args


def main() -> int:
    """Exit code: 0 done, 1 failed, 2 bad configuration, data or checkpoint, 75 interrupted (start again)."""
    args = parse_args()
    from slowfast_ext.config import load_config
    from slowfast_ext.config.explain import describe, explain
    from slowfast_ext.engine.launch import EXIT_USER_ERROR, environment_pairs, run_everywhere
    from slowfast_ext.errors import ConfigError

    try:
        if args.explain:
            print(explain(args.explain))
            return 0
        from slowfast_ext.engine.checks import CHECKS

        cfg = load_config(args.cfg, [*args.pairs, *environment_pairs()], CHECKS)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return EXIT_USER_ERROR
    if args.print_cfg:
        print(describe(cfg))
        return 0
    from slowfast_ext.engine.jobs import dry_run, train_and_test

    return run_everywhere(cfg, dry_run if args.dry_run else train_and_test, sys.argv)


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    sys.exit(main())
