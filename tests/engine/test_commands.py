"""The command line as a user types it: exit codes, messages, several processes, signals."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest
import torch
from tiny_run import ROOT, command, final_weights, losses, pairs_of, run_command

from slowfast_ext.engine.checkpoint import CheckpointStore
from slowfast_ext.engine.log import read_stats

STEPS = 8


def test_help_explain_and_print_need_no_data():
    tool = [sys.executable, str(ROOT / "tools/run_net.py")]
    assert (
        "--cfg"
        in subprocess.run([*tool, "--help"], capture_output=True, text=True, check=True).stdout
    )
    explained = subprocess.run(
        [*tool, "--explain", "TRAIN.BATCH_SIZE"], capture_output=True, text=True, check=True
    )
    assert "videos" in explained.stdout
    printed = subprocess.run(
        [*tool, "--print-cfg", "--opts", "SOLVER.BASE_LR", "0.3"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "SOLVER.BASE_LR: 0.3" in printed.stdout


def test_files_and_pairs_in_one_go(tmp_path):
    (tmp_path / "a.yaml").write_text("SOLVER:\n  BASE_LR: 0.25\n")
    tool = [sys.executable, str(ROOT / "tools/run_net.py"), "--print-cfg"]
    for order in (
        ["--cfg", "a.yaml", "RNG_SEED", "7"],
        ["--cfg", "a.yaml", "--opts", "RNG_SEED", "7"],
    ):
        printed = subprocess.run(
            [*tool, *order], capture_output=True, text=True, check=True, cwd=tmp_path
        ).stdout
        assert "RNG_SEED: 7" in printed
        assert "SOLVER.BASE_LR: 0.25" in printed


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"TRAIN.BATCHSIZE": 8}, ["TRAIN.BATCHSIZE", "did you mean TRAIN.BATCH_SIZE"]),
        ({"MODEL.BACKBONE": "unifromer"}, ["MODEL.BACKBONE", "did you mean uniformer"]),
        ({"ATTENTION.KERNEL": "sofmax"}, ["ATTENTION.KERNEL", "softmax"]),
        ({"TRAIN.DATASET": "motionshape"}, ["TRAIN.DATASET", "motionshapes"]),
        ({"DATA.SAMPLING_RATE": 8}, ["DATA.NUM_FRAMES", "spans 25 frames", "MOTION.NUM_FRAMES"]),
        ({"VIT.PATCH_SIZE": "[2, 7, 7]"}, ["VIT.PATCH_SIZE"]),
        ({"NUM_GPUS": 4}, ["TRAIN.BATCH_SIZE", "4 processes"]),
    ],
)
def test_bad_configuration_is_one_message(settings, changes, words):
    done = run_command({**settings, **changes})
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert all(word in done.stderr for word in words), done.stderr
    assert not settings["OUTPUT_DIR"].exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become a user without rights")
def test_output_dir_that_cannot_be_written(settings, tmp_path):
    (tmp_path / "file").write_text("")
    done = run_command({**settings, "OUTPUT_DIR": tmp_path / "file/below"})
    assert done.returncode == 2
    assert "OUTPUT_DIR" in done.stderr
    assert "Traceback" not in done.stderr


def test_label_out_of_range_names_file_and_line(settings, tmp_path):
    (tmp_path / "train.csv").write_text("a.mp4 0\nb.mp4 12\n")
    (tmp_path / "val.csv").write_text("a.mp4 0\n")
    done = run_command(
        settings,
        TRAIN__DATASET="kinetics",
        TEST__DATASET="kinetics",
        DATA__PATH_TO_DATA_DIR=tmp_path,
    )
    assert done.returncode == 2
    assert "train.csv:2" in done.stderr
    assert "Traceback" not in done.stderr


def test_missing_files_are_named(settings, tmp_path):
    for name in ("train.csv", "val.csv"):
        (tmp_path / name).write_text("nowhere.mp4 0\n")
    done = run_command(
        settings,
        TRAIN__DATASET="kinetics",
        TEST__DATASET="kinetics",
        DATA__PATH_TO_DATA_DIR=tmp_path,
    )
    assert done.returncode == 2
    assert "nowhere.mp4" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def one_process(settings, tmp_path):
    """The run of one process that the others must equal."""
    own = {**settings, "OUTPUT_DIR": tmp_path / "one"}
    done = run_command(own)
    assert done.returncode == 0, done.stderr
    return own


def final_metrics(settings):
    return json.loads((settings["OUTPUT_DIR"] / "results/metrics.json").read_text())


@pytest.mark.slow
def test_two_and_three_processes_equal_one(settings, tmp_path, one_process):
    """Losses within 1e-4, weights within 1e-4, metrics of 13 videos exactly."""
    for count in (2, 3):
        own = {**settings, "OUTPUT_DIR": tmp_path / f"p{count}"}
        done = run_command(own, NUM_GPUS=count)
        assert done.returncode == 0, done.stderr
        assert final_metrics(own) == final_metrics(one_process)
        for where, (loss, rate, _) in losses(one_process).items():
            assert losses(own)[where][:2] == (pytest.approx(loss, abs=1e-4), rate)
        for name, tensor in final_weights(one_process).items():
            torch.testing.assert_close(final_weights(own)[name], tensor, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_module_starts_its_processes_itself_and_test_does_not_train(
    settings, tmp_path, one_process
):
    own = {**settings, "OUTPUT_DIR": tmp_path / "module", "NUM_GPUS": 2}
    module = [sys.executable, "-m", "slowfast_ext"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for name, changes in (("train", {"TEST.ENABLE": False}), ("test", {})):
        subprocess.run(
            [*module, name, *pairs_of({**own, **changes})],
            env=environment,
            check=True,
            timeout=300,
        )
    assert final_metrics(own) == final_metrics(one_process)
    assert losses(own).keys() == losses(one_process).keys()


def test_commands_are_listed_without_torch():
    code = "import sys, slowfast_ext.cli as c; c.main(['--help']); print(*{'torch', 'yaml'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *commands, loaded = done.stdout.splitlines()
    assert {"train", "test"} <= {line.split(" ")[0] for line in commands}
    assert loaded == ""


@pytest.mark.slow
def test_torchrun_equals_one_process(settings, tmp_path, one_process):
    own = {**settings, "OUTPUT_DIR": tmp_path / "torchrun"}
    launcher = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
    ]
    done = subprocess.run(
        [*launcher, str(ROOT / "tools/run_net.py"), *pairs_of(own)],
        capture_output=True, text=True, timeout=300, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert final_metrics(own) == final_metrics(one_process)


def start(settings, **changes):
    """The run in the background, in a process group of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command(settings, **changes), env=environment, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def wait_for_steps(settings, process, count):
    """Until so many steps are logged, or the process has ended."""
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if len(read_stats(settings["OUTPUT_DIR"], "train_iter")) >= count:
            return
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
@pytest.mark.parametrize("processes", [1, 2])
def test_signal_checkpoints_and_ends_with_75(settings, number, processes):
    process = start(settings, NUM_GPUS=processes, SOLVER__MAX_EPOCH=500, TEST__ENABLE=False)
    wait_for_steps(settings, process, 2)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 75, errors
    assert number.name in errors
    assert "Traceback" not in errors
    assert CheckpointStore(settings["OUTPUT_DIR"], 0).newest_sound() is not None


