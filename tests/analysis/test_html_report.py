"""The page of runs: its numbers, what it does without some files, and what a click does."""

import json
import re
import time

import numpy as np
import pytest
import yaml
from browser import opened, overflow, point_where
from result_files import CLASSES, unpacked, write_csv, write_run
from safetensors.numpy import save_file

from slowfast_ext.analysis.page.pack import packed
from slowfast_ext.analysis.report import ReportOptions, build_report
from slowfast_ext.analysis.report.clips import galleries, to_show, worst_pairs
from slowfast_ext.analysis.report.groups import comparison, experiments, run_names
from slowfast_ext.analysis.report.predictions import (
    average_precisions,
    calibration,
    from_scores,
    probabilities,
)
from slowfast_ext.analysis.report.runs import find_runs, read_run
from slowfast_ext.analysis.report.settings import differences
from slowfast_ext.cli import report
from slowfast_ext.data.motion import MotionSettings, render_clip, write_video
from slowfast_ext.errors import DataError

# Videos 0 to 7: two of each of the first four classes; 1, 5 and 7 are wrong, 6 could not be decoded.
LABELS = [0, 0, 1, 1, 2, 2, 3, 3]
BEST = [0, 1, 1, 1, 2, 3, 0, 2]
SURE = [0.9, 0.8, 0.7, 0.6, 0.5, 0.95, 0.0, 0.4]
DECODED = [True] * 6 + [False, True]


def scores(best=BEST, sure=SURE, count=5):
    """Probabilities with `sure` for the best class and the rest spread over the others."""
    found = np.empty((len(best), count), np.float32)
    for row, (own, prob) in enumerate(zip(best, sure, strict=True)):
        found[row] = (1 - prob) / (count - 1)
        found[row, own] = prob
    found[~np.array(DECODED[: len(best)])] = 0
    return found


@pytest.fixture(scope="module")
def video_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    for i in range(4):
        write_video(folder / f"{i}.mp4", render_clip(i, "val", i, MotionSettings(size=48)))
    return [str(folder / f"{i}.mp4") for i in range(4)]


@pytest.fixture
def run(tmp_path, video_files):
    return write_run(
        tmp_path / "run",
        scores(),
        LABELS,
        [*video_files, *(f"/gone/{i}.mp4" for i in range(4, 8))],
        DECODED,
    )


@pytest.fixture
def page(run):
    assert report.main([str(run)]) == 0
    return run / "report.html"


def head_of(run):
    return read_run(run).heads[0]


# What the page is told


def test_predictions_of_every_video(run):
    head = head_of(run)
    assert head.class_names == CLASSES
    assert head.right.tolist() == [True, False, True, True, True, False, False, False]
    assert head.best_M5[:6, 0].tolist() == BEST[:6]
    np.testing.assert_allclose(head.true_M[[0, 1, 6]], [0.9, 0.05, 0], atol=1e-6)
    assert head.rank_M[0] == 0
    assert 0 < head.rank_M[1] < 5
    assert head.rank_M[6] == 65535


def test_galleries_and_worst_pairs(run):
    head = head_of(run)
    shown = galleries(head)
    assert shown["confident"] == [5, 1, 7]
    assert shown["best"] == [0, 2, 3, 4]
    assert set(shown["worst"]) == {1, 5, 7}
    assert 6 not in shown["unsure"]
    assert sorted(worst_pairs(head)) == [(0, 1, 1), (2, 3, 1), (3, 2, 1)]


def test_a_gallery_shows_few_of_a_class():
    best, labels = [1] * 9, [0] * 8 + [2]
    head = from_scores(
        "", "abcde", scores_of(best), [(x,) for x in labels], np.ones(9, bool), False
    )
    assert len(galleries(head)["confident"]) == 4


def scores_of(best):
    return np.eye(5, dtype=np.float32)[best]


def test_calibration_is_that_of_its_definition():
    prob, right = np.array([0.95, 0.95, 0.35, 0.35]), np.array([True, False, True, True])
    found = calibration(prob, right, bins=10)
    assert found["ece"] == pytest.approx(0.5 * 0.45 + 0.5 * 0.65)
    assert found["size"][9] == found["size"][3] == 2
    assert found["accuracy"][3] == 1
    assert calibration(prob[:0], right[:0]) == {}


