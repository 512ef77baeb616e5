import csv
import re
from pathlib import Path

import pytest

from paper_tables.counts import KEPT, Count, ShapeCounter, Training, shaping
from paper_tables.index import GPU_GB, OURS, Experiment, index, memory_gb, read_experiments
from paper_tables.table import (
    Comparison,
    Published,
    compare,
    read_published,
    report,
    tally,
)
from slowfast_ext.config import load_config
from slowfast_ext.released import released

ROOT = Path(__file__).resolve().parents[2]
EXP = ROOT / "exp"
TABLE = ROOT / "paper_tables/published.csv"
ROWS = read_published(TABLE)


@pytest.fixture(scope="module")
def count():
    """Counts as they are kept: that these are true is for the slow test."""
    return ShapeCounter(KEPT)


def row(**columns):
    names = Published.__dataclass_fields__
    return Published(**dict.fromkeys(names, "-") | {"system": "xvit"} | columns)


def test_differences_are_of_the_figure_that_is_printed():
    published = row(params_m="50", gflops="120", per="total", clips="4", crops="3")
    comparison = Comparison(published, Count(51.0, 10.1), Count(45.0, 6.0), views=12)
    assert comparison.gflops == pytest.approx(121.2)
    assert comparison.params_off == pytest.approx(0.02)
    assert comparison.gflops_off == pytest.approx(0.01)
    assert not comparison.within


def test_nothing_printed_is_nothing_to_miss():
    comparison = Comparison(row(), Count(1.0, 1.0), Count(1.0, 1.0), views=1)
    assert (comparison.params_off, comparison.gflops_off, comparison.within) == (None, None, True)


def test_report_numbers_its_notes_and_shows_both_forms():
    rows = [row(variant=name, reason=why) for name, why in (("a", "-"), ("b", "x"), ("c", "x"))]
    page = report(Comparison(r, Count(1.0, 9.25), Count(1.0, 4.5), 1) for r in rows)
    assert page.count("| 1 |") == 2
    assert page.count("1. x.") == 1
    assert "4.50" in page
    assert "| a |" in page


def test_table_is_well_formed():
    with TABLE.open(newline="") as file:
        lines = [line for line in file if not line.startswith("#")]
    widths = {len(cells) for cells in csv.reader(lines)}
    assert len(widths) == 1
    for published in ROWS:
        assert published.per in ("view", "total", "-")
        assert (published.per == "-") == (published.gflops == "-")
        for figure in (published.params_m, published.gflops, published.top1, published.top5):
            assert figure == "-" or float(figure) > 0


@pytest.mark.parametrize("name", sorted({published.exp for published in ROWS}))
def test_every_row_has_its_experiment(name):
    assert (EXP / name / "config.yaml").is_file()


def test_views_are_those_of_the_table():
    for published in ROWS:
        if published.per == "total":
            cfg = load_config([EXP / published.exp / "config.yaml"], published.pairs)
            views = [cfg.TEST.NUM_ENSEMBLE_VIEWS, cfg.TEST.NUM_SPATIAL_CROPS]
            assert views == [int(published.clips), int(published.crops)], published.exp


FACTS = {
    "uniformer_s16x4_k400": ([], 21.400, 41.76),
    "motionformer_joint_k400": ([], 87.293, 180.6),
    "motionformer_k400": (
        ["ATTENTION.REFERENCE", "True", "ATTENTION.TRAJECTORY.VALUES", "projected"],
        108.545,
        369.5,
    ),
    "structvit_s_4_1_ssv1": ([], 22.169, 81.94),
    "xvit_b16_ssv2": ([], 93.617, 281.4),
    "feature_fixation_17x17_ssv2": ([], 51.486, 257.7),
    "feature_fixation_ssv2": ([], 51.438, 175.1),
}


@pytest.mark.parametrize("name", FACTS)
def test_counts_of_one_model_of_each_family(name, count):
    """Against counts made on the published code, which include layer norms."""
    pairs, params, gflops = FACTS[name]
    counted = count(load_config([EXP / name / "config.yaml"], pairs))
    assert counted.params_m == pytest.approx(params, abs=1e-3)
    assert counted.gflops == pytest.approx(gflops, rel=0.005)


