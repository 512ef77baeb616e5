"""Names and messages from files, as they may reach a terminal, a log and a spreadsheet.

A file may be called anything: bytes that are no text, line breaks, escapes that a terminal obeys, a formula.
"""

import csv
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Protocol

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula."""

_NOT_SHOWN = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
"""Controls, marks that turn the direction of writing, halves of characters (bytes that are no UTF-8), line breaks."""


class _Writable(Protocol):
    def write(self, text: str, /) -> object: ...


def visible(text: str) -> str:
    """In one line of characters that show as themselves; the others as `\\x1b`, `\\n`, `\\udce9`."""
    if text.isascii() and text.isprintable():
        return text
    hidden = {c for c in text if unicodedata.category(c) in _NOT_SHOWN}
    return "".join(c.encode("unicode_escape").decode() if c in hidden else c for c in text)


def guarded(cell: object) -> object:
    """A csv cell that a spreadsheet takes for text: a formula gets an apostrophe before it, a number is one."""
    if isinstance(cell, str) and cell.startswith(FORMULA) and not _is_number(cell):
        return f"'{cell}"
    return cell


def unguarded(cell: str) -> str:
    """The inverse of `guarded`."""
    return cell[1:] if cell[:1] == "'" and cell[1:].startswith(FORMULA) else cell


def write_rows(file: _Writable, rows: Iterable[Sequence[object]], delimiter: str = ",") -> None:
    """Write csv rows for people and their tools: text is visible, and no formula."""
    csv.writer(file, delimiter=delimiter).writerows(
        [guarded(visible(cell) if isinstance(cell, str) else cell) for cell in row] for row in rows
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