def test_averaged_logits_become_probabilities():
    logits = np.array([[2.0, -1.0], [0.0, 0.5]])
    found = probabilities(logits, np.ones(2, bool))
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(
        probabilities(logits, np.ones(2, bool), True)[0, 0], 1 / (1 + np.exp(-2)), rtol=1e-6
    )


def test_average_precision():
    probs, target = np.array([[0.9], [0.8], [0.7], [0.1]]), np.array([[1], [0], [1], [0]], bool)
    assert average_precisions(probs, target)[0] == pytest.approx((1 + 2 / 3) / 2)
    assert np.isnan(average_precisions(probs, target & False)[0])


def test_seeds_are_one_experiment_with_a_standard_error(tmp_path):
    better = [0, 0, 1, 1, 2, 2, 3, 2]
    first = write_run(tmp_path / "s0" / "joint", scores(), LABELS, decoded=DECODED, seed=0)
    second = write_run(tmp_path / "s1" / "joint", scores(better), LABELS, decoded=DECODED, seed=1)
    third = write_run(
        tmp_path / "s0" / "other", scores(better), LABELS, decoded=DECODED, names="abcdf"
    )
    other = yaml.safe_load((third / "config.yaml").read_text()) | {"SOLVER": {"BASE_LR": 0.3}}
    (third / "config.yaml").write_text(yaml.safe_dump(other))
    runs = [read_run(folder) for folder in find_runs([first, second, third])]
    groups = experiments(runs)
    assert [(g.name, g.runs) for g in groups] == [("joint", (0, 1)), ("other", (2,))]
    assert run_names(runs, groups) == ["joint, seed 0", "joint, seed 1", "other"]
    table = comparison(runs, groups)
    joint = table["rows"][0]["metrics"]["top1_acc"]
    assert joint["mean"] == pytest.approx(100 * (4 + 6) / 16)
    assert joint["error"] == pytest.approx(np.std([50, 75], ddof=1) / np.sqrt(2))
    (difference,) = table["differences"]
    assert difference["from"] == "other"
    assert difference["difference"] == pytest.approx(-12.5)
    delta = np.array([0, -0.5, 0, 0, 0, -0.5, 0, 0])
    assert difference["error"] == pytest.approx(100 * delta.std(ddof=1) / np.sqrt(8))


def test_settings_that_differ(run, tmp_path):
    found = differences([read_run(run)])
    assert {row["key"] for row in found["rows"]} == {
        "RNG_SEED",
        "OUTPUT_DIR",
        "MODEL.NUM_CLASSES",
    } - {"RNG_SEED"}
    assert found["rows"][0] | {"help": ""} == {
        "key": "MODEL.NUM_CLASSES",
        "help": "",
        "base": "400",
        "values": ["5"],
    }
    base = tmp_path / "base.yaml"
    base.write_text("MODEL: {NUM_CLASSES: 5}\n")
    assert {row["key"] for row in differences([read_run(run)], base)["rows"]} == {"OUTPUT_DIR"}


# The file


def test_the_page_holds_everything_and_asks_for_nothing(page):
    html = page.read_text(encoding="utf-8")
    assert not re.findall(r'(?:src|href)="?(?:https?:)?//', html)
    assert "default-src 'none'" in html
    assert html.count("</script>") == html.count("<script")
    data = unpacked(html)
    (run,) = data["runs"]
    assert run["metrics"]["top1_acc"] == 50
    assert run["heads"][0]["classes"] == list(CLASSES)
    assert run["heads"][0]["labels"].tolist() == LABELS
    assert run["unreadable"] == [["/gone/6.mp4", "moov atom not found"]]
    np.testing.assert_allclose(run["curves"]["val/top1_acc"]["y"], [9, 18, 27])
    np.testing.assert_allclose(run["curves"]["step/loss"]["x"], [0.5, 1.5, 2.5])
    assert len(data["films"]) == 4
    assert data["filmsFailed"] == 3
    assert data["films"][0]["image"][:4] == b"RIFF"


def test_films_are_found_where_the_videos_are_now(run, video_files, tmp_path):
    moved = tmp_path / "moved"
    (moved / "val").mkdir(parents=True)
    for i in range(4, 8):
        (moved / "val" / f"{i}.mp4").symlink_to(video_files[i - 4])
    rows = (run / "results/predictions.csv").read_text().replace("/gone/", "/gone/val/")
    (run / "results/predictions.csv").write_text(rows)
    data = unpacked(build_report([run], ReportOptions(videos=moved)))
    assert data["filmsFailed"] == 0
    assert len(data["films"]) == 7