@pytest.mark.slow
def test_a_killed_rank_takes_the_job_down(settings):
    process = start(settings, NUM_GPUS=2, SOLVER__MAX_EPOCH=500, TEST__ENABLE=False)
    wait_for_steps(settings, process, 2)
    children = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True
    )
    victim = int(children.stdout.split()[-1])
    os.kill(victim, signal.SIGKILL)
    killed = time.monotonic()
    _, errors = process.communicate(timeout=60)
    assert time.monotonic() - killed < 60
    assert process.returncode == 1
    assert "was killed by signal 9" in errors


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_twenty_kills_cost_nothing(settings, tmp_path):
    """SIGKILL at random moments, 20 times and more: losses and weights of the unbroken run, bit for bit."""
    more = {"SOLVER__MAX_EPOCH": 6, "TRAIN__CHECKPOINT_STEPS": 1, "TEST__ENABLE": False, "TRAIN__EMA_DECAY": 0.9,
            "MIXUP__ENABLE": True, "MODEL__DROP_PATH": 0.2}  # fmt: skip
    unbroken = {**settings, "OUTPUT_DIR": tmp_path / "unbroken"}
    assert run_command(unbroken, **more).returncode == 0
    chance = random.Random(0)
    for kill in range(20):
        process = start(settings, DATA_LOADER__NUM_WORKERS=kill % 3, **more)
        done = len(losses(settings))
        wait_for_steps(settings, process, min(done + chance.choice([0, 1, 1, 2]), 23))
        time.sleep(chance.uniform(0, 0.05))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert run_command(settings, **more).returncode == 0
    assert losses(settings) == losses(unbroken)
    for name, tensor in final_weights(unbroken).items():
        assert torch.equal(final_weights(settings)[name], tensor)
