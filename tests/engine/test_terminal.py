"""What a run shows on a terminal, in a pipe and in its files; the loggers beside them."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import pytest
from terminal import Terminal
from tiny_run import command, config, losses, run_command

from slowfast_ext.cli import jobs
from slowfast_ext.cli.signals import PATIENCE
from slowfast_ext.data import advice
from slowfast_ext.data.advice import SlowData, memory_in_words
from slowfast_ext.data.loader import LoaderOptions
from slowfast_ext.engine.log import read_stats
from slowfast_ext.errors import ConfigError, DataError
from slowfast_ext.loggers import LOGGERS, Logger, Loggers
from slowfast_ext.options import Options, option, section
from slowfast_ext.screen import LiveScreen, Progress, Screen, in_words, open_screen

PATIENT = 240
"""Seconds that a busy machine may take for what takes a few."""

COLOUR = re.compile(rb"\x1b\[[\d;]*m")


@pytest.fixture
def on_terminal(monkeypatch):
    """Runs something with a terminal of some width as its stdout; returns the terminal."""

    def run(call, columns=100, term="xterm"):
        terminal = Terminal(columns)
        for name in ("NO_COLOR", "FORCE_COLOR"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("TERM", term)
        monkeypatch.setenv("COLUMNS", str(columns))
        stream = terminal.stream()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", stream)
            try:
                call()
            finally:
                assert sys.stdout is stream
                stream.close()
                terminal.close()
        return terminal

    return run


def drawn(raw):
    """Every state of the progress line."""
    plain = re.sub(rb"\x1b\[[^A-Za-z]*[A-Za-z]", b"", raw).decode()
    return [part for part in re.split(r"[\r\n]+", plain) if re.match(r"(epoch|validation|test) .*\d/\d", part)
            and "[" not in part and "best:" not in part]  # fmt: skip


def test_terminal_shows_progress_rows_and_the_end(settings, on_terminal, monkeypatch):
    monkeypatch.setattr("slowfast_ext.screen.REDRAW_SECONDS", 0.0)
    cfg = config(settings, LOG_PERIOD=2)
    terminal = on_terminal(lambda: jobs.train_and_test(cfg), columns=160)
    out = settings["OUTPUT_DIR"]
    rows = [line for line in terminal.lines if line.startswith("epoch ")]
    assert [row.split(" | ")[0] for row in rows] == ["epoch 1/2", "epoch 2/2"]
    (best,) = {row.split(" | ")[-2] for row in rows[-1:]}
    for row in rows:
        assert all(word in row for word in ("loss ", "top1 ", "validation: top1", "best: top1"))
    assert f"best validation: {best.removeprefix('best: ')}" in terminal.text
    final = json.loads((out / "results/metrics.json").read_text())
    assert f"test: {in_words('top1_acc', final['top1_acc'])}" in terminal.text
    assert f"slowfast-ext report {out}" in terminal.text
    assert f"--weights {out / 'checkpoints/checkpoint_best.pyth'} VIDEO" in terminal.text
    assert "python 3" in terminal.lines[0]
    assert "video readers: " in terminal.lines[0]
    assert "json_stats" not in terminal.text
    assert " step " not in terminal.text
    states = drawn(terminal.raw)
    assert any("epoch 2/2 ━" in state and "clips/s" in state and "ETA" in state for state in states)
    assert any(state.startswith("validation") for state in states)
    assert any(state.startswith("test") for state in states)
    log = (out / "stdout.log").read_text()
    assert len(re.findall(r"json_stats: \{", log)) == len(read_stats(out))
    assert len(re.findall(r"epoch \d/2 step \d/4 \| loss", log)) == 4
    assert "best validation" in log
    assert "\x1b" not in log


def test_the_terminal_is_left_as_it_was_found(settings, on_terminal):
    def fail():
        with pytest.raises(DataError):
            jobs.train_and_test(
                config(settings, SOLVER__BASE_LR=1e30, SOLVER__OPTIMIZING_METHOD="sgd",
                       TRAIN__MAX_BAD_STEPS=2, TRAIN__BATCH_SIZE=1)
            )  # fmt: skip

    terminal = on_terminal(fail)
    assert b"epoch 1/2 " in terminal.raw
    assert "epoch 1/2" not in terminal.text
    # The cursor is shown again at once whenever it was hidden: a kill finds it visible.
    assert not re.search(rb"\x1b\[\?25l(?!\x1b\[\?25h)", terminal.raw)


@pytest.mark.parametrize(("columns", "term"), [(40, "xterm"), (100, "dumb")])
def test_narrow_and_simple_terminals(settings, on_terminal, columns, term, monkeypatch):
    monkeypatch.setattr("slowfast_ext.screen.REDRAW_SECONDS", 0.0)
    cfg = config(settings, TEST__ENABLE=False)
    terminal = on_terminal(lambda: jobs.train_and_test(cfg), columns, term)
    if term == "dumb":
        assert b"\x1b" not in terminal.raw
        assert len(re.findall(r"epoch \d/2 step", terminal.text)) == 8
    else:
        states = drawn(terminal.raw)
        assert max(map(len, states)) < columns
        assert any("loss" in state for state in states)


def test_no_color(on_terminal, monkeypatch):
    def warn():
        import logging

        record = logging.LogRecord(
            "slowfast_ext", logging.WARNING, "", 0, "[bold]a[/bold] %d", (1,), None
        )
        screen = open_screen()
        screen.handler().handle(record)

    assert COLOUR.search(on_terminal(warn).raw)

    def warn_without():
        monkeypatch.setenv("NO_COLOR", "1")
        warn()

    terminal = on_terminal(warn_without)
    assert not COLOUR.search(terminal.raw)
    assert terminal.lines[0] == "[bold]a[/bold] 1"


def test_what_libraries_print_stands_above_the_line(on_terminal):
    def run():
        screen = open_screen()
        screen.progress(Progress("epoch 1/2", 1, 4))
        print("from a library")
        screen.progress(Progress("epoch 1/2", 2, 4))
        screen.clear()
        print("afterwards")

    assert on_terminal(run).lines[:2] == ["from a library", "afterwards"]


def test_a_pipe_gets_plain_lines(settings, monkeypatch):
    done = run_command(settings, LOG_PERIOD=2, env={"FORCE_COLOR": "1", "TERM": "xterm"})
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert "json_stats" not in done.stdout
    assert len(re.findall(r"epoch \d/2 step \d/4 \| loss", done.stdout)) == 4
    assert len(re.findall(r"epoch \d/2 \| loss .* \| best: top1", done.stdout)) == 2
    assert "next:" in done.stdout
    screen = open_screen()
    assert type(screen) is Screen


def start(settings, terminal, **changes):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TERM": "xterm"}
    environment.pop("COLUMNS", None)
    return subprocess.Popen(
        command(settings, **changes), env=environment, start_new_session=True,
        stdin=terminal.slave, stdout=terminal.slave, stderr=terminal.slave,
    )  # fmt: skip


def wait_for(terminal, process, words):
    """Until the terminal shows them."""
    deadline = time.monotonic() + PATIENT
    while words not in terminal.raw:
        assert process.poll() is None, terminal.text
        assert time.monotonic() < deadline, terminal.text
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_a_signal_clears_the_line_and_says_how_to_go_on(settings, processes):
    terminal = Terminal(120)
    process = start(
        settings, terminal, NUM_GPUS=processes, SOLVER__MAX_EPOCH=500, TEST__ENABLE=False
    )
    wait_for(terminal, process, b"clips/s")
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=PATIENT) == 75
    terminal.close()
    last = [line for line in terminal.lines if line][-1]
    assert re.match(r"stopped by SIGTERM( during an evaluation)?; .*(goes on|start it again)", last)
    rows = [line.split(" | ")[0] for line in terminal.lines if "best: top1" in line]
    assert len(set(rows)) == len(rows)
    assert not re.search(rb"\x1b\[\?25l(?!\x1b\[\?25h)", terminal.raw)


@pytest.mark.slow
@pytest.mark.parametrize(("processes", "times"), [(1, 1), (2, 1), (1, 2), (2, 2)])
def test_ctrl_c_saves_and_a_second_one_ends_at_once(settings, processes, times):
    terminal = Terminal(120)
    process = start(
        settings, terminal, NUM_GPUS=processes, SOLVER__MAX_EPOCH=500, TEST__ENABLE=False,
        TRAIN__BATCH_SIZE=24 if times > 1 else 6, TRAIN__ACCUMULATE=1, VIT__DEPTH=400 if times > 1 else 2,
    )  # fmt: skip
    wait_for(terminal, process, b"learning rate" if times > 1 else b"clips/s")
    os.killpg(process.pid, signal.SIGINT)
    if times > 1:
        wait_for(terminal, process, b"Ctrl-C once more ends at once")
        time.sleep(2 * PATIENCE)
        os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=PATIENT) == (75 if times == 1 else 130)
    terminal.close()
    assert "Ctrl-C once more ends at once" in terminal.text
    assert "Traceback" not in terminal.text
    ending = "stopped by SIGINT" if times == 1 else "interrupted; the same command goes on"
    assert ending in [line for line in terminal.lines if line][-1]


def test_numbers_are_those_of_a_pipe(settings, tmp_path, on_terminal):
    piped = {**settings, "OUTPUT_DIR": tmp_path / "piped"}
    jobs.train_and_test(config(piped, TEST__ENABLE=False))
    on_terminal(lambda: jobs.train_and_test(config(settings, TEST__ENABLE=False)))
    assert losses(settings) == losses(piped)
    for kind in ("train_epoch", "val_epoch"):
        assert read_stats(settings["OUTPUT_DIR"], kind) == read_stats(piped["OUTPUT_DIR"], kind)


def test_best_epoch_survives_a_resume(settings, capsys):
    jobs.train_and_test(config(settings, TEST__ENABLE=False))
    before = capsys.readouterr().out.splitlines()
    jobs.train_and_test(config(settings, TEST__ENABLE=False))
    after = capsys.readouterr().out.splitlines()
    best = [
        [line.split("] ")[1] for line in lines if "best validation" in line]
        for lines in (before, after)
    ]
    assert best[0] == best[1] != []


def test_a_line_fits():
    progress = Progress("epoch 1/2", 3, 4, ("loss 2.5", "top1 20.0 %", "ETA 0:00:10"))
    assert (
        progress.fitted(80)
        == "epoch 1/2 ━━━━━━━━━━━━╌╌╌╌ 3/4 | loss 2.5 | top1 20.0 % | ETA 0:00:10"
    )
    assert progress.fitted(80, ascii_only=True).startswith("epoch 1/2 ############---- 3/4")
    assert progress.fitted(30) == "epoch 1/2 3/4 | loss 2.5"
    assert progress.fitted(5) == "epoch"


def test_tensorboard_has_curves_confusion_and_settings(settings):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    jobs.train_and_test(config(settings, TENSORBOARD__ENABLE=True))
    board = EventAccumulator(str(settings["OUTPUT_DIR"] / "tensorboard"))
    board.Reload()
    tags = board.Tags()
    curve = [event.value for event in board.Scalars("train_iter/loss")]
    assert curve == pytest.approx([loss for loss, _, _ in losses(settings).values()], rel=1e-5)
    assert {"val_epoch/top1_acc", "test_final/top1_acc", "result/top1_acc"} <= set(tags["scalars"])
    assert tags["images"] == ["confusion"]
    assert board.Images("confusion")[0].width > 100
    start_info = board.PluginTagToContent("hparams")["_hparams_/session_start_info"]
    assert b"SOLVER.BASE_LR" in start_info
    assert b"VIT.PATCH_SIZE" in start_info


def test_wandb_offline_has_numbers_confusion_and_settings(settings, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    jobs.train_and_test(config(settings, WANDB__ENABLE=True, WANDB__PROJECT="mine"))
    out = settings["OUTPUT_DIR"]
    (file,) = (out / "wandb").glob("offline-run-*/*.wandb")
    written = file.read_bytes()
    words = (
        b"train_iter/loss",
        b"val_epoch/top1_acc",
        b"test_final/top1_acc",
        b"result/top1_acc",
        b"SOLVER.MAX_EPOCH",
        b"mine",
    )
    assert [word for word in words if word not in written] == []
    assert len(list(file.parent.rglob("*.png"))) == 1
    assert (out / "wandb_run.txt").read_text() in file.name
    assert "wandb sync" in (out / "stdout.log").read_text()


def test_wandb_that_is_not_installed_is_said_at_the_start(settings, monkeypatch):
    from slowfast_ext.config import load_config
    from slowfast_ext.engine.checks import CHECKS

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    pairs = [str(part) for item in {**settings, "WANDB.ENABLE": True}.items() for part in item]
    with pytest.raises(ConfigError, match=r"WANDB.ENABLE.*\n?.*slowfast_ext\[wandb\]"):
        load_config([], pairs, CHECKS)


class Failing(Logger):
    """Breaks at one of its calls."""

    def __init__(self, where):
        self.where, self.calls = where, 0
        self.fail("init")

    def fail(self, where):
        self.calls += 1
        if where == self.where:
            raise OSError("no route to host")

    def scalars(self, kind, numbers, step):
        self.fail("scalars")

    def finish(self, metrics):
        self.fail("finish")

    def close(self):
        self.fail("close")


@pytest.mark.parametrize("where", ["init", "scalars", "finish", "close"])
def test_a_logger_that_fails_is_one_warning(settings, monkeypatch, where, capsys):
    monkeypatch.setattr(
        jobs, "build_loggers", lambda cfg: Loggers({"mine": lambda: Failing(where)})
    )
    jobs.train_and_test(config(settings))
    lines = [line for line in capsys.readouterr().out.splitlines() if "no route to host" in line]
    assert len(lines) == 1
    assert "mine failed and is left out from here on, the run goes on" in lines[0]
    assert read_stats(settings["OUTPUT_DIR"], "test_final")


def test_a_logger_of_ones_own_is_one_class(settings, monkeypatch):
    seen = []

    @section("MINE", "A logger of one's own")
    @dataclass(frozen=True)
    class MineOptions(Options):
        enable: bool = option(False, "use it")

    monkeypatch.setattr(LOGGERS, "_things", dict(LOGGERS._things))

    @LOGGERS.register("mine", MineOptions)
    class Mine(Logger):
        def __init__(self, options, folder, settings):
            seen.append(settings["SOLVER.MAX_EPOCH"])

        def finish(self, metrics):
            seen.append(sorted(metrics))

    try:
        jobs.train_and_test(config(settings, MINE__ENABLE=True, TEST__ENABLE=False))
    finally:
        from slowfast_ext.options import _SECTIONS

        del _SECTIONS["MINE"]
    assert seen == [2, ["top1_acc"]]


def test_slow_data_is_said_once_with_what_helps(monkeypatch):
    monkeypatch.setattr(advice, "cores", lambda: 16)
    slow = SlowData(LoaderOptions(num_workers=2), processes=2, repeats=1)
    assert [slow.add(50, 0.1) for _ in range(5)] == [""] * 5
    slow = SlowData(LoaderOptions(num_workers=2), processes=2, repeats=1)
    said = [slow.add(50, 0.6) for _ in range(9)]
    (text,) = filter(None, said)
    assert said.index(text) == 2
    assert "60 % of the last 150 s" in text
    assert "DATA_LOADER.NUM_WORKERS (now 2 for each of 2 processes, 16 cores)" in text
    assert "AUG.NUM_SAMPLE" in text
    full = SlowData(LoaderOptions(num_workers=8), processes=2, repeats=2)
    assert "more cores (all 16 are in use)" in full.add(200, 0.9)


def test_host_memory_of_the_batches(settings, monkeypatch, tmp_path):
    assert memory_in_words(config(settings), 1) == ("", True)
    cfg = config(settings, DATA_LOADER__NUM_WORKERS=4, TRAIN__BATCH_SIZE=64, DATA__NUM_FRAMES=16,
                 DATA__TRAIN_CROP_SIZE=224, AUG__NUM_SAMPLE=2)  # fmt: skip
    one = 32 * 2 * 16 * 3 * 224 * 224
    words, fits = memory_in_words(cfg, 2)
    assert (
        f"8 workers keep up to 16 batches of {one / 2**20:.1f} MiB ready: {16 * one / 2**30:.1f} GiB"
        in words
    )
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 64 << 20}))
    monkeypatch.setattr(advice, "SHARED_MEMORY", tmp_path)
    words, fits = memory_in_words(cfg, 2)
    assert not fits
    assert "--shm-size" in words


def test_a_loader_process_does_not_draw(on_terminal):
    def run():
        screen = open_screen()
        assert isinstance(screen, LiveScreen)
        screen.progress(Progress("epoch 1/2", 1, 4))
        child = os.fork()
        if child == 0:
            screen.show("from a loader process", "")
            os._exit(0)
        os.waitpid(child, 0)
        screen.clear()

    raw = on_terminal(run).raw
    assert raw.count(b"epoch 1/2") <= 2
    assert b"from a loader process" in raw
