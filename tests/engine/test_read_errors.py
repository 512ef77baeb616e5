"""DATA.MAX_BAD_SHARE: the share of reads that fail, on sets of any size."""

import csv
from collections import Counter
from types import SimpleNamespace

import pytest
import torch

from slowfast_ext.data.loader import BadSample
from slowfast_ext.engine.distributed import World
from slowfast_ext.engine.read_errors import FILE, ReadErrors
from slowfast_ext.errors import DataError

ALONE = World(0, 1, 0, 1, torch.device("cpu"))


def batch(*paths):
    bad = [BadSample(number, path, "train.csv:1", "cut short") for number, path in enumerate(paths)]
    return SimpleNamespace(bad=bad, counts=Counter(["pyav failed"] * len(bad)))


@pytest.mark.parametrize(
    ("bad", "good", "share", "whole_epoch", "stops"),
    [
        (3, 17, 0.1, True, True),
        (2, 18, 0.1, True, False),
        (1, 1, 0.1, True, True),
        (3, 17, 0.1, False, False),  # could be chance
        (10, 89, 0.1, False, False),
        (11, 89, 0.1, False, True),
        (10, 90, 0.1, False, False),
        (1, 0, 0.0, True, True),
        (0, 500, 0.0, True, False),
        (50, 50, 1.0, True, False),
        (0, 0, 0.1, True, False),
    ],
)
def test_the_share_that_stops(tmp_path, bad, good, share, whole_epoch, stops):
    """Of 20 reads of which 3 fail, 15 % fail."""
    errors = ReadErrors(ALONE, tmp_path, share)
    if not stops:
        errors.check(bad, good, whole_epoch)
        return
    with pytest.raises(DataError, match=f"{bad} of {bad + good} .*MAX_BAD_SHARE = {share:g}"):
        errors.check(bad, good, whole_epoch)


def test_what_stops_a_run_is_listed_before(tmp_path):
    errors = ReadErrors(ALONE, tmp_path, 0.1)
    errors.add(batch("a.mp4", "b.mp4", "a.mp4"))
    with pytest.raises(DataError, match=FILE):
        errors.check(3, 5, whole_epoch=True)
    with open(tmp_path / FILE, newline="") as file:
        assert [row["path"] for row in csv.DictReader(file)] == ["a.mp4", "b.mp4"]


def test_files_are_listed_once(tmp_path):
    errors = ReadErrors(ALONE, tmp_path, 1.0)
    for _ in range(2):
        errors.add(batch("a.mp4", "=HYPERLINK(1).mp4", "two\nlines\x1b[31m.mp4", "caf\udce9.mp4"))
        assert errors.report() == {"pyav failed": 4}
    with open(tmp_path / FILE, newline="", encoding="utf-8") as file:
        paths = [row["path"] for row in csv.DictReader(file)]
    assert paths == ["a.mp4", "'=HYPERLINK(1).mp4", "two\\nlines\\x1b[31m.mp4", "caf\\udce9.mp4"]
