"""What a person sees of a run: lines, and on a terminal one line below them that says how far it is.

Lines come through `logging`. A record with `extra=FILE_ONLY` is for the log file alone; one with `extra=STEP` says what
the progress line says too, so that a terminal does without it.
"""

import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from slowfast_ext.safe_text import visible

FILE_ONLY = {"screen": "never"}
STEP = {"screen": "plain"}


class _Visible(logging.Formatter):
    """Lines of text alone: nothing in a name or message moves the cursor or breaks the encoding."""

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(map(visible, super().format(record).split("\n")))


PLAIN = _Visible()
STAMPED = _Visible("[%(asctime)s] %(message)s", "%m/%d %H:%M:%S")
REDRAW_SECONDS = 0.1

_BAR = 16
_BAR_NEEDS = 72


@dataclass(frozen=True)
class Progress:
    """`done` of `total` of something; `parts` say more, the most important first."""

    what: str
    done: int
    total: int
    parts: Sequence[str] = ()

    def fitted(self, width: int, ascii_only: bool = False) -> str:
        """One line of at most `width` characters: on a narrow terminal the bar goes first, then the last parts."""
        full, empty = ("#", "-") if ascii_only else ("━", "╌")
        filled = _BAR * self.done // max(self.total, 1)
        bar = f"{full * filled}{empty * (_BAR - filled)} " if width >= _BAR_NEEDS else ""
        line = f"{self.what} {bar}{self.done}/{self.total}"
        for part in self.parts:
            longer = f"{line} | {part}"
            if len(longer) > width:
                break
            line = longer
        return line[:width]


class Screen:
    """Lines only: what a pipe, a file, a notebook and the processes beside the main one get."""

    def handler(self) -> logging.Handler:
        """Prints log records on stdout."""
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(STAMPED)
        handler.addFilter(lambda record: _where(record) != "never")
        return handler

    def progress(self, progress: Progress) -> None:
        """Show how far it is; may be called at every step."""

    def clear(self) -> None:
        """Take the progress line away."""

    def counter(self, what: str) -> Callable[[int, int], None]:
        """A function of (done, total) that shows the progress of `what` and how long it will take."""
        started = time.monotonic()

        def show(done: int, total: int) -> None:
            remaining = (time.monotonic() - started) / max(done, 1) * (total - done)
            self.progress(Progress(what, done, total, (f"ETA {clock(remaining)}",)))
            if done == total:
                self.clear()

        return show


class LiveScreen(Screen):
    """Lines without a time stamp, and the progress line below them.

    The line is drawn by the thread that trains, at most every REDRAW_SECONDS, and the cursor stays visible: a process
    that is killed or stopped leaves a terminal that needs no `reset`, and a forked loader process inherits no lock.
    """

    def __init__(self, stream: TextIO) -> None:
        self.console = Console(
            file=stream, force_terminal=True, force_jupyter=False, highlight=False, markup=False
        )
        self._live: Live | None = None
        self._drawn = float("-inf")
        self._process = os.getpid()

    def handler(self) -> logging.Handler:
        """Prints log records above the progress line."""
        return _LiveHandler(self)

    def progress(self, progress: Progress) -> None:
        """Draw the line anew unless it was drawn just now."""
        now = time.monotonic()
        if now - self._drawn < REDRAW_SECONDS:
            return
        self._drawn = now
        options = self.console.options
        # One column stays free: a full line makes some terminals wrap.
        text = Text(progress.fitted(options.max_width - 1, options.ascii_only), no_wrap=True)
        self._started().update(text, refresh=True)

    def clear(self) -> None:
        """Take the line away; what libraries print goes straight to the terminal again."""
        self._drawn = float("-inf")
        if self._live is not None and os.getpid() == self._process:
            self._live.stop()
            self._live = None

    def show(self, message: str, style: str) -> None:
        """A line above the progress line."""
        if os.getpid() == self._process:
            self.console.print(Text(message, style), soft_wrap=True)
        else:  # a loader process: it has a copy of the line that it must not draw
            self.console.file.write(f"\r{message}\n")
            self.console.file.flush()

    def _started(self) -> Live:
        if self._live is None:
            self._live = Live(
                console=self.console,
                auto_refresh=False,
                transient=True,
                redirect_stderr=sys.stderr.isatty(),
            )
            self._live.start()
            self.console.show_cursor(True)
        return self._live


class _LiveHandler(logging.Handler):
    def __init__(self, screen: LiveScreen) -> None:
        super().__init__()
        self.setFormatter(PLAIN)
        self._screen = screen

    def emit(self, record: logging.LogRecord) -> None:
        if _where(record):
            return
        try:
            styles = ((logging.ERROR, "red"), (logging.WARNING, "yellow"), (logging.NOTSET, ""))
            style = next(style for level, style in styles if record.levelno >= level)
            self._screen.show(self.format(record), style)
        except Exception:
            self.handleError(record)


def _where(record: logging.LogRecord) -> str:
    """What `extra` said; empty for a record that is shown everywhere."""
    return getattr(record, "screen", "")


def open_screen(stream: TextIO | None = None) -> Screen:
    """A live one where `stream` (stdout) is a terminal that can move its cursor."""
    stream = stream or sys.stdout
    is_dumb = os.environ.get("TERM", "").lower() in ("dumb", "unknown", "")
    return LiveScreen(stream) if stream.isatty() and not is_dumb else Screen()


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def plural(number: int, what: str) -> str:
    """1 video, 2 videos, 2 processes."""
    return f"{number} {what}{'' if number == 1 else 'es' if what.endswith('s') else 's'}"


def in_words(name: str, value: float) -> str:
    """A metric as people read it: `top1_acc`, 92.21 -> "top1 92.2 %"."""
    if name.endswith("_acc"):
        return f"{name.removesuffix('_acc')} {value:.1f} %"
    return f"{name} {value:.4g}"
