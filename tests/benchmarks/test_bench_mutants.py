"""The tool that changes code in small ways: what its changes are, and that tests which look away let them pass."""

from pathlib import Path

import pytest

from benchmarks.mutants import CAUGHT, SURVIVED, Mutant, main, mutants, tried

SOURCE = '''
def half(x: int | None = 0) -> "int | None":
    """Of x + 1."""
    return (x + 1) / 2 if x > 3 else -x
'''


@pytest.fixture
def package(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    Path("pytest.ini").write_text("[pytest]\naddopts = -n 1\n")  # whose process reads the disk
    Path("halves.py").write_text(SOURCE)
    Path("test_halves.py").write_text(
        "from halves import half\n\n\ndef test_it():\n    assert half(5) == 3\n    assert half(3) == -3\n"
    )
    return Path("halves.py")


def test_changes_are_of_what_the_code_does():
    changes = [mutant.change for mutant in mutants(SOURCE)]
    assert any("(x - 1) / 2" in change for change in changes)
    assert any("(x + 1) * 2" in change for change in changes)
    assert any("x >= 3" in change for change in changes)
    assert not any("&" in change for change in changes)
    assert len(changes) == len(set(changes))


def test_caught_and_survived(package):
    tests = ["-p", "no:cov", "test_halves.py"]
    assert tried(Mutant(SOURCE, ""), package, tests) == SURVIVED
    assert tried(Mutant(SOURCE.replace("x + 1", "x - 1"), ""), package, tests) == CAUGHT
    assert tried(Mutant(SOURCE.replace("= 0", "= 1"), ""), package, tests) == SURVIVED


def test_survivors_are_printed_and_counted(package, capsys, monkeypatch):
    monkeypatch.setattr("benchmarks.mutants.OPERATORS", ["core/NumberReplacer"])
    monkeypatch.setattr("benchmarks.mutants.LOADED", ())
    Path("test_halves.py").write_text(
        "from halves import half\n\n\ndef test_it():\n    assert half(5) == 3\n"
    )
    assert main(["halves.py", "test_halves.py", "--sample", "5"]) == 1
    *survivors, last = capsys.readouterr().out.splitlines()
    assert all(line.startswith("survived: halves.py:-") for line in survivors)
    assert f"{5 - len(survivors)} of 5 changes caught" in last
    assert not any("(x + 2)" in line for line in survivors)


def test_tests_that_do_not_import_the_file(package, capsys, monkeypatch):
    """Each change would survive."""
    monkeypatch.setattr("benchmarks.mutants.LOADED", ())
    Path("test_nothing.py").write_text("def test_it():\n    pass\n")
    with pytest.raises(SystemExit):
        main(["halves.py", "test_nothing.py"])
    assert "the tests do not import halves.py" in capsys.readouterr().err
