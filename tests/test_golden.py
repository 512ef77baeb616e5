"""Published programs, number for number: the cases that come with the project, and every case in GOLDEN_DIR.

A case that is dropped into GOLDEN_DIR is read as it is, whatever its sizes; one of an unknown kind fails.
"""

import json
from pathlib import Path

import pytest
import torch
from golden.cases import SHIPPED, Case, find_cases
from golden.kinds import kind_of
from reference_data import GOLDEN
from safetensors.torch import load_file, save_file


def check(case: Case) -> None:
    found = kind_of(case).check(case)
    assert found, f"{case}: nothing was compared"
    assert not case.unread, f"{case}: nothing was compared with {', '.join(case.unread)}"
    assert not found.wrong, "\n".join([f"{case}:", *map(str, found.wrong)])


@pytest.mark.parametrize("case", find_cases(SHIPPED), ids=str)
def test_case_of_the_project(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("case", find_cases(GOLDEN) or [None], ids=str)
def test_case_in_golden_dir(case: Case | None) -> None:
    if case is None:
        pytest.skip(f"no cases in {GOLDEN}: set GOLDEN_DIR")
    check(case)


def test_a_case_of_an_unknown_kind_is_named(tmp_path: Path) -> None:
    save_file({"state/w": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(AssertionError, match=r"other\.safetensors: of no kind known here"):
        check(find_cases(tmp_path)[0])


@pytest.mark.parametrize("case", [case for case in find_cases(SHIPPED) if case.keys], ids=str)
def test_a_wrong_number_is_found(case: Case, tmp_path: Path) -> None:
    tensors = load_file(case.path)
    name = max(key for key in tensors if key.startswith(("out", "stage", "crop")))
    tensors[name] = 1.01 * tensors[name] + 0.1
    save_file(tensors, tmp_path / case.path.name, {"meta": json.dumps(case.facts)})
    with pytest.raises(AssertionError, match="allowed"):
        check(find_cases(tmp_path)[0])
