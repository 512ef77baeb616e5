"""slowfast-ext NAME and tools/NAME.py are the same commands."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from slowfast_ext import cli

ROOT = Path(__file__).resolve().parents[2]
TINY = {"VIT.EMBED_DIM": 16, "VIT.DEPTH": 1, "VIT.NUM_HEADS": 2, "VIT.PATCH_SIZE": [1, 16, 16],
        "DATA.NUM_FRAMES": 2, "DATA.TEST_CROP_SIZE": 32, "DATA.TRAIN_CROP_SIZE": 32, "DEVICE": "cpu"}  # fmt: skip
PAIRS = [str(part) for item in TINY.items() for part in item]


def test_unknown_names_are_answered_with_the_nearest(capsys):
    assert cli.main(["profil"]) == 2
    assert "did you mean profile" in capsys.readouterr().err
    assert cli.main(["--help"]) == 0
    assert "convert" in capsys.readouterr().out


@pytest.mark.parametrize("more", [[], ["--no-time"]])
def test_profile_counts(capsys, more):
    assert cli.main(["profile", "--json", *more, *PAIRS]) == 0
    numbers = json.loads(capsys.readouterr().out)
    assert numbers["views"] == 30
    assert numbers["params_m"] > 0
    assert numbers["saved_mib_per_clip"] > 0
    assert ("seconds_per_clip" in numbers) == (not more)


def test_mistakes_are_one_message(capsys):
    assert cli.main(["profile", "VIT.DEPHT", "2"]) == 2
    assert "VIT.DEPTH" in capsys.readouterr().err
    assert cli.main(["compare", "nowhere"]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_a_tool_calls_its_command(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["profile_net.py", "--no-time", *PAIRS])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / "tools/profile_net.py"), run_name="__main__")
    assert ended.value.code == 0
    assert "GFLOPs" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["--help"], ["lists", "--help"], ["train", "--explain", "DATA"]])
def test_a_reader_that_has_read_enough_is_no_error(words):
    """`slowfast-ext ... | head -1`: the other end of the pipe is closed before all is written."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "slowfast_ext", *words]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert done.stderr == ""
    assert done.returncode in (0, cli.EXIT_BROKEN_PIPE)  # argparse passes over it: 0
