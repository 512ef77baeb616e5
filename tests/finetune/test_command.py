"""`slowfast-ext finetune` as it is typed: whole runs of seconds, resume, and everything that cannot be trained."""

import csv
import json
import os
import shutil
import signal
import time

import av
import numpy as np
import pytest
import torch
from finetune_cases import QUICK, write_clip

from slowfast_ext import load_model
from slowfast_ext.cli import finetune, train
from slowfast_ext.config import load_config
from slowfast_ext.data.curation import health
from slowfast_ext.engine.checkpoint import CheckpointStore, read_checkpoint
from slowfast_ext.errors import Interrupted

CLASSES = ("move left", "move right", "move up")


def split_of(out):
    with (out / "data/split.csv").open() as file:
        return list(csv.DictReader(file))


def state(out):
    return read_checkpoint(CheckpointStore(out, 0).find(""))["model_state"]


@pytest.fixture(scope="module")
def trained(clips, tmp_path_factory):
    """The output folder of two epochs on the folder of clips."""
    out = tmp_path_factory.mktemp("trained") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finetune, "_report", lambda out: None)
        assert finetune.main([str(clips), "--out", str(out), "--epochs", "2", *QUICK]) == 0
    return out


def test_from_a_folder_to_a_result(clips, run, tmp_path, monkeypatch):
    monkeypatch.undo()
    out = tmp_path / "out"
    code, said, errors = run(clips, "--out", out, "--epochs", 2)
    assert code == 0, errors
    for line in (
        "14 of 3 classes", "checked: 14 of 14", "a fifth of each class validates", "time: about",
        "from scratch", "does not mirror clips (class move left", "of 3 validation videos right",
    ):  # fmt: skip
        assert line in said
    rows = split_of(out)
    assert [row["split"] for row in rows].count("val") == 3
    assert {row["label"] for row in rows if row["split"] == "val"} == set(CLASSES)
    model = load_model(CheckpointStore(out, 0).find(""))
    assert model.class_names == (CLASSES,)
    assert (out / "results/metrics.json").is_file()
    assert (out / "report.html").is_file()


def test_its_configuration_trains_the_same(trained, tmp_path):
    out = tmp_path / "again"
    assert train.main(["--cfg", str(trained / "config.yaml"), "OUTPUT_DIR", str(out)]) == 0
    assert all(torch.equal(own, state(out)[name]) for name, own in state(trained).items())
    short = load_config(trained / "recipe.yaml", QUICK)
    assert short.dump() == load_config(trained / "config.yaml").dump()


def test_the_same_command_goes_on(clips, run, tmp_path, monkeypatch, trained):
    from slowfast_ext.engine import train as loop

    end_epoch = loop.end_epoch

    def stopped(run, epoch):
        end_epoch(run, epoch)
        raise Interrupted("stopped")

    monkeypatch.setattr(loop, "end_epoch", stopped)
    out = tmp_path / "out"
    assert run(clips, "--out", out, "--epochs", 2)[0] == 75
    monkeypatch.setattr(loop, "end_epoch", end_epoch)
    code, said, _ = run(clips, "--out", out, "--epochs", 2)
    assert code == 0
    assert "goes on" in said
    assert "checked" not in said
    assert all(torch.equal(own, state(out)[name]) for name, own in state(trained).items())


def test_videos_that_come_later_are_named(trained, clips, run, tmp_path):
    shutil.copytree(trained, tmp_path / "out")
    shutil.copytree(clips, tmp_path / "moves")
    request = json.loads((tmp_path / "out/finetune.json").read_text())
    request["source"] = str(tmp_path / "moves")
    (tmp_path / "out/finetune.json").write_text(json.dumps(request))
    write_clip(tmp_path / "moves/move up/new.mp4", 2, 9)
    shutil.move(tmp_path / "out/data/split.csv", tmp_path / "split.csv")
    text = (tmp_path / "split.csv").read_text().replace(str(clips), str(tmp_path / "moves"))
    (tmp_path / "out/data/split.csv").write_text(text)
    _, said, _ = run(tmp_path / "moves", "--out", tmp_path / "out", "--epochs", 2, "--dry-run")
    assert f"left out: {tmp_path}/moves/move up/new.mp4" in said


