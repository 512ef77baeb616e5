"""Every experiment as it is typed: scripts, configuration, recipe, model."""

import json
from pathlib import Path

import pytest
import torch
from reference_data import SHARED

from paper_tables.counts import shaping
from slowfast_ext.config import load_config, options_of
from slowfast_ext.data.transforms.pipeline import train_transform_from
from slowfast_ext.engine.checks import CHECKS
from slowfast_ext.engine.run import Recipe
from slowfast_ext.models import build_model
from slowfast_ext.models.weights import LoadOptions, fit_weights

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = sorted(path for path in (ROOT / "exp").iterdir() if path.is_dir())
CONFIGS = {path.name: path / "config.yaml" for path in FOLDERS if (path / "config.yaml").exists()}
OURS = ("motion_", "real_", "own_")
PAPERS = [name for name in CONFIGS if not name.startswith(OURS)]
EMIM = [
    f"uniformer_{model}_uniformer_extra_attn{number}_ATTN_ATTN_7_7_LG{ending}"
    for model, number, ending in (
        ("s16_sthv1_pre1k", 64, ""),
        ("s16_sthv1_prek400", 64, ""),
        ("s16_sthv2_prek400", 64, ""),
        ("s16x4_k400", 64, "_ok"),
        ("b16_sthv2_prek400", 64, ""),
        ("b16x4_k400", 64, ""),
        ("b32_sthv1_prek400", 64, ""),
        ("b32_sthv2_prek400", 128, ""),
        ("b32x4_k400", 128, ""),
    )
]


def load(name, *pairs):
    return load_config([CONFIGS[name]], pairs, CHECKS)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_scripts_are_links_to_one(folder):
    for script in ("run.sh", "test.sh"):
        assert (folder / script).readlink() == Path("..", script)
        assert (folder / script).resolve() == ROOT / "exp/run.sh"


@pytest.mark.parametrize("name", PAPERS)
def test_loads_with_all_checks_and_names_no_place_of_a_machine(name):
    cfg = load(name)
    assert (cfg.DATA.PATH_TO_DATA_DIR, cfg.DATA.PATH_PREFIX) == ("", "")
    assert cfg.TEST.CHECKPOINT_FILE_PATH == ""
    assert cfg.TRAIN.DATASET == cfg.TEST.DATASET
    assert cfg.TRAIN.BATCH_SIZE % 8 == 0, "the recipes are for nodes of eight GPUs"
    assert train_transform_from(cfg).transforms


@pytest.mark.parametrize("name", PAPERS)
def test_header_says_what_it_is_and_repeats_no_table(name):
    lines = CONFIGS[name].read_text().splitlines()
    header = [line for line in lines if line.startswith("# ")]
    assert header
    assert not any(line.startswith("# Published") for line in header), "exp/README.md has them"
    assert len(lines) - len(header) <= 24, "what several experiments share belongs into configs/"


@pytest.fixture(scope="module")
def built():
    """Shapes of the models that are built already."""
    return set()


@pytest.mark.parametrize("name", PAPERS)
def test_model_builds(name, built):
    cfg = load(name)
    shape = json.dumps(shaping(cfg), sort_keys=True)
    if shape not in built:
        with torch.device("meta"):
            model = build_model(cfg)
        assert all(parameter.is_meta for parameter in model.parameters())
        built.add(shape)


@pytest.mark.parametrize("name", EMIM)
def test_emim_experiments_have_their_published_names(name):
    cfg = load(name)
    assert cfg.ATTENTION.CYCLE == ["emim", "joint"]
    assert cfg.ATTENTION.EMIM.WINDOW == [7, 7]
    assert cfg.UNIFORMER.TEMPORAL_STRIDE == 1
    assert cfg.TEST.ENSEMBLE == "logits"


