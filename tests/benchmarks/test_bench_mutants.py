"""The tool that changes code in small ways: what its changes are, and that tests which look away let them pass."""

from pathlib import Path

import pytest

from benchmarks.mutant_trials import CAUGHT, SURVIVED, changed_functions, reloaded
from benchmarks.mutants import main, rows
from benchmarks.mutation import Mutant, mutants

SOURCE = '''
LIMIT = 3


def half(x: int | None = 0) -> "int | None":
    """Of x + 1."""
    return (x + 1) / 2 if x > LIMIT else -x


def unused(x):
    return x * 2


def power(n):
    return lambda x: x**n + 1


square = power(2)
'''
TESTS = """
from halves import half, square


def test_it():
    assert square(3) == 10
    assert half(5) == 3
    assert half(3) == -3
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("benchmarks.mutants.LOADED", ())
    Path("pytest.ini").write_text("[pytest]\naddopts = -n 1\n")  # whose process reads the disk
    Path("halves.py").write_text(SOURCE)
    Path("test_halves.py").write_text(TESTS)
    return Path("halves.py")


def test_changes_are_of_what_the_code_does():
    changes = [mutant.change for mutant in mutants(SOURCE)]
    assert any("(x - 1) / 2" in change for change in changes)
    assert any("(x + 1) * 2" in change for change in changes)
    assert any("x >= LIMIT" in change for change in changes)
    assert not any("&" in change for change in changes)
    assert len(changes) == len(set(changes))
    assert sorted(mutant.change for mutant in mutants(SOURCE, 7)) == sorted(changes)


def test_which_functions_a_change_is_of():
    def changed(*pair):
        pairs = changed_functions(
            compile(SOURCE, "", "exec"), compile(SOURCE.replace(*pair), "", "exec")
        )
        return pairs and [old.co_name for old, _ in pairs]

    assert changed("x + 1)", "x - 1)") == ["half"]
    assert changed("n + 1", "n - 1") == ["power", "<lambda>"]
    assert changed("x", "x") == []
    assert changed("= 3", "= 4") is None
    assert changed("= 0", "= 1") is None


def test_caught_and_survived_in_a_process_that_imports_anew(package):
    for words, changed, verdict in (
        ("x + 1)", "x - 1)", CAUGHT),
        ("LIMIT = 3", "LIMIT = 5", CAUGHT),
        ("= 0", "= 1", SURVIVED),
    ):
        mutant = Mutant(SOURCE.replace(words, changed), "")
        assert reloaded(mutant, package, ["test_halves.py"]) == verdict


def test_survivors_are_printed_and_counted(package, capsys, monkeypatch):
    """A function that no test calls; what is outside of functions goes to a process of its own."""
    outside = []
    monkeypatch.setattr(
        "benchmarks.mutants.reloaded",
        lambda mutant, path, tests: outside.append((mutant.change, tests)) or SURVIVED,
    )
    assert main(["halves.py", "--tests", "test_halves.py"]) == 1
    *survivors, head, file, _, seconds = capsys.readouterr().out.splitlines()
    assert all(line.startswith("survived: halves.py:-") for line in survivors)
    assert sum("x * 2" in line for line in survivors) == len(outside) - 6
    assert sum("LIMIT = 3" in change for change, _ in outside) == 2
    assert all(tests == ["test_halves.py::test_it"] for _, tests in outside)
    assert not any("(x + 1) / 2" in line or "x**n" in line for line in survivors)
    assert head.split() == ["file", "tried", "caught", "survived", "share", "equivalent"]
    name, tried, caught, survived, *_ = file.split()
    assert (name, int(survived)) == ("halves.py", len(survivors))
    assert int(tried) == int(caught) + len(survivors) == len(list(mutants(SOURCE)))
    assert seconds.endswith(" s")


def test_tests_that_fail_anyway(package):
    Path("test_halves.py").write_text("def test_it():\n    assert False\n")
    with pytest.raises(SystemExit, match=r"no test passes without any change: test_halves\.py"):
        main(["halves.py", "--tests", "test_halves.py"])


def test_a_file_without_tests_is_named(package, capsys):
    with pytest.raises(SystemExit):
        main(["halves.py"])
    assert "names no tests for halves.py" in capsys.readouterr().err


def test_the_table_names_files_and_tests_that_are_there():
    for row in rows():
        assert row.files
        assert all(Path(test.partition("::")[0]).exists() for test in row.tests + row.outside)
