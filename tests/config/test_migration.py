"""Published files of other programs: all of the four families are read, what is not here is one line."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from reference_data import SHARED

from slowfast_ext.cli import main
from slowfast_ext.config import load_config
from slowfast_ext.config.explain import changed_keys
from slowfast_ext.config.migrate import as_yaml, differences, migrate
from slowfast_ext.errors import ConfigError
from slowfast_ext.models import check_model

PUBLISHED = SHARED / "manifests/published_configs"
ROOT_EXP = Path(__file__).resolve().parents[2] / "exp"
COUNTS = {"motionformer": 20, "uniformer/exp": 33, "emim": 18, "xvit": 3}
FOREIGN = {"slowfast": 5, "uniformer/exp_light": 8}

pytestmark = pytest.mark.skipif(not PUBLISHED.is_dir(), reason="no published configurations here")


def files_of(family):
    return sorted((PUBLISHED / family).rglob("*.yaml.json"))


def as_file(path, folder):
    """A published file, written back as YAML."""
    file = folder / f"{path.parent.name}_{path.name.removesuffix('.json')}"
    file.write_text(yaml.safe_dump(json.loads(path.read_text())))
    return file


def script_of(path):
    """The KEY VALUE pairs of the script beside a file."""
    script = path.with_name("run.sh.json")
    return json.loads(script.read_text())["overrides"] if script.is_file() else []


@pytest.mark.parametrize("family", COUNTS)
def test_all_files_of_a_family_are_read_and_written_in_our_keys(tmp_path, family):
    paths = files_of(family)
    assert len(paths) == COUNTS[family]
    for path in paths:
        migrated = migrate(as_file(path, tmp_path), script_of(path))
        ours = tmp_path / "ours.yaml"
        ours.write_text(as_yaml(migrated))
        cfg = load_config([migrated.file], script_of(path))
        assert load_config([ours]) == cfg, path
        assert not list(check_model(cfg)), path


@pytest.mark.parametrize(
    ("row", "read"),
    [
        (r"\[Motionformer\]\S+ ", COUNTS["motionformer"]),
        (r"\[UniFormer\]\S+, `exp/` ", COUNTS["uniformer/exp"]),
        ("EMIM ", COUNTS["emim"]),
        (r"\[XViT\]\S+ ", COUNTS["xvit"]),
    ],
)
def test_the_page_says_how_many_files_are_read(row, read):
    page = (ROOT_EXP.parent / "docs/migration.md").read_text()
    assert re.search(rf"^\| {row}\| {read} of {read} \|", page, re.M)
    light = rf"^\| UniFormer, `exp_light/`[^|]*\| 0 of {FOREIGN['uniformer/exp_light']} \|"
    assert re.search(light, page, re.M)


@pytest.mark.parametrize("family", FOREIGN)
def test_what_is_not_here_is_one_line_with_what_there_is(tmp_path, family):
    paths = files_of(family)
    assert len(paths) == FOREIGN[family]
    for path in paths:
        with pytest.raises(ConfigError, match=r":\d+: MODEL.*not here.*uniformer") as caught:
            migrate(as_file(path, tmp_path))
        assert "\n" not in str(caught.value)


# What our recipe of a published file does otherwise: how often it writes, how many videos a test takes at once, missing
# videos, the rate as one for a given batch, 4 videos a GPU where 3 were printed, frames of segments, which are not
# dense, and patch kernels of images that a start from video has not.
MAY_DIFFER = {"DATA.ALLOW_MISSING", "SOLVER.BASE_LR_BATCH", "SOLVER.BASE_LR", "TEST.BATCH_SIZE", "TRAIN.CHECKPOINT_PERIOD",
              "TRAIN.BATCH_SIZE", "TRAIN.CHECKPOINT_INFLATE", "DATA.SAMPLING_RATE"}  # fmt: skip

RECIPES = {
    "K400/motionformer_224_16x4": "motionformer_k400",
    "K400/joint_224_16x4": "motionformer_joint_k400",
    "K400/divided_224_16x4": "motionformer_divided_k400",
    "K400/motionformer_336_16x8": "motionformer_hr_k400",
    "K400/motionformer_224_32x3": "motionformer_l_k400",
    "K600/motionformer_224_16x4": "motionformer_k600",
    "SSV2/motionformer_224_16x4": "motionformer_ssv2",
    "SSV2/motionformer_336_16x4": "motionformer_hr_ssv2",
    "EK/motionformer_224_16x4": "motionformer_epic",
    "EK/motionformer_224_32x3": "motionformer_l_epic",
}


@pytest.mark.parametrize("name", RECIPES)
def test_our_recipe_is_what_motionformers_file_says(tmp_path, name):
    path = PUBLISHED / f"motionformer/configs/{name}.yaml.json"
    ours = load_config([ROOT_EXP / RECIPES[name] / "config.yaml"])
    found = differences(migrate(as_file(path, tmp_path)).values, changed_keys(ours))
    assert set(found) <= MAY_DIFFER


def test_the_command_prints_yaml_with_comments_and_the_difference(tmp_path, capsys):
    file = as_file(
        PUBLISHED / "motionformer/configs/SSV2/motionformer_224_16x4.yaml.json", tmp_path
    )
    recipe = ROOT_EXP / "motionformer_ssv2/config.yaml"
    assert main(["migrate", str(file), "NUM_SHARDS", "1", "--recipe", str(recipe)]) == 0
    printed = capsys.readouterr().out
    assert "# VIT.ATTN_LAYER" in printed
    assert "Beside motionformer_ssv2" in printed
    assert "SOLVER.BASE_LR_BATCH: 0 -> 128" in printed
    (tmp_path / "ours.yaml").write_text(printed)
    assert load_config([tmp_path / "ours.yaml"]).NUM_SHARDS == 1
    out = tmp_path / "written.yaml"
    assert main(["migrate", str(file), "--recipe", str(recipe), "--out", str(out)]) == 0
    assert load_config([out]) == load_config([file])
    assert main(["migrate", str(recipe)]) == 2
    assert "one of ours already" in capsys.readouterr().err


def test_a_recipe_is_found_without_loading_torch(tmp_path):
    """Among all recipes, and in seconds."""
    file = as_file(PUBLISHED / "uniformer/exp/uniformer_b16x4_k400/config.yaml.json", tmp_path)
    code = (
        "import sys; from slowfast_ext.cli.migrate import main;"
        f"code = main([{str(file)!r}]); print(code, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "# Beside uniformer_b16x4_k400" in done.stdout
    assert done.stdout.splitlines()[-1] == "0 False"


def test_files_of_pictures_are_read_in_the_order_of_their_program(tmp_path):
    """Motionformer reads pictures as BGR and videos as RGB; its key swaps either."""
    order = {}
    for name in ("K400/joint_224_16x4", "SSV2/joint_224_16x4", "EK/joint_224_16x4"):
        file = as_file(PUBLISHED / f"motionformer/configs/{name}.yaml.json", tmp_path)
        order[name[:2]] = load_config([file]).DATA.CHANNEL_ORDER
    assert order == {"K4": "rgb", "SS": "rgb", "EK": "bgr"}
