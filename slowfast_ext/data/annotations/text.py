"""Annotation files as they come: lists of lines, csv tables, json; every value with its location."""

import csv
import json
from collections.abc import Iterator, Sequence
from typing import Any

from slowfast_ext.errors import DataError

Row = dict[str, str]

_OTHER_ENCODINGS = ("\udcff\udcfe", "\udcfe\udcff")
"""How UTF-16 begins."""


def read_lines(path: str) -> Iterator[tuple[str, str]]:
    """("file:line", text) of each line that is not blank; a byte-order mark and CRLF are dropped.

    Names may be any bytes, as on disk: those that are no UTF-8 come as Python has them in paths. Raises DataError for a
    file that is missing or not text.
    """
    try:
        with open(path, encoding="utf-8-sig", errors="surrogateescape") as file:
            for number, line in enumerate(file, 1):
                if "\0" in line or (number == 1 and line.startswith(_OTHER_ENCODINGS)):
                    raise DataError(
                        f"{path}:{number}: not a text file in UTF-8; save it as UTF-8, or point the configuration at "
                        "the right file"
                    )
                if line.strip():
                    yield f"{path}:{number}", line.strip("\r\n")
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def read_table(path: str, columns: Sequence[str]) -> Iterator[tuple[str, Row]]:
    """("file:line", row) of a csv file with a header that has at least `columns`.

    Raises DataError naming the columns that are absent and rows of another length.
    """
    locations, lines = [], []
    for location, text in read_lines(path):
        locations.append(location)
        lines.append(text)
    reader = csv.reader(lines, skipinitialspace=True)
    header = next(reader, [])
    absent = [column for column in columns if column not in header]
    if absent:
        found = ", ".join(header) or "nothing"
        raise DataError(f"{path}:1: the header has no column {', '.join(absent)}; it has {found}")
    for fields in reader:
        location = locations[reader.line_num - 1]
        if len(fields) != len(header):
            raise DataError(
                f"{location}: {len(fields)} fields where the header names {len(header)}: '{','.join(fields)}'"
            )
        yield location, dict(zip(header, fields, strict=True))


def first_line(path: str) -> str:
    """The first line that is not blank, "" in an empty file."""
    return next((text for _, text in read_lines(path)), "")


def read_json(path: str) -> Any:
    """The value of a json file. Raises DataError with line and column of what is not json."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            return json.load(file)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno}: not json: {error.msg}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a text file in UTF-8") from error


def read_entries(path: str, fields: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """("file:entry n", entry) of a json list of objects that have at least `fields`."""
    entries = read_json(path)
    if not isinstance(entries, list):
        raise DataError(f"{path}: expected a list of entries, found {type(entries).__name__}")
    for number, entry in enumerate(entries, 1):
        location = f"{path}:entry {number}"
        absent = [field for field in fields if not (isinstance(entry, dict) and field in entry)]
        if absent:
            raise DataError(f"{location}: has no {', '.join(absent)}: {json.dumps(entry)[:120]}")
        yield location, entry


def to_int(text: str, location: str, what: str) -> int:
    """A whole number >= 0. Raises DataError with the location, the text and what it should be."""
    digits = text.strip().strip('"')
    if not digits.isdecimal():
        raise DataError(f"{location}: '{text}' is not {what}, a whole number from 0")
    return int(digits)


def to_seconds(text: str, location: str) -> float:
    """Seconds from "12.5" or "00:01:02.50". Raises DataError with the location."""
    try:
        parts = [float(part) for part in text.strip().split(":")]
    except ValueError:
        raise DataError(
            f"{location}: '{text}' is not a time (seconds or hours:minutes:seconds)"
        ) from None
    return sum(part * 60**power for power, part in enumerate(reversed(parts)))
