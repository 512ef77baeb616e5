"""Each key's default and bounds: a change of one changes every experiment that does not set it.

Where that is meant, write the new row into keys.txt; a new key needs one too.
"""

from pathlib import Path

from slowfast_ext.config.declared import declared_keys
from slowfast_ext.config.schema import schema

KEYS = Path(__file__).with_name("keys.txt")


def test_defaults_and_bounds_are_those_that_are_listed():
    ours = {dotted: f"{key.default!r} | {key.allowed()}" for dotted, key in schema().items()}
    listed = dict(row.split(" = ", 1) for row in KEYS.read_text(encoding="utf-8").splitlines())
    package = {dotted: row for dotted, row in ours.items() if dotted in listed or _is_ours(dotted)}
    assert package == listed


def _is_ours(dotted: str) -> bool:
    """Not of a test that has registered options of its own in this process."""
    return dotted in declared_keys()
