"""exp/run.sh: what it runs on one machine, and under Slurm (played by small scripts)."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
EXP = ROOT / "exp/motion_vit_joint"
SCONTROL = (
    f'if [ "$2" = job ]; then echo "   Command={EXP}/test.sh RNG_SEED 7"; else echo node0; fi'
)


def script(path, text):
    path.write_text(f"#!/usr/bin/env bash\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def launch(tmp_path):
    """Starts run.sh or test.sh with a python that writes down how it was called and ends with `code`.

    With `told` not before SIGUSR1 says so; it can take the signal from the moment that its call is written down.
    """

    def start(name, *pairs, code=0, told=False, slurm=False, cwd=None):
        wait = "sleep 600 & wait $!; exit 1" if told else f"exit {code}"
        script(
            tmp_path / "python",
            f"trap 'kill $!; exit {code}' USR1; echo \"$@\" >>{tmp_path}/calls; {wait}",
        )
        environment = {**os.environ, "PYTHON": str(tmp_path / "python")}
        if slurm:
            script(tmp_path / "scontrol", f'echo "$@" >>{tmp_path}/scontrol_calls; {SCONTROL}')
            script(tmp_path / "srun", 'shift; export SLURM_STEP_ID=0 SLURM_NODEID=1; exec "$@"')
            environment |= {
                "SLURM_JOB_ID": "77",
                "SLURM_JOB_NODELIST": "node[0-1]",
                "SLURM_NNODES": "2",
            }
            environment["PATH"] = f"{tmp_path}:{environment['PATH']}"
        return subprocess.Popen(
            ["bash", str(name if cwd else EXP / name), *pairs], env=environment, cwd=cwd
        )

    return start


def calls(tmp_path, name="calls"):
    path = tmp_path / name
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.parametrize(("name", "train"), [("run.sh", "True"), ("test.sh", "False")])
def test_one_machine(launch, tmp_path, name, train):
    assert launch(name, "RNG_SEED", "7", code=3).wait() == 3
    (call,) = calls(tmp_path)
    assert f"--cfg {EXP}/config.yaml TRAIN.ENABLE {train}" in call
    assert "NUM_GPUS -1" in call
    assert call.endswith("RNG_SEED 7")


def test_slurm_gives_nodes_and_does_not_requeue_a_finished_job(launch, tmp_path):
    assert launch("run.sh", slurm=True).wait() == 0
    (call,) = calls(tmp_path)
    assert "NUM_SHARDS 2 SHARD_ID 1" in call
    assert calls(tmp_path, "scontrol_calls") == ["show hostnames node[0-1]"]


def test_slurm_passes_the_signal_on_and_requeues(launch, tmp_path):
    job = launch("run.sh", code=75, told=True, slurm=True)
    deadline = time.monotonic() + 120
    while not calls(tmp_path):
        assert job.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    job.send_signal(signal.SIGUSR1)
    assert job.wait(timeout=120) == 75
    assert calls(tmp_path, "scontrol_calls")[-1] == "requeue 77"


@pytest.mark.parametrize("place", [EXP, EXP.parent, ROOT])
def test_relative_path_from_any_folder(launch, tmp_path, place):
    assert launch(os.path.relpath(EXP / "run.sh", place), cwd=place).wait() == 0
    assert f"--cfg {EXP}/config.yaml" in calls(tmp_path)[0]
    assert f"OUTPUT_DIR {ROOT}/output/{EXP.name}" in calls(tmp_path)[0]


def test_the_copy_that_sbatch_runs_finds_its_experiment(launch, tmp_path):
    copy = tmp_path / "slurm_script"
    copy.write_text((EXP / "test.sh").read_text())
    assert launch(copy, "RNG_SEED", "7", slurm=True).wait() == 0
    (call,) = calls(tmp_path)
    assert f"--cfg {EXP}/config.yaml TRAIN.ENABLE False" in call
    assert call.endswith("RNG_SEED 7")