def test_another_command_does_not_touch_the_folder(trained, clips, run):
    before = state(trained)
    code, _, errors = run(clips, "--out", trained, "--epochs", 3)
    assert code == 2
    assert "folder of another run; choose another --out\n  epochs: 2 then, 3 now" in errors
    assert all(torch.equal(own, state(trained)[name]) for name, own in before.items())


def test_a_folder_of_something_else_is_not_touched(clips, run, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    code, _, errors = run(clips, "--out", tmp_path)
    assert code == 2
    assert "holds thesis.tex" in errors
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_from_a_checkpoint_of_ours(trained, clips, run, tmp_path):
    code, said, errors = run(clips, "--from", trained, "--out", tmp_path / "out", "--epochs", 1)
    assert code == 0, errors
    assert "that was trained here; its head is kept" in said
    assert "trains the classifier alone, the backbone is frozen (4 training videos a class)" in said
    before = read_checkpoint(CheckpointStore(trained, 0).find("best"))["model_state"]
    after = state(tmp_path / "out")
    same = {name for name, _ in load_model(CheckpointStore(trained, 0).find("")).named_parameters()}
    moved = {name for name in same if not torch.equal(before[name], after[name])}
    assert moved <= {"head.weight", "head.bias"}


def test_other_classes_get_a_new_head(trained, clips, run, tmp_path):
    two = tmp_path / "two"
    for name in CLASSES[:2]:
        shutil.copytree(clips / name, two / name)
    arguments = two, "--from", trained, "--out", tmp_path / "out", "--epochs", 1, "--train", "last"
    code, said, errors = run(*arguments, "--dry-run")
    assert code == 0, errors
    assert "its head starts anew" in said
    cfg = load_config(tmp_path / "out/config.yaml")
    assert cfg.TRAIN.CHECKPOINT_CHANGED == ["head"]
    assert r"^backbone\.patch_embeds\.0(\.|$)" in cfg.TRAIN.FREEZE


def test_table_with_groups(clips, run, tmp_path):
    rows = [f"{path},{path.parent.name},{path.stem}" for path in clips.glob("*/*.mp4")]
    table = tmp_path / "videos.csv"
    table.write_text("\n".join(["path,label,group", *rows]))
    code, said, errors = run(table, "--out", tmp_path / "out", "--dry-run")
    assert code == 0, errors
    assert "groups stay together" in said
    sides = {}
    for row in split_of(tmp_path / "out"):
        sides.setdefault(row["group"], set()).add(row["split"])
    assert all(len(own) == 1 for own in sides.values())
    again = tmp_path / "again"
    assert run(tmp_path / "out/data/split.csv", "--out", again, "--dry-run")[0] == 0
    assert split_of(again) == split_of(tmp_path / "out")


def test_minutes_become_epochs(clips, run, tmp_path):
    code, said, errors = run(clips, "--out", tmp_path / "out", "--minutes", 0.05, "--dry-run")
    assert code == 0, errors
    assert "epochs fit into 0.05 min" in said
    assert not (tmp_path / "out/checkpoints").exists()


def sound_only(path):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), "fltp", "mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def test_unreadable_files_are_left_out_and_named(clips, run, tmp_path):
    shutil.copytree(clips, tmp_path / "moves")
    broken = tmp_path / "moves/move left/broken.mp4"
    broken.write_bytes(b"no video at all")
    sound_only(tmp_path / "moves/move up/sound.mp4")
    (tmp_path / "moves/later").mkdir()
    code, said, errors = run(tmp_path / "moves", "--out", tmp_path / "out", "--dry-run")
    assert code == 0, errors
    assert "checked: 14 of 16" in said
    assert f"unreadable, left out: {broken}" in said
    assert "folders without a video, left out: later" in said
    assert "sound.mp4" in (tmp_path / "out/data/check.tsv").read_text()


