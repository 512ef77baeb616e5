"""Each kind of thing is added by one new file that IMPORT names, and trained and tested with by the command line.

The files are those in tests/extending, copied to a folder that the package does not know.
"""

import json
import shutil
from pathlib import Path

import pytest
from engine.tiny_run import run_command

from slowfast_ext.data.motion import MotionSettings, render_clip, write_video

FILES = Path(__file__).parent / "extending"

ADDED = {
    "my_attention.py": {"ATTENTION__CYCLE": "[rows, joint]", "ATTENTION__ROWS__TEMPERATURE": 2.0},
    "my_kernel.py": {"ATTENTION__KERNEL": "square", "ATTENTION__SQUARE__OFFSET": 0.2},
    "my_block.py": {"ATTENTION__CYCLE": "[parallel]"},
    "my_backbone.py": {"MODEL__BACKBONE": "convnet", "CONVNET__WIDTH": 6},
    "my_metric.py": {"TEST__METRIC": "top2_acc"},
    "my_task.py": {"TASK": "position", "TEST__METRIC": "mae"},
}


@pytest.fixture
def folder(tmp_path):
    """A folder of files that the package does not know."""
    shutil.copytree(FILES, tmp_path / "mine")
    return tmp_path


def run(folder, file, **changes):
    settings = {
        "OUTPUT_DIR": str(folder / "out"),
        "DATA.PATH_TO_DATA_DIR": str(folder / "motion"),
        "IMPORT": f"[{folder / 'mine' / file}]",
        "SOLVER.MAX_EPOCH": 1,
    }
    done = run_command(settings, **changes)
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "out/results/metrics.json").read_text())


@pytest.mark.parametrize("file", ADDED)
def test_one_file_is_enough(folder, file):
    metrics = run(folder, file, **ADDED[file])
    assert (folder / "out/checkpoints/checkpoint_best.pyth").exists()
    expected = {"my_metric.py": "top2_acc", "my_task.py": "mae"}.get(file, "top1_acc")
    assert metrics[expected] >= 0


def test_a_data_set_is_one_file(folder):
    videos = folder / "letters"
    videos.mkdir()
    for index in range(12):
        settings = MotionSettings(size=32, num_frames=8)
        frames = render_clip(index, "train", index % 2, settings)
        write_video(videos / f"{'ab'[index % 2]}{index}.mp4", frames, 12, 20)
    metrics = run(
        folder,
        "my_dataset.py",
        TRAIN__DATASET="letters",
        TEST__DATASET="letters",
        DATA__PATH_TO_DATA_DIR=str(videos),
        MODEL__NUM_CLASSES=2,
        LETTERS__SUFFIX=".mp4",
    )
    assert 0 <= metrics["top1_acc"] <= 100


def test_a_mistake_in_such_a_file_names_it(folder):
    (folder / "mine/broken.py").write_text("import nothing_of_this_name\n")
    done = run_command({"OUTPUT_DIR": str(folder / "out"), "IMPORT": f"[{folder}/mine/broken.py]"})
    assert done.returncode == 2
    assert "broken.py" in done.stderr
    assert "nothing_of_this_name" in done.stderr
