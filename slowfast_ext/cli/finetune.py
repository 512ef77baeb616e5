"""Train on your own videos: slowfast-ext finetune FOLDER|TABLE [--from WEIGHTS] [--out OUTPUT_DIR] [KEY VALUE ...].

FOLDER holds a folder of videos for each class; TABLE is a csv or tsv with the columns path, label and perhaps split
and group (videos of a group stay on one side of the split). The command checks every file, keeps a fifth of each class
for validation, chooses a recipe and writes it down, trains and tests a model, and writes a report. After an interruption
the same command goes on.
Exit code: 0 done, 1 failed, 2 nothing that can be trained, 75 or 130 interrupted (start it again to go on).
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from shlex import join
from typing import TYPE_CHECKING, TypeVar

from slowfast_ext.cli import reported
from slowfast_ext.cli.signals import stop_on_signals
from slowfast_ext.config.load import split_pairs
from slowfast_ext.errors import CheckpointError, ConfigError, DataError

if TYPE_CHECKING:
    from slowfast_ext.data.curation.health import Found

Number = TypeVar("Number", int, float)


@reported
def main(argv: Sequence[str] | None = None) -> int:
    """Prepare, train, test and report."""
    # Before anything that takes time is imported: a signal that comes then means "start again", too.
    with stop_on_signals(polled=False):
        return _finetune(_parse(argv))


def _finetune(args: argparse.Namespace) -> int:
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise ConfigError("finetune starts its own processes (NUM_GPUS); call it without torchrun")
    # Only what a wrong command line needs is imported before it is answered.
    from slowfast_ext.cli.jobs import train_and_test
    from slowfast_ext.cli.launch import run_everywhere
    from slowfast_ext.config import options_of
    from slowfast_ext.engine.options import RunOptions
    from slowfast_ext.finetune.folder import RunFolder
    from slowfast_ext.finetune.session import Request, prepare

    out = args.out or Path("output") / Path(args.source).resolve().stem
    folder = RunFolder(out)
    request = Request(
        args.source,
        args.weights,
        args.model,
        args.train,
        args.epochs,
        args.minutes,
        tuple(args.pairs),
    )
    try:
        cfg = prepare(request, folder, args.workers, _say, _watched)
    except OSError as error:
        raise ConfigError(f"{error.filename or out}: {error.strerror or error}") from error
    if args.dry_run:
        _say("next: the same command without --dry-run")
        return 0
    worker = [sys.executable, "-m", "slowfast_ext", "train", "--cfg", str(folder.config)]
    code = run_everywhere(partial(train_and_test, cfg), options_of(cfg, RunOptions), worker)
    if code == 0:
        _say_result(out)
    return code


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="slowfast-ext finetune",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", metavar="FOLDER|TABLE", help="the videos")
    parser.add_argument(
        "--from",
        dest="weights",
        default="",
        metavar="WEIGHTS",
        help="a checkpoint or output folder of ours, or a file of public weights; default: train from scratch",
    )
    parser.add_argument(
        "--model",
        default="",
        metavar="NAME",
        help="a named model, for public weights that fit several",
    )
    parser.add_argument(
        "--out", type=Path, metavar="OUTPUT_DIR", help="default: output/<name of the folder>"
    )
    parser.add_argument(
        "--train",
        default="auto",
        choices=("auto", "head", "last", "all"),
        help="what is trained, where weights are given; auto: depends on the number of videos",
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--epochs", type=_positive(int), default=0, help="epochs of the training")
    length.add_argument(
        "--minutes",
        type=_positive(float),
        default=0.0,
        help="as many epochs as fit, tests included",
    )
    parser.add_argument(
        "--workers", type=_positive(int), default=os.cpu_count(), help="processes that check files"
    )
    parser.add_argument("--dry-run", action="store_true", help="prepare and estimate, do not train")
    parser.add_argument(
        "pairs", nargs="*", metavar="KEY VALUE", help="settings over those of the recipe"
    )
    args = parser.parse_intermixed_args(argv)
    args.pairs = [word for pair in split_pairs(args.pairs) for word in pair]
    return args


def _positive(kind: Callable[[str], Number]) -> Callable[[str], Number]:
    """A reader of numbers above 0 for argparse."""

    def number(text: str) -> Number:
        value = kind(text)
        if value <= 0:
            raise argparse.ArgumentTypeError(f"{text} is not above 0")
        return value

    return number


def _say(line: str) -> None:
    print(line, flush=True)


def _watched(found: "Iterable[Found]", total: int) -> "Iterable[Found]":
    """A progress bar on a terminal."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(
        found, "checking", total, console=console, transient=True, disable=not console.is_terminal
    )


def _say_result(out: Path) -> None:
    from slowfast_ext.finetune.result import summary, trained_weights

    for line in summary(out):
        _say(line)
    try:
        page = _report(out)
        _say(f"  report: {page}" if page else f"  curves: {out / 'stats.jsonl'}")
    except (CheckpointError, ConfigError, DataError, OSError) as error:
        _say(f"  no report: {error}")
    _say(f"  tested weights: {trained_weights(out)}")
    again = ["train", "--cfg", str(out / "config.yaml"), "OUTPUT_DIR", f"{out}_again"]
    _say(f"  the same again: slowfast-ext {join(again)}")


def _report(out: Path) -> Path | None:
    """The page of the run, where what it needs is installed."""
    try:
        from slowfast_ext.analysis.page import write_page
        from slowfast_ext.analysis.report import build_report
    except ImportError:
        return None
    page = out / "report.html"
    write_page(page, build_report([out]))
    return page