PUBLISHED_RATES = {
    "uniformer_s16x4_k400": (1, 1e-4),
    "uniformer_s8x8_k400": (1, 4e-4),
    "uniformer_b16x4_k400": (1, 1.25e-4),
    "uniformer_b16x8_k600": (1, 1.25e-4),
    "uniformer_b16_sthv1_prek400": (1, 2.5e-4),
    "uniformer_s16x4_ucf101_prek400": (1, 5e-5),
    EMIM[3]: (2, 2e-4),
    EMIM[5]: (4, 5e-4),
    EMIM[7]: (4, 8e-4),
    EMIM[8]: (8, 8e-4),
    "structvit_s_4_1_k400": (1, 2e-4),
    "structvit_b_4_1_ssv1": (1, 2e-4),
    "deit_s_in1k": (1, 1e-3),
    "uniformer_b_in1k": (1, 8e-4),
    "motionformer_k400": (4, 1e-4),
    "motionformer_hr_k400": (4, 0.375e-4 * 16 / 12),
    "xvit_b16_k600": (1, 0.03),
    "feature_fixation_ssv2": (1, 0.035),
    "uniformerv2_b8_k400": (1, 1e-5),
    "uniformerv2_b8_k400_prek710": (1, 2e-6),
    "uniformerv2_l8_k400_prek710": (2, 1.5e-6),
    "uniformerv2_l64_336_k400_prek710": (8, 1.5e-6),
    "uniformerv2_l8_336_frozen_k400": (2, 8e-4),
    "uniformerv2_l32_336_frozen_k400_prek710": (2, 5e-5),
    "uniformerv2_b16_ssv2": (1, 4e-5),
    "uniformerv2_l32_ssv2": (4, 2e-5),
    "videomae_pretrain_b_ssv2": (8, 1.2e-3),
    "videomae_b_k400": (8, 5e-4 * 384 / 256),
    "videomae_l_k400": (8, 2e-3 * 128 / 256),
    "videomae_b_ssv2": (8, 5e-4 * 384 / 256),
    "timesformer_hr_k400": (1, 0.005),
    "internvideo2_b_k400": (4, 1.6e-4),
}


@pytest.mark.parametrize("name", PUBLISHED_RATES)
def test_rate_at_the_published_batch(name):
    nodes, rate = PUBLISHED_RATES[name]
    # A cosine that has begun to fall under the warm-up never reaches the published number.
    after = ["SOLVER.COSINE_AFTER_WARMUP", "True"]
    recipe = Recipe.from_cfg(load(name, "NUM_SHARDS", str(nodes), *after))
    assert recipe.learning_rate(recipe.solver.warmup_epochs) == pytest.approx(rate)


def empty_model(name):
    with torch.device("meta"):
        return build_model(load(name))


RELEASED = {
    "videomae_b_k400": ("videomae_b16_pretrain", "videomae_b16_k400", "hf_videomae_b16_k400"),
    "videomae_l_k400": ("videomae_l16_pretrain", "videomae_l16_k400", "hf_videomae_l16_k400"),
    "videomae_b_ssv2": ("videomae_b16_pretrain",),
    "videomae2_b_k400": ("videomae2_b16_k710_distilled",),
    "timesformer_b_k400": ("timesformer_b16_8x224_k400", "hf_timesformer_b16_8x224_k400"),
    "timesformer_hr_k400": ("timesformer_b16_hr_16x448_k400",),
    "timesformer_l_k400": ("timesformer_b16_l_96x224_k400",),
    "vivit_b_k400": ("hf_vivit_b16x2_k400",),
    "internvideo2_s_k400": ("internvideo2_s14_8x224_k400",),
    "internvideo2_b_k400": ("internvideo2_b14_8x224_k400",),
    "internvideo2_l_k400": ("internvideo2_l14_8x224_k400",),
    "vjepa2_l_ssv2": ("vjepa2_l16_16x256_ssv2", "hf_vjepa2_l16_16x256_ssv2"),
}
"""Files of the releases that an experiment starts from or tests, by their key lists."""
KEY_LISTS = SHARED / "golden_weights/manifests"


@pytest.mark.skipif(not KEY_LISTS.is_dir(), reason="needs the key lists of public weights")
@pytest.mark.parametrize(("name", "file"), [(n, f) for n, own in RELEASED.items() for f in own])
def test_released_files_are_taken(name, file):
    keys = json.loads((KEY_LISTS / f"{file}.json").read_text())["keys"]
    state = {key: torch.empty(shape, device="meta") for key, shape in keys.items()}
    k710 = ["TRAIN.CHECKPOINT_CLASSES", "[k710, k400]"] if "k710" in file else []
    options = options_of(load(name, "TRAIN.CHECKPOINT_CLASSES", "[]", *k710), LoadOptions)
    report = fit_weights(state, empty_model(name), options)[1]
    assert (report.unused, report.head, report.inflated, report.resized) == ([], [], [], {})
    assert bool(report.new) == file.endswith("_pretrain")