def test_fast_trajectory_attention_is_what_runs(count):
    assert count(load_config([EXP / "motionformer_k400/config.yaml"])).gflops == pytest.approx(
        204.3, rel=0.001
    )


def test_both_readings_of_the_token_count_have_an_experiment(count):
    rows = [published for published in ROWS if "272" in published.counted_as]
    assert rows
    for published in rows:
        stem, _, dataset = published.exp.rpartition("_")
        other = EXP / f"{stem}_17x17_{dataset}" / "config.yaml"
        crops = [load_config([other]).DATA[f"{kind}_CROP_SIZE"] for kind in ("TRAIN", "TEST")]
        assert crops == [272, 272]
        assert load_config([EXP / published.exp / "config.yaml"]).DATA.TEST_CROP_SIZE == 224


FACTS_OF_EXPERIMENTS = read_experiments(ROOT / "paper_tables/experiments.csv")


def test_every_difference_has_a_reason_and_the_pages_are_current(count):
    comparisons = [compare(published, EXP, count) for published in ROWS]
    off = [c.published for c in comparisons if not c.within and c.published.reason == "-"]
    assert off == []
    page = (ROOT / "docs/paper_tables.md").read_text(encoding="utf-8")
    assert page == report(comparisons), "run python -m paper_tables"
    assert tally(comparisons) in (ROOT / "README.md").read_text(encoding="utf-8"), (
        "README claims what the table shows"
    )
    readme = (EXP / "README.md").read_text(encoding="utf-8")
    made = index(ROWS, FACTS_OF_EXPERIMENTS, EXP, count)
    assert readme == made, "run python -m paper_tables"


def test_the_index_has_every_experiment_and_only_links_that_lead_somewhere():
    text = (EXP / "README.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\]\(([\w./-]+)\)", text))
    assert {f"{file.parent.name}/config.yaml" for file in EXP.glob("*/config.yaml")} <= linked
    assert all((EXP / link).exists() for link in linked)


def test_facts_are_of_experiments_and_released_weights_are_registered():
    names = {file.parent.name for file in EXP.glob("*/config.yaml")}
    for facts in FACTS_OF_EXPERIMENTS.values():
        assert facts.exp in names
        assert not facts.exp.startswith(OURS)
        assert facts.gpus == "-" or int(facts.gpus) % 8 == 0
        assert facts.weights == "-" or facts.weights in released()


def test_the_index_says_what_gives_the_published_batch():
    """Motionformer: 32 videos on each of 4 nodes of 8 GPUs."""
    text = (EXP / "README.md").read_text(encoding="utf-8")
    row = next(each for each in text.splitlines() if "[motionformer_k400]" in each)
    assert "| 128 | 32 x 1 or 8 x 4 |" in row
    assert "[vit_base_patch16_224](https://" in row
    row = next(each for each in text.splitlines() if "[structvit_s_4_1_k400]" in each)
    assert "[exp:structvit_s_4_1_in1k](structvit_s_4_1_in1k/config.yaml)" in row
    assert "| 64 x 2 | 8 x 1 |" in row
    row = next(each for each in text.splitlines() if "[structvit_l_4_1_tl_in1k]" in each)
    assert "| 1024 | 16 x 1 or 8 x 2 |" in row, "Sec. 4.3.1: 16 GPUs for L"


@pytest.mark.parametrize(
    ("accuracy", "pairs"),
    [
        ("83.4/95.8", "TEST.NUM_SPATIAL_CROPS 3 DATA.TEST_CROP_RATIO 1.0"),
        ("87.1", "TEST.NUM_ENSEMBLE_VIEWS 7"),
    ],
)
def test_a_row_that_is_tested_otherwise_says_how(accuracy, pairs):
    text = (EXP / "README.md").read_text(encoding="utf-8")
    row = next(each for each in text.splitlines() if f"| {accuracy} |" in each)
    assert f"/config.yaml)<br>`{pairs}` |" in row


