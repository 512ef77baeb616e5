"""Published programs, number for number: the cases that come with the project, and every case in GOLDEN_DIR.

A case that is dropped into GOLDEN_DIR is read as it is, whatever its sizes; one of an unknown kind fails.
"""

import pytest
from golden.cases import SHARED, SHIPPED, Case, find_cases
from golden.kinds import kind_of


def check(case: Case) -> None:
    found = kind_of(case).check(case)
    assert found, f"{case}: nothing was compared"
    assert not case.unread, f"{case}: nothing was compared with {', '.join(case.unread)}"
    assert not found.wrong, "\n".join([f"{case}:", *map(str, found.wrong)])


@pytest.mark.parametrize("case", find_cases(SHIPPED), ids=str)
def test_case_of_the_project(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("case", find_cases(SHARED) or [None], ids=str)
def test_case_in_golden_dir(case: Case | None) -> None:
    if case is None:
        pytest.skip(f"no cases in {SHARED}: set GOLDEN_DIR")
    check(case)