def test_no_more_films_than_asked_for(run):
    assert len(to_show([read_run(run)], 2)) == 2
    assert len(unpacked(build_report([run], ReportOptions(films=0)))["films"]) == 0


@pytest.mark.parametrize("gone", ["stats.jsonl", "config.yaml", "results/scores.safetensors", "results/per_class.csv",
                                  "results/unreadable.csv", "results/predictions.csv", "results"])  # fmt: skip
def test_a_missing_file_is_said_and_is_no_end(run, gone):
    path = run / gone
    if path.is_dir():
        for file in path.iterdir():
            file.unlink()
        path.rmdir()
    else:
        path.unlink()
    (found,) = unpacked(build_report([run], ReportOptions(films=0)))["runs"]
    said = gone in (
        "stats.jsonl",
        "results/scores.safetensors",
        "results/predictions.csv",
        "results",
    )
    assert bool(found["notes"]) == said
    if gone == "results/scores.safetensors":
        assert found["heads"][0]["count"] == 1


def test_scores_of_another_test_are_not_used(run):
    save_file({"scores0": np.zeros((3, 5), np.float32)}, run / "results/scores.safetensors")
    found = read_run(run)
    assert found.heads[0].best_M5.shape == (8, 1)
    assert "does not belong" in found.notes[0]


def write_several_labels(run):
    rows = [
        [0, "a.mp4", "0 2", 0, 0.9, True],
        [1, "b.mp4", "1", 2, 0.8, True],
        [2, "c.mp4", "", 1, 0.3, True],
    ]
    write_csv(run / "results/predictions.csv", "index video labels predicted score decoded", rows)
    probs = np.array(
        [[0.9, 0.1, 0.8, 0, 0], [0.1, 0.2, 0.8, 0, 0], [0.1, 0.3, 0.2, 0, 0]], np.float32
    )
    labels = np.zeros((3, 5), np.float32)
    labels[0, [0, 2]] = labels[1, 1] = 1
    save_file({"scores0": probs, "labels": labels}, run / "results/scores.safetensors")


def test_several_labels_a_video(run):
    write_several_labels(run)
    head = head_of(run)
    assert head.multi_label
    assert head.right.tolist() == [True, False, False]
    assert head.class_ap_K[0] == 1
    assert worst_pairs(head) == []
    data = unpacked(build_report([run], ReportOptions(films=0)))["runs"][0]["heads"][0]
    assert data["labelStart"].tolist() == [0, 2, 3, 3]


def write_verb_and_noun(run):
    rows = [
        [0, "a.mp4", "0 1", "0 2", "0.9 0.8", True],
        [1, "b.mp4", "1 2", "1 2", "0.7 0.6", True],
    ]
    write_csv(run / "results/predictions.csv", "index video labels predicted score decoded", rows)
    (run / "results/per_class.csv").unlink()
    for name, classes in (("verb", ["cut", "wash"]), ("noun", ["egg", "cup", "pan"])):
        write_csv(
            run / f"results/{name}_per_class.csv",
            "class name videos right accuracy",
            [[i, c, 1, 1, 100] for i, c in enumerate(classes)],
        )
    verb, noun = (
        np.array([[0.9, 0.1], [0.3, 0.7]], np.float32),
        np.array([[0.1, 0.1, 0.8], [0.2, 0.2, 0.6]], np.float32),
    )
    save_file(
        {"scores0": verb, "scores1": noun, "labels": np.array([[0, 1], [1, 2]])},
        run / "results/scores.safetensors",
    )


def test_verb_and_noun(run):
    write_verb_and_noun(run)
    heads = {head.name: head for head in read_run(run).heads}
    assert heads["verb"].class_names == ("cut", "wash")
    assert heads["noun"].right.tolist() == [False, True]


def test_a_task_without_classes(run):
    rows = [[0, "a.mp4", "0.25", "0.5", "0.1", True]]
    write_csv(run / "results/predictions.csv", "index video labels predicted score decoded", rows)
    found = read_run(run)
    assert found.heads == []
    assert "no class" in found.notes[-1]
    build_report([run])


def test_arrays_of_other_types_are_refused():
    with pytest.raises(TypeError, match="float64"):
        packed({"x": np.zeros(3)})


