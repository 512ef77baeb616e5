"""The soak, for a moment: numbers and exit codes are as promised while processes are killed and files damaged."""

import pytest

from benchmarks import soak


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_moment_of_the_soak(capsys):
    assert soak.main(["--minutes", "0.7", "--seed", "3"]) == 0
    assert "0 surprises" in capsys.readouterr().out


def test_a_difference_is_a_surprise(tmp_path, monkeypatch):
    """Of losses or weights, however small in the life of one process."""
    monkeypatch.setattr(soak, "prepare", lambda data: None)
    own = soak.Soak(tmp_path, 0)
    steps, weights = {("1/1", "1/1"): 1.0}, {"w": soak.torch.zeros(2)}
    for found, exact, surprises in (
        ((steps, weights), True, 0),
        (({("1/1", "1/1"): 1.0 + 1e-9}, weights), True, 1),
        (({("1/1", "1/1"): 1.0 + 1e-9}, weights), False, 0),
        (({("1/1", "1/1"): 1.1}, weights), False, 1),
        ((steps, {"w": soak.torch.full((2,), 1e-9)}), True, 1),
        (({}, weights), False, 1),
    ):
        monkeypatch.setattr(soak, "numbers", lambda out, found=found: found)
        own.surprises.clear()
        own._compare(tmp_path, exact, (steps, weights))
        assert len(own.surprises) == surprises, found