def bad_folder(tmp_path, clips, kind):
    root = tmp_path / "bad"
    root.mkdir()
    if kind == "one class":
        shutil.copytree(clips / CLASSES[0], root / "only")
    if kind == "single":
        shutil.copytree(clips, root, dirs_exist_ok=True)
        shutil.copytree(clips / CLASSES[0], root / "b")
        for path in sorted((root / "b").iterdir())[1:]:
            path.unlink()
    if kind in ("sound", "lost"):
        shutil.copytree(clips / CLASSES[0], root / "a")
        (root / "b").mkdir()
        for name in ("1.mp4", "2.mp4"):
            sound_only(root / "b" / name)
    if kind == "sound":
        for path in (root / "a").iterdir():
            path.write_bytes(b"")
    return root


@pytest.mark.parametrize(
    ("kind", "complaint"),
    [
        ("empty", "no videos"),
        ("one class", "only one class (only): a classifier needs two or more"),
        ("single", "class b with a single video"),
        ("sound", "none of the 8 videos can be read"),
        ("lost", "no video of b can be read"),
    ],
)
def test_folders_that_cannot_be_trained(tmp_path, clips, run, kind, complaint):
    root, out = bad_folder(tmp_path, clips, kind), tmp_path / "out"
    code, _, errors = run(root, "--out", out)
    assert code == 2
    assert complaint in errors
    assert errors.count("\n") == 1
    shutil.copytree(clips, root, dirs_exist_ok=True)
    shutil.rmtree(root / "b", ignore_errors=True)
    shutil.rmtree(root / "a", ignore_errors=True)
    shutil.rmtree(root / "only", ignore_errors=True)
    assert run(root, "--out", out, "--dry-run")[0] == 0, "mended, the same command works"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--model", "uniformer_x"], "--model uniformer_x: did you mean"),
        (["--from", "uniformer_s"], "that is the name of a model, not of weights; name its weights"),
        (["--from", "none.pth"], "none.pth: no such file"),
        (["--from", "other.pth"], "fits no known model"),
        (["--from", "other.pth", "--model", "uniformer_s"], "other.pth: weights of another model"),
        (["--from", "trained", "--model", "uniformer_s"], "brings its own configuration; leave --model out"),
        (["--from", "trained", "UNIFORMER.DEPTH", "[1,1,2,1]"], "weights of another model"),
        (["SOLVER.BASE_LRR", "1"], "did you mean SOLVER.BASE_LR"),
        (["SOLVER.BASE_LR"], "'SOLVER.BASE_LR' has no value"),
    ],
)  # fmt: skip
def test_commands_that_cannot_be_run(
    trained, clips, tmp_path, capfd, monkeypatch, arguments, complaint
):
    monkeypatch.setattr("slowfast_ext.finetune.start.list_models", lambda: ["uniformer_s", "vit_s"])
    monkeypatch.chdir(tmp_path)
    torch.save({"model_state": {"conv.weight": torch.zeros(3, 3)}}, "other.pth")
    (tmp_path / "trained").symlink_to(trained)
    assert finetune.main([str(clips), "--out", "out", *arguments]) == 2
    assert complaint in capfd.readouterr().err
    assert not list(tmp_path.glob("out/finetune.json"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_signal_before_the_training(clips, run, tmp_path, monkeypatch, number):
    """While files are checked: nothing is lost, a second one changes nothing, the same command goes on."""

    def stopped(*_):
        os.kill(os.getpid(), number)
        time.sleep(60)

    monkeypatch.setattr(health, "inspect_all", stopped)
    code, _, errors = run(clips, "--out", tmp_path / "out")
    assert code == 75
    assert errors.strip() == f"stopped by {number.name}; the same command goes on"
    os.kill(os.getpid(), signal.SIGTERM)
