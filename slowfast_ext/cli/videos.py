"""What `predict` and `features` have in common: weights, videos, progress, the end."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from slowfast_ext.cli import EXIT_INTERRUPTED, EXIT_NOT_WRITTEN
from slowfast_ext.cli.signals import stop_on_signals
from slowfast_ext.config.load import split_pairs
from slowfast_ext.config.schema import import_files
from slowfast_ext.errors import ConfigError, Interrupted

if TYPE_CHECKING:
    from slowfast_ext.predict.inputs import Inputs
    from slowfast_ext.predict.recognizer import Recognizer

Done = Callable[[float], None]

EXIT_SOME_UNREADABLE = 1
EXIT_NONE_READABLE = 2

EXIT_CODES = f"""exit code:
  0 done   1 some videos could not be read; a line says why   2 none could be read, or the command is wrong
  {EXIT_NOT_WRITTEN} a file cannot be written (full disk)   {EXIT_INTERRUPTED} interrupted; with --out the same command goes on"""


def add_arguments(parser: argparse.ArgumentParser, views: str) -> None:
    """Arguments of both commands; `views` is the default in words."""
    parser.add_argument(
        "videos",
        nargs="+",
        metavar="VIDEO",
        help="video files, folders (searched; a folder of images is one video), 'patterns/**/*.mp4', lists (.txt .csv .tsv; - is stdin)",
    )
    parser.add_argument(
        "--weights",
        required=True,
        metavar="CHECKPOINT",
        help="a checkpoint that was trained here, or the folder of its run; with --model also weights of other programs",
    )
    parser.add_argument("--views", default="", help=f"clips x crops, like 10x3; default: {views}")
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="processes that read videos; default: depends on the cores",
    )
    parser.add_argument(
        "--retry", action="store_true", help="try files again that could not be read before"
    )
    parser.add_argument("--view-batch", type=int, metavar="N", help="views computed at a time")
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1; default: a GPU if any")
    parser.add_argument(
        "--precision",
        default="",
        choices=("fp32", "bf16", "fp16"),
        help="default: as in the checkpoint's test",
    )
    parser.add_argument(
        "--image-template",
        default="",
        metavar="NAME",
        help="file names in folders of images, like img_{:05d}.jpg; default: as in the checkpoint's data",
    )
    public = parser.add_argument_group("weights of other programs")
    public.add_argument(
        "--model",
        default="",
        metavar="NAME",
        help="their model: one of slowfast_ext.list_models(), or a YAML file",
    )
    public.add_argument(
        "--class-names",
        action="append",
        default=[],
        metavar="FILE",
        help="a file with one name per line, or a published order: k400, k600, ...; once for each head",
    )
    public.add_argument(
        "--opts",
        nargs="*",
        default=[],
        metavar="KEY VALUE",
        help="further settings of --model, after the videos",
    )
    parser.add_argument(
        "--import",
        dest="imports",
        action="append",
        default=[],
        metavar="FILE.py",
        help="a Python file of yours that registers a part of the model",
    )


def recognizer_of(args: argparse.Namespace) -> "Recognizer":
    """The Recognizer of a command line; torch is loaded here."""
    from slowfast_ext.models.weights import class_order
    from slowfast_ext.predict.looks import view_options
    from slowfast_ext.predict.recognizer import Recognizer

    import_files(args.imports)
    if args.views:
        view_options(args.views)
    return Recognizer(
        args.weights,
        args.device,
        model=args.model,
        class_names=[class_order(name) for name in args.class_names],
        view_batch=args.view_batch,
        precision=args.precision,
        image_template=args.image_template,
        settings=dict(split_pairs(args.opts)),
    )


def settings_of(args: argparse.Namespace, **more: Any) -> dict[str, Any]:
    """What a result depends on: noted beside it, so that no file holds results of two kinds."""
    from slowfast_ext.predict.lines import fingerprint
    from slowfast_ext.predict.load import checkpoint_in

    path = checkpoint_in(args.weights)
    if not path.is_file():
        raise ConfigError(f"{path}: no such file")
    names = [Path(name).name for name in args.class_names]
    own = {"weights": f"{path.name} {fingerprint(path)}", "model": args.model, "opts": args.opts}
    return {
        **own,
        "class_names": names,
        "views": args.views,
        "precision": args.precision,
        "image_template": args.image_template,
        **more,
    }


def workers_for(asked: int | None, videos: int) -> int:
    """Processes for so many videos; for one or two it is quicker to read them here."""
    if asked is not None:
        if asked < 0:
            raise ConfigError(f"--workers {asked}: must not be less than 0")
        return asked
    return min(4, max(0, (os.cpu_count() or 1) - 1), videos // 4)


@contextmanager
def working(
    recognizer: "Recognizer", videos: int, workers: int, what: str
) -> Iterator[tuple["Inputs", Done]]:
    """What goes over `videos` runs in here: with its inputs, on cores that `workers` leave it, under a progress line.

    `done(n)` is to be called after each result with the number of videos that are done. It raises Interrupted, as
    Ctrl-C raises KeyboardInterrupt, where the command was asked to stop.
    """
    from slowfast_ext.engine.distributed import cores_shared_with

    with (
        stop_on_signals() as stop,
        cores_shared_with(workers),
        _progress(videos, what) as update,
        recognizer.open() as inputs,
    ):

        def done(number: float) -> None:
            update(number)
            if stop:
                raise Interrupted(stop.name)

        yield inputs, done


@contextmanager
def _progress(videos: int, what: str) -> Iterator[Done]:
    """A line on a terminal."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns,
        console=console,
        transient=True,
        disable=not console.is_terminal,
        redirect_stdout=sys.stdout.isatty(),
    ) as bar:
        task = bar.add_task(what, total=videos)
        yield lambda done: bar.update(task, completed=done)


def report(line: str) -> None:
    """A line for people, beside results that may go through a pipe."""
    print(line, file=sys.stderr, flush=True)


def end_of(done: int, failed: int) -> int:
    """The exit code."""
    if not failed:
        return 0
    return EXIT_SOME_UNREADABLE if done else EXIT_NONE_READABLE


def plain_output(argv: Sequence[str] | None) -> None:
    """Names in any writing are printed by a terminal of any encoding."""
    if argv is None and hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")