# The command


def test_the_command_names_the_file_and_its_size(run, capsys):
    out = run.parent / "page.html"
    assert report.main([str(run.parent), "--out", str(out), "--title", "Two words"]) == 0
    assert re.match(rf"written: {out} \(\d+\.\d MB\)", capsys.readouterr().out)
    assert "<title>Two words</title>" in out.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_no_results(tmp_path, capsys, name):
    (tmp_path / "empty").mkdir()
    assert report.main([str(tmp_path / name)]) == 2
    assert f"{name}: " in (said := capsys.readouterr().err)
    assert "OUTPUT_DIR" in said


def test_damaged_metrics(run, capsys):
    (run / "results/metrics.json").write_text("{")
    assert report.main([str(run)]) == 2
    assert "metrics.json" in capsys.readouterr().err


def test_a_base_that_is_not_there(run, capsys):
    assert report.main([str(run), "--base", "no.yaml"]) == 2
    assert "no.yaml" in capsys.readouterr().err


def test_a_full_disk_leaves_the_older_page(page, monkeypatch, capsys):
    before = page.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert report.main([str(page.parent)]) == 74
    assert "No space left" in capsys.readouterr().err
    assert page.read_bytes() == before
    assert not list(page.parent.glob(".report*"))


def test_find_runs_below_a_folder(run):
    assert find_runs([run.parent]) == [run]
    with pytest.raises(DataError, match="nowhere"):
        find_runs([run, run / "nowhere"])


# In a browser


def test_classes_sort_filter_and_open_their_clips(page):
    with opened(page) as tab:
        classes = tab.locator("#classes .lt-body .lt-row")
        assert classes.count() == 5
        assert "0 %" in classes.first.text_content()
        tab.get_by_role("button", name="accuracy").click()
        assert "100 %" in classes.first.text_content()
        tab.locator("#classes input[type=search]").fill("unf")
        assert classes.count() == 2  # itself, and the one that is taken for it
        classes.filter(has_text=re.compile("^unfold")).click()
        drawer = tab.locator("dialog.drawer")
        assert drawer.locator("h2").text_content() == "unfold"
        assert "0 of 2 videos right" in drawer.text_content()
        assert drawer.locator(".lt-body .lt-row").count() == 2
        tab.keyboard.press("Escape")
        assert not drawer.is_visible()


def test_a_click_into_the_matrix_shows_the_clips_of_that_cell(page):
    with opened(page) as tab:
        matrix = tab.locator("canvas.matrix")
        x, y = point_where(tab, matrix, "taken for “close a door”: 1 of 2 videos")
        tab.mouse.click(x, y)
        drawer = tab.locator("dialog.drawer")
        assert (
            drawer.locator("h2").text_content()
            == "“open </script> a door” taken for “close a door”"
        )
        assert drawer.locator(".card").count() == 1
        drawer.locator(".card-text").click()
        assert "1.mp4" in drawer.locator(".detail").text_content()
        assert "80 %" in drawer.locator(".detail").text_content()
        assert drawer.locator(".detail .strip .cell").count() == 12
        tab.keyboard.press("Escape")
        height = matrix.bounding_box()["height"]
        tab.get_by_label("Zoom in").click()
        assert matrix.bounding_box()["height"] == height
        tab.locator("#confusion select").select_option(label="worst class first")
        tab.locator(".pair-list button").first.click()
        assert drawer.is_visible()


def test_thumbnails_play(page):
    with opened(page) as tab:
        player = tab.locator("#clips .player:not(.none)").first
        player.scroll_into_view_if_needed()
        before = player.get_attribute("data-frame")
        player.hover()
        tab.wait_for_function(
            "([box, frame]) => box.dataset.frame !== frame", arg=[player.element_handle(), before]
        )
        tab.mouse.move(2, 2)
        assert player.get_attribute("aria-pressed") == "false"
        tab.get_by_role("button", name="film strips").click()
        assert tab.locator("#clips .strip .cell").count() >= 8
        tab.get_by_role("button", name="All videos").click()
        assert tab.locator("#clips .lt-body .lt-row").count() == 8
        tab.get_by_role("button", name="mistakes", exact=True).click()
        assert tab.locator("#clips .lt-body .lt-row").count() == 4


