"""One HTML page about runs: slowfast-ext report OUTPUT_DIR... [--out FILE.html].

The page holds all its data: no network, opens from disk. Runs that differ only in the seed are shown as one experiment."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from slowfast_ext.cli import reported


@reported
def main(argv: Sequence[str] | None = None) -> int:
    """Write the page and name it; 2 for folders without results or a page that cannot be written."""
    args = _parse(argv)

    from rich.console import Console
    from rich.progress import Progress

    from slowfast_ext.analysis.page import write_page
    from slowfast_ext.analysis.report import ReportOptions, build_report

    out = args.out or args.folders[0] / "report.html"
    films = ReportOptions().films if args.films is None else args.films
    options = ReportOptions(args.base, films, args.videos, args.title)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("reading videos", total=None)
        html = build_report(
            args.folders, options, lambda done, of: progress.update(task, completed=done, total=of)
        )
    write_page(out, html)
    print(f"written: {out} ({len(html) / 1e6:.1f} MB)")
    return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="slowfast-ext report", description=__doc__)
    parser.add_argument(
        "folders",
        nargs="+",
        type=Path,
        metavar="OUTPUT_DIR",
        help="of a run that was trained or tested, or a folder of such folders",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE.html", help="default: report.html in the first folder"
    )
    parser.add_argument(
        "--base", type=Path, metavar="FILE.yaml", help="compare settings with it, not the defaults"
    )
    parser.add_argument("--films", type=int, help="most videos of a run shown with frames")
    parser.add_argument(
        "--videos", type=Path, metavar="FOLDER", help="where the videos are now, if they were moved"
    )
    parser.add_argument("--title", default="", help="heading; default: names of the experiments")
    return parser.parse_args(argv)
