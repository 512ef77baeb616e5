"""What a wheel gives to somebody without a checkout: models, data sets, the command line, several processes."""

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from engine.tiny_run import pairs_of

ROOT = Path(__file__).resolve().parents[1]

NOTEBOOK = """
import json, sys
import slowfast_ext
from torch.utils.data import DataLoader
from slowfast_ext.data.motion import MotionOptions

folder = sys.argv[1]
assert slowfast_ext.__file__.startswith(folder), slowfast_ext.__file__
assert "motionformer_b" in slowfast_ext.list_models("*former*")
assert slowfast_ext.create_model("deit_s", num_classes=174).head.out_features == 174
cfg = slowfast_ext.load_config([], ["VIT.DEPTH", "2"])
assert cfg.VIT.DEPTH == 2
options = (MotionOptions(num_train=24, num_val=13, size=32, num_frames=8),)
dataset = slowfast_ext.create_dataset("motionshapes", folder + "/motion", split="val",
    num_frames=4, sampling_rate=2, crop_size=32, options=options)
clips, labels = next(iter(DataLoader(dataset, batch_size=2)))
model = slowfast_ext.load_model(folder + "/out/checkpoints/checkpoint_best.pyth")
assert model(clips).shape == (2, 12)
print(json.dumps(slowfast_ext.evaluate(model, dataset)))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with the package as its wheel unpacks it, and the names in the wheel."""
    pytest.importorskip("setuptools")
    folder = tmp_path_factory.mktemp("wheel")
    skip = shutil.ignore_patterns(".*", "exp", "build", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, folder / "source", ignore=skip)
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "-w", folder, folder / "source"], check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "installed")
        return folder / "installed", archive.namelist()


def run(folder, *arguments):
    """Python away from the checkout, with the unpacked wheel alone on its path."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        env={"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"},
        cwd=folder, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_wheel_holds_every_file_of_the_package(installed):
    _, names = installed
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith("dist-info")} == {"slowfast_ext"}
    assert "slowfast_ext/py.typed" in names
    files = (path for path in (ROOT / "slowfast_ext").rglob("*") if path.is_file())
    wanted = {path.relative_to(ROOT).as_posix() for path in files if path.suffix != ".pyc"}
    assert wanted <= set(names)


@pytest.mark.slow
def test_a_wheel_trains_on_two_processes_and_serves_a_notebook(installed):
    folder, _ = installed
    settings = {"OUTPUT_DIR": folder / "out", "DATA.PATH_TO_DATA_DIR": folder / "motion"}
    run(folder, "-m", "slowfast_ext", "train", *pairs_of(settings), "NUM_GPUS", "2")
    metrics = json.loads(run(folder, "-c", NOTEBOOK, folder))
    assert set(metrics) == {"top1_acc", "top5_acc", "mean_class_acc"}