def test_light_and_dark(page):
    with opened(page, dark=True) as tab:
        background = "getComputedStyle(document.body).backgroundColor"
        dark = tab.evaluate(background)
        tab.locator("#theme").click()
        assert tab.evaluate(background) != dark
        assert tab.locator(".uplot").count() >= 4


@pytest.mark.parametrize("dark", [False, True])
def test_readable_on_a_phone(page, dark):
    with opened(page, 390, 844, dark, touch=True) as tab:
        assert overflow(tab) <= 0
        player = tab.locator("#clips .player:not(.none)").first
        player.tap()
        assert player.get_attribute("aria-pressed") == "true"
        tab.locator("#clips .card-text").first.tap()
        assert tab.locator("dialog.drawer").bounding_box()["width"] <= 390


def test_runs_side_by_side(tmp_path):
    for seed in (0, 1):
        write_run(tmp_path / f"s{seed}" / "joint", scores(), LABELS, decoded=DECODED, seed=seed)
    out = tmp_path / "all.html"
    assert report.main([str(tmp_path), "--out", str(out), "--films", "0"]) == 0
    with opened(out) as tab:
        row = tab.locator("#runs tbody tr")
        assert row.count() == 1
        assert "50.0 ± 0.00" in row.text_content()
        tab.locator("#summary select").select_option(label="joint, seed 1")
        assert "seed 1" in tab.locator("#summary").text_content()
        assert tab.locator("#classes .lt-body .lt-row").count() == 5


def test_several_labels_in_a_browser(run):
    write_several_labels(run)
    assert report.main([str(run)]) == 0
    with opened(run / "report.html") as tab:
        assert tab.get_by_role("button", name="average precision").is_visible()
        assert "several labels" in tab.locator("#confusion").text_content()
        tab.locator("#classes .lt-body .lt-row").first.click()
        assert tab.locator("dialog.drawer").is_visible()


def test_heads_are_chosen(run):
    write_verb_and_noun(run)
    assert report.main([str(run)]) == 0
    with opened(run / "report.html") as tab:
        assert tab.locator("#classes .lt-body .lt-row").count() == 2
        tab.get_by_role("button", name="noun", exact=True).click()
        assert tab.locator("#classes .lt-body .lt-row").count() == 3


def test_a_run_that_was_only_trained(tmp_path):
    run = write_run(tmp_path / "run", scores(), LABELS, decoded=DECODED)
    for file in (run / "results").iterdir():
        file.unlink()
    assert report.main([str(run)]) == 0
    with opened(run / "report.html") as tab:
        assert tab.locator(".uplot").count() >= 3
        assert "not tested" in tab.locator("#summary").text_content()
        assert tab.locator("#classes").count() == 0


def test_twenty_thousand_videos_and_seven_hundred_classes(tmp_path):
    random = np.random.default_rng(0)
    labels = np.arange(20000) % 700
    best = np.where(random.random(20000) < 0.7, labels, random.integers(0, 700, 20000))
    probs = random.random((20000, 700), dtype=np.float32) * 1e-4
    probs[np.arange(20000), best] = random.uniform(0.3, 0.95, 20000)
    probs /= probs.sum(1, keepdims=True)
    names = [f"class {i} {'xyz'[i % 3]}" for i in range(700)]
    run = write_run(tmp_path / "run", probs, labels, names=names)
    start = time.perf_counter()
    assert report.main([str(run), "--films", "0"]) == 0
    assert time.perf_counter() - start < 60
    assert (run / "report.html").stat().st_size < 4e6
    json.dumps(unpacked((run / "report.html").read_text())["runs"][0]["metrics"])
    with opened(run / "report.html") as tab:
        assert tab.locator("#classes .lt-body .lt-row").count() < 60
        tab.get_by_role("button", name="All videos").click()
        rows = tab.locator("#clips .lt-body .lt-row")
        assert 10 < rows.count() < 60
        tab.evaluate("document.querySelector('#clips .lt').scrollTop = 1e9")
        tab.wait_for_function(
            "() => document.querySelector('#clips .lt-body .lt-row:last-child').ariaRowIndex === '20001'"
        )
        tab.locator("#confusion input[type=search]").fill("class 699")
        x, y = point_where(tab, tab.locator("canvas.matrix"), "“class 699 x” right")
        tab.mouse.click(x, y)
        assert "“class 699 x”, right" in tab.locator("dialog.drawer h2").text_content()
