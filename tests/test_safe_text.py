"""Names and messages that come from files: one line, no escapes, no formulas; and as they were where they are read back."""

import csv
import io
import logging
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slowfast_ext.safe_text import guarded, unguarded, visible, write_rows
from slowfast_ext.screen import Screen

NASTY = (
    "a\nb",
    "\x1b]0;title\x07",
    "\x9b31m",
    "caf\udce9",
    "\u202egpj.mp4",
    "a\u2028b",
    "\rover",
    "\x7f",
)


@pytest.mark.parametrize("text", NASTY)
def test_nothing_moves_the_cursor(text):
    shown = visible(text)
    assert shown.isprintable()
    assert "\\" in shown
    shown.encode("utf-8")


@pytest.mark.parametrize("text", ["plain name.mp4", "中文 🎬 é.mp4", "a_b-c(1).mp4", "back\\slash"])
def test_text_stays_as_it_is(text):
    assert visible(text) == text


@given(st.text(st.characters(), max_size=20))
def test_any_text_is_one_line_that_can_be_written(text):
    assert len(visible(text).encode("utf-8").splitlines()) <= 1
    assert visible(visible(text)) == visible(text)


@pytest.mark.parametrize(
    "cell", ["=1+1", "+cmd|'/C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "-", "=-1.5"]
)
def test_formulas_become_text(cell):
    assert guarded(cell) == f"'{cell}"
    assert unguarded(f"'{cell}") == cell


@pytest.mark.parametrize("cell", ["-1.5", "+3", "-1e-7", "a=b", "", "'quoted'", -1.5, 3, None])
def test_numbers_and_text_stay_cells(cell):
    assert guarded(cell) == cell
    if isinstance(cell, str):
        assert unguarded(cell) == cell


def test_rows():
    file = io.StringIO()
    write_rows(file, [["=x", -1, "-0.5", "a\nb\x1b", "caf\udce9"]])
    assert next(csv.reader(io.StringIO(file.getvalue()))) == [
        "'=x",
        "-1",
        "-0.5",
        "a\\nb\\x1b",
        "caf\\udce9",
    ]


def test_the_log_shows_names_as_text(capsys):
    logger = logging.getLogger("slowfast_ext.test_safe_text")
    handler = Screen().handler()
    handler.stream = sys.stdout
    logger.addHandler(handler)
    logger.warning("first line\nsecond: %s", "\x1b[2J\udce9\r")
    logger.removeHandler(handler)
    out = capsys.readouterr().out
    assert out.endswith("first line\nsecond: \\x1b[2J\\udce9\\r\n")


def test_a_message_of_the_command_line_is_text():
    """A name that is no UTF-8, with an escape in it, to stderr as the locale of a job queue has it."""
    name = b"no\x1b[31mred\xff"
    command = [sys.executable.encode(), b"-m", b"slowfast_ext", b"lists", name, b"/tmp/none"]
    done = subprocess.run(
        command, capture_output=True, env={"LC_ALL": "C", "PYTHONPATH": sys.path[0]}
    )
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr
    assert b"\x1b" not in done.stderr
