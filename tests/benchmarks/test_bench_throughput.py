"""The grid of frames and resolutions: rows of configs and kernels, failures as cells."""

import itertools
from pathlib import Path

import pytest

from benchmarks import throughput as bench_throughput
from benchmarks.trial import Outcome

ROOT = Path(__file__).resolve().parents[2]
ARGUMENTS = ["--frames", "8", "16", "32", "--sizes", "64"]


def printed_by(monkeypatch, capsys, config, outcome_of, *more):
    """What the bench prints, and the trials it made."""
    tried = []

    def run_trial(cfg, setting, timeout):
        tried.append((cfg.ATTENTION.KERNEL, cfg.DATA.NUM_FRAMES, cfg.DATA.TEST_CROP_SIZE))
        return outcome_of(cfg.DATA.NUM_FRAMES)

    monkeypatch.setattr(bench_throughput, "run_trial", run_trial)
    assert bench_throughput.main(["--cfg", str(config), *ARGUMENTS, *more]) == 0
    return capsys.readouterr().out, tried


def small_config(folder):
    config = folder / "small.yaml"
    config.write_text("VIT: {EMBED_DIM: 24, NUM_HEADS: 3, DEPTH: 1}\n", encoding="utf-8")
    return config


def test_each_kernel_has_a_row(tmp_path, monkeypatch, capsys):
    printed, tried = printed_by(
        monkeypatch,
        capsys,
        small_config(tmp_path),
        lambda frames: Outcome(frames / 2, frames * 2**20),
        *("--kernels", "softmax", "relu"),
    )
    assert tried == [(kernel, n, 64) for kernel in ("softmax", "relu") for n in (8, 16, 32)]
    assert printed.count("4 (8)") == printed.count("16 (32)") == 2


def test_more_frames_are_not_tried_after_a_failure(tmp_path, monkeypatch, capsys):
    printed, tried = printed_by(
        monkeypatch,
        capsys,
        small_config(tmp_path),
        lambda frames: Outcome(1.0, 0) if frames < 16 else Outcome(failure="out of memory"),
    )
    assert [frames for _, frames, _ in tried] == [8, 16]
    assert printed.count("out of memory") == 2


def test_a_config_that_cannot_take_a_size_says_so(tmp_path, monkeypatch, capsys):
    printed, tried = printed_by(
        monkeypatch, capsys, small_config(tmp_path), None, "--opts", "VIT.PATCH_SIZE", "[3, 16, 16]"
    )
    assert not tried
    assert printed.count("cannot be built") == 3


def test_a_broken_off_grid_goes_on_cell_by_cell(tmp_path, monkeypatch, capsys):
    results = tmp_path / "cells.jsonl"
    more = ("--results", str(results))

    def fail_at_32(frames):
        if frames == 32:
            raise KeyboardInterrupt
        return Outcome(frames / 2, frames * 2**20)

    with pytest.raises(KeyboardInterrupt):
        printed_by(monkeypatch, capsys, small_config(tmp_path), fail_at_32, *more)
    results.write_text(results.read_text() + '{"cell": "cut off', encoding="utf-8")
    whole, tried = printed_by(
        monkeypatch, capsys, small_config(tmp_path), lambda frames: Outcome(16.0, 32 * 2**20), *more
    )
    assert [frames for _, frames, _ in tried] == [32]
    assert "4 (8)" in whole
    assert "16 (32)" in whole


def test_table_8_has_its_twelve_settings_of_three_models(monkeypatch, capsys, tmp_path):
    tried = []

    def run_trial(cfg, setting, timeout):
        tried.append((cfg.ATTENTION.KERNEL, cfg.DATA.NUM_FRAMES, cfg.DATA.TEST_CROP_SIZE))
        assert (cfg.VIT.DEPTH, cfg.VIT.EMBED_DIM) == (12, 512)
        return Outcome(1.0, 2**20)

    monkeypatch.setattr(bench_throughput, "run_trial", run_trial)
    assert bench_throughput.main(["--table8", "--results", str(tmp_path / "cells.jsonl")]) == 0
    assert len(set(tried)) == 36
    assert {kernel for kernel, _, _ in tried} == {"relu", "orthoformer", "softmax"}
    shown = capsys.readouterr().out
    assert shown.count("printed") == len(bench_throughput.PRINTED_8) == 36
    page = (ROOT / "docs/feature_fixation.md").read_text(encoding="utf-8")
    for kernel, name in (("", "fixation"), ("orthoformer", "Orthoformer"), ("softmax", "softmax")):
        grid = itertools.product((16, 32, 64, 96), (224, 336, 448))
        printed = [bench_throughput.PRINTED_8[(kernel, *column)] for column in grid]
        assert f"| {name} | {' | '.join(printed)} |" in page


def test_what_the_paper_does_not_print_has_a_dash(monkeypatch, capsys):
    monkeypatch.setattr(bench_throughput, "run_trial", lambda *_: Outcome(2.0, 2**20))
    assert bench_throughput.main(["--table8", "--frames", "16", "24", "--sizes", "224"]) == 0
    shown = capsys.readouterr().out
    assert "2 (1), printed 10.25" in shown
    assert shown.count("2 (1), printed -") == 3