def test_accumulated_passes_are_of_the_batch(tmp_path, count):
    folder = tmp_path / "two_passes"
    folder.mkdir()
    base = EXP / "structvit_s_4_1_k400/config.yaml"
    text = f"_BASE_: {base}\nTRAIN: {{ACCUMULATE: 2, BATCH_SIZE: 32}}\n"
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    page = index([], {"two_passes": Experiment("two_passes", 2, "16")}, tmp_path, count)
    assert "| 128 x 2 | 16 x 2 or 8 x 4 |" in page


def test_memory_is_activations_and_state():
    cfg = load_config([EXP / "uniformer_s16x4_k400/config.yaml"])
    whole = memory_gb(cfg, 21.4, Training(900.0, 100.0))
    assert whole == pytest.approx(8 * 1.048576 + 21.4e6 * 16 / 1e9)
    head = memory_gb(cfg, 21.4, Training(0.0, trained_m=0.4))
    assert head == pytest.approx(21.4e6 * 4 / 1e9 + 0.4e6 * 12 / 1e9)
    averaged = load_config([EXP / "uniformer_s16x4_k400/config.yaml"], ["TRAIN.EMA_DECAY", "0.99"])
    assert memory_gb(averaged, 21.4, Training(0.0)) == pytest.approx(21.4e6 * 20 / 1e9)
    assert ShapeCounter().training(cfg) is None, "counted when it is asked for"


def test_what_training_keeps_is_of_what_is_trained(tmp_path):
    """What is frozen keeps nothing, recomputed ones one at a time; a count is kept for each of them, and for scores."""
    tiny = EXP / "motion_vit_joint/config.yaml"
    counter = ShapeCounter(memory=True)
    whole = counter.training(load_config([tiny]))
    frozen = load_config([tiny], ["TRAIN.FREEZE", "['^backbone']"])
    head = counter.training(frozen)
    assert head.saved_mib < 0.1 * whole.saved_mib
    assert 0 < head.trained_m < 0.1 * counter(load_config([tiny])).params_m
    again = counter.training(load_config([tiny], ["MODEL.CHECKPOINT_BLOCKS", "[4]"]))
    assert again.saved_mib + again.recomputed_mib < whole.saved_mib
    assert 0 < again.recomputed_mib < whole.saved_mib / 2
    assert counter.training(load_config([tiny]), scores=True).saved_mib > whole.saved_mib
    counter.save(tmp_path / "kept.json")
    assert ShapeCounter(tmp_path / "kept.json").training(frozen) == head


def test_counts_are_kept_by_what_is_not_a_default():
    """So that a new option does not make them void."""
    plain = shaping(load_config([]))
    assert all(plain[name] == {} for name in ("VIT", "XVIT", "UNIFORMER", "ATTENTION"))
    other = shaping(load_config([], ["VIT.DEPTH", "3", "ATTENTION.ORTHOFORMER.LANDMARKS", "5"]))
    assert (other["VIT"], other["ATTENTION"]) == ({"DEPTH": 3}, {"ORTHOFORMER": {"LANDMARKS": 5}})


def test_every_experiment_fits_its_gpus(count):
    """At the GPUs and passes of the index, or its note says why not; all are counted."""
    for name in sorted(file.parent.name for file in EXP.glob("*/config.yaml")):
        if not name.startswith(OURS):
            cfg = load_config([EXP / name / "config.yaml"])
            training = count.training(cfg)
            assert training, f"{name}: run python -m paper_tables --memory"
            gb = memory_gb(cfg, count(cfg).params_m, training)
            note = FACTS_OF_EXPERIMENTS.get(name, Experiment(name)).note
            assert gb <= GPU_GB or f"{GPU_GB} GB" in note, f"{name}: {gb:.1f} GB"


@pytest.mark.slow
def test_kept_counts_are_those_of_the_models_today(count):
    again = ShapeCounter()
    for name in sorted({published.exp for published in ROWS}):
        cfg = load_config([EXP / name / "config.yaml"])
        new, kept = again(cfg), count(cfg)
        assert new.params_m == pytest.approx(kept.params_m, abs=0.006), name
        assert new.gflops == pytest.approx(kept.gflops, abs=0.006), name
