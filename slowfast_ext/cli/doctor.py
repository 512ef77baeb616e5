"""Check whether this machine is fit for training, one line per part: slowfast-ext doctor [--folder DIR] [--quick].

Versions, GPU, video readers and the codecs that each can read, cores, memory, shared memory, disk; a clip decoded and a
training step timed. Exit code: 0 fit, 1 something has to be fixed first.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from slowfast_ext.cli import reported
from slowfast_ext.screen import plural

COLOURS = {"ok": "green", "note": "yellow", "bad": "bold red"}


@reported
def main(argv: Sequence[str] | None = None) -> int:
    """Print a line for each finding as it is found, and the sum at the end."""
    parser = argparse.ArgumentParser(
        prog="slowfast-ext doctor",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="folder whose disk is tried; default: the current one",
    )
    parser.add_argument("--quick", action="store_true", help="do not time a training step")
    args = parser.parse_args(argv)
    console = Console(highlight=False, soft_wrap=True)
    counts = dict.fromkeys(COLOURS, 0)
    for finding in _findings(args.folder, args.quick):
        counts[finding.verdict] += 1
        line = Text(f"{finding.verdict:5}", style=COLOURS[finding.verdict])
        line.append(f"{finding.what:14}{finding.found}", style="default")
        console.print(line)
        if finding.advice:
            console.print(f"{'':19}-> {finding.advice}", markup=False)
    bad, notes = counts["bad"], counts["note"]
    if bad:
        console.print(f"\nnot fit yet: {plural(bad, 'problem')}, {plural(notes, 'note')}")
        return 1
    console.print("\nfit for training" + (f"; {plural(notes, 'note')}" if notes else ""))
    return 0


def _findings(folder: Path, quick: bool) -> Iterator:
    from slowfast_ext.analysis import machine, readers

    yield from machine.versions()
    yield from machine.devices()
    yield from machine.room(folder)
    with tempfile.TemporaryDirectory() as scratch:
        yield from readers.readers(Path(scratch))
        yield machine.guarded("decode", lambda: readers.decode(Path(scratch)))
    if not quick:
        yield machine.guarded("step", machine.step)
