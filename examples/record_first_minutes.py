"""Writes docs/first_five_minutes.md anew: the first commands of a newcomer and all that they print, word for word.

    python examples/record_first_minutes.py [KEY VALUE ...]

The commands run in a scratch folder, on a terminal of 100 columns. The page leaves out the path of that folder, and keeps
the last state of a progress line that redraws itself. KEY VALUE pairs are given to the training and the test, and the page
shows them: a slow machine may record a shorter run.
"""

import argparse
import os
import pty
import re
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/first_five_minutes.md"
PICTURE = ROOT / "docs/pictures/terminal.svg"
COLUMNS = 100

COMMANDS = [
    "slowfast-ext doctor",
    "bash exp/motion_uniformer_joint/run.sh",
    "bash exp/motion_uniformer_joint/test.sh",
    "slowfast-ext report output/motion_uniformer_joint",
    "slowfast-ext predict --weights output/motion_uniformer_joint datasets/CLIP.mp4",
]
HEAD = """# The first five minutes, recorded

The first commands of a newcomer and all that they print, on a terminal of {columns} columns: {cores} CPU cores, no GPU,
torch {torch}, {minutes} minutes in all ({cpu} minutes of CPU time). The package was installed before.
`python examples/record_first_minutes.py` wrote this page.{shortened}

![The terminal at the end of training](pictures/terminal.svg)
"""

SHORTENED = """

**This recording is of a shortened run**: the pairs behind `run.sh` make it so small that validation stays at chance.
Without them the same command reaches 85.6 to 92.5 %."""


def run(command: str, folder: Path) -> str:
    """What a command shows on a terminal."""
    ours, theirs = pty.openpty()
    environment = {
        **os.environ,
        "COLUMNS": str(COLUMNS),
        "LINES": "50",
        "TERM": "xterm-256color",
        "PYTHON": sys.executable,
        "PATH": f"{folder}/bin:{os.environ['PATH']}",
    }
    process = subprocess.Popen(
        ["bash", "-c", command], cwd=folder, stdout=theirs, stderr=theirs, stdin=theirs, env=environment
    )  # fmt: skip
    os.close(theirs)
    shown = bytearray()
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the terminal ends with its last process
            break
        if not part:
            break
        shown += part
    if process.wait():
        raise SystemExit(
            f"{command}: exit code {process.returncode}\n{shown.decode(errors='replace')}"
        )
    return shown.decode(errors="replace")


def settled(shown: str) -> str:
    """The lines that stay: what was drawn over (carriage returns, lines cleared) is gone. Colours are kept."""
    shown = re.sub(r"\x1b\[\?25[lh]", "", shown)
    lines: list[str] = [""]
    for part in re.split(r"(\r\n|\n|\r|\x1b\[2K|\x1b\[1A)", shown):
        if part in ("\r\n", "\n"):
            lines.append("")
        elif part in ("\r", "\x1b[2K"):
            lines[-1] = ""
        elif part == "\x1b[1A":
            lines = lines[:-1] or [""]
        else:
            lines[-1] += part
    return "\n".join(line.rstrip() for line in lines).strip("\n")


def plain(text: str, folder: Path) -> str:
    """Without colours, and without the scratch folder's path."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    return text.replace(f"{folder}/", "").replace(str(folder), ".").replace(f"{ROOT}/", "").replace(str(Path(sys.prefix)), ".venv")  # fmt: skip


def furnish(folder: Path) -> None:
    """A checkout and the command on the path."""
    for name in ("exp", "configs", "tools"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "bin").mkdir()
    command = folder / "bin/slowfast-ext"
    command.write_text(
        f'#!/usr/bin/env bash\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m slowfast_ext "$@"\n'
    )
    command.chmod(0o755)


def main() -> None:
    """Run all, write page and picture."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", nargs="*", metavar="KEY VALUE", help="for training and test")
    pairs = parser.parse_args().pairs
    folder = Path(tempfile.mkdtemp(prefix="first_minutes_"))
    furnish(folder)
    parts, started, coloured = [], time.monotonic(), ""
    training = ""
    for command in COMMANDS:
        if "CLIP" in command:
            clip = next(iter(sorted(folder.glob("datasets/**/val/**/*.mp4"))))
            command = command.replace("datasets/CLIP.mp4", str(clip.relative_to(folder)))
        if command.endswith(".sh"):
            command = shlex.join([*command.split(), *pairs])
        shown = settled(run(command, folder))
        if "run.sh" in command:
            coloured, training = shown, command
        parts.append(f"```console\n$ {command}\n{plain(shown, folder)}\n```")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    head = HEAD.format(
        columns=COLUMNS,
        cores=os.cpu_count(),
        torch=torch.__version__,
        minutes=round((time.monotonic() - started) / 60),
        cpu=round((used.ru_utime + used.ru_stime) / 60),
        shortened=SHORTENED if pairs else "",
    )
    PAGE.write_text("\n\n".join([head.rstrip(), *parts]) + "\n", encoding="utf-8")
    console = Console(record=True, width=COLUMNS, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(Text(f"$ {training}", style="bold"))
    console.print(Text.from_ansi(plain_paths(coloured, folder)))
    svg = console.export_svg(title="slowfast-ext")
    PICTURE.write_text(re.sub(r"@font-face \{.*?\}\n", "", svg, flags=re.S), encoding="utf-8")
    shutil.rmtree(folder)


def plain_paths(text: str, folder: Path) -> str:
    """With colours, without the scratch folder's path."""
    return text.replace(f"{folder}/", "").replace(str(folder), ".")


if __name__ == "__main__":
    main()
