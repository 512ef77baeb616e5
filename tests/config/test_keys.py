"""Each key's default and bounds: a change of one changes every experiment that does not set it.

Where that is meant, write the new row into keys.txt; a new key needs one too.
"""

from pathlib import Path

from slowfast_ext.config.declared import declared_keys
from slowfast_ext.config.schema import schema
from slowfast_ext.options import Options

KEYS = Path(__file__).with_name("keys.txt")


def test_defaults_and_bounds_are_those_that_are_listed():
    ours = {dotted: f"{key.default!r} | {key.allowed()}" for dotted, key in schema().items()}
    listed = dict(row.split(" = ", 1) for row in KEYS.read_text(encoding="utf-8").splitlines())
    package = {dotted: row for dotted, row in ours.items() if dotted in listed or _is_ours(dotted)}
    assert package == listed


def test_options_stay_as_they_are():
    schema()
    for kind in _below(Options):
        if kind.__module__.startswith("slowfast_ext."):
            assert kind.__dataclass_params__.frozen, kind


def _below(kind: type) -> list[type]:
    return [own for child in kind.__subclasses__() for own in (child, *_below(child))]


def _is_ours(dotted: str) -> bool:
    """Not of a test that has registered options of its own in this process."""
    return dotted in declared_keys()
