"""Both ways to compile are timed, on a small model and without the compiler of C++."""

import pytest

from benchmarks import compile as bench_compile
from benchmarks.compile import Seconds

TINY = ["VIT.EMBED_DIM", "32", "VIT.DEPTH", "2", "VIT.NUM_HEADS", "2", "MODEL.NUM_CLASSES", "5",
        "DATA.TRAIN_CROP_SIZE", "32", "DATA.TEST_CROP_SIZE", "32", "DATA.NUM_FRAMES", "2"]  # fmt: skip
CFG = "exp/motionformer_k400/config.yaml"


@pytest.mark.slow
def test_the_first_step_of_both_ways_takes_longer(monkeypatch, capsys):
    """Each way runs three steps; what the first takes more than the third is compiling."""
    for name in ("CACHE_DIR", "COMPILE_THREADS"):
        monkeypatch.setenv(f"TORCHINDUCTOR_{name}", "")  # what the bench sets ends with the test
    ways = []

    def here(timeout, work, dumped, way, backend, cache):
        ways.append((way, work(dumped, way, backend, cache)))
        return ways[-1][1]

    monkeypatch.setattr(bench_compile, "in_own_process", here)
    assert bench_compile.main(["--cfg", CFG, "--backend", "aot_eager", "--opts", *TINY]) == 0
    assert [way for way, _ in ways] == ["whole", "blocks"]
    for way, steps in ways:
        assert len(steps) == 3
        assert steps[0].cpu > steps[2].cpu, way
    assert str(ways[1][1][0]) in capsys.readouterr().out


def test_a_way_that_fails_is_named(monkeypatch, capsys):
    monkeypatch.setattr(
        bench_compile, "in_own_process", lambda *_: bench_compile.Failure("no compiler")
    )
    assert bench_compile.main(["--cfg", CFG, "--ways", "blocks", "--opts", *TINY]) == 1
    assert "no compiler" in capsys.readouterr().out


def test_seconds_are_those_of_processor_and_clock():
    assert str(Seconds(5.0, 9.0) - Seconds(2.0, 3.0)) == "3.0 (6.0)"
