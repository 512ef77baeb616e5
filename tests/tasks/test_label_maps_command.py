"""slowfast-ext data label-maps: what a teacher sees in each token, written, gone on with, refused, and trained from."""

import shutil

import pytest
import torch
from PIL import Image
from token_runs import TOKENS, coloured_squares, configured

from slowfast_ext.cli import EXIT_NOT_WRITTEN, data, jobs
from slowfast_ext.data.label_maps import LabelMaps
from slowfast_ext.data.transforms.device import PixelOptions, to_model_input
from slowfast_ext.engine.log import read_stats
from slowfast_ext.errors import Interrupted
from slowfast_ext.hub import load_model
from slowfast_ext.models import build_model
from slowfast_ext.models.weights import WEIGHTS
from slowfast_ext.predict import label_maps
from slowfast_ext.predict.label_maps import Teacher

NAMES = ["blue", "green", "red"]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return coloured_squares(tmp_path_factory.mktemp("images"))


def teacher_file(folder, class_names=(tuple(NAMES),), **changes):
    """A checkpoint as training here writes it: weights, configuration, class names."""
    cfg = configured({"TASK": "auto"} | {key.replace("__", "."): v for key, v in changes.items()})
    torch.manual_seed(0)
    model = build_model(cfg)
    state = {"model_state": model.state_dict(), "cfg": cfg.dump(), "class_names": class_names}
    torch.save(state, folder / "teacher.pyth")
    return folder / "teacher.pyth"


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    return teacher_file(tmp_path_factory.mktemp("teacher"))


@pytest.fixture
def make(images, teacher, tmp_path):
    """Run the command on the training images, without loader processes; returns its exit code."""

    def run(*words, weights=teacher, root=images, **changes):
        settings = (
            TOKENS | {"DATA.PATH_TO_DATA_DIR": root, "OUTPUT_DIR": tmp_path / "out"} | changes
        )
        pairs = [str(part) for item in settings.items() for part in item]
        own = [
            "--weights",
            str(weights),
            "--out",
            str(tmp_path / "maps"),
            "--workers",
            "0",
            "--best",
            "2",
        ]
        return data.main(["label-maps", *own, *words, *pairs])

    return run


def files(tmp_path):
    return {path: path.stat().st_mtime_ns for path in (tmp_path / "maps").rglob("*.pt")}


def test_maps_are_what_the_teacher_sees_in_each_part_of_the_image(make, images, teacher, tmp_path):
    assert make("--size", "96", "--best", "3") == 0
    model = load_model(teacher)
    for name in NAMES:
        found = torch.load(tmp_path / f"maps/{name}/3.pt", weights_only=True)
        assert (found.dtype, found.shape) == (torch.float16, (2, 3, 3, 3))
        image = Image.open(images / f"train/{name}/3.png").resize((96, 96), Image.BICUBIC)
        pixels_BTCHW = torch.tensor(list(image.tobytes()), dtype=torch.uint8).view(1, 1, 96, 96, 3)
        clip = to_model_input(pixels_BTCHW.permute(0, 1, 4, 2, 3), PixelOptions())
        with torch.no_grad():
            tokens_hwC = model.backbone.dense(clip)[1][0, 0]
            expected_hwK = model.head(tokens_hwC)
            whole_K = model(clip)[0]
        dense_Khw = torch.empty(3, 3, 3).scatter_(0, found[1].long(), found[0].float())
        torch.testing.assert_close(dense_Khw.permute(1, 2, 0), expected_hwK, atol=0.02, rtol=0.02)
        torch.testing.assert_close(dense_Khw.mean((1, 2)), whole_K, atol=0.02, rtol=0.02)
        assert (found[0][:-1] >= found[0][1:]).all()


def test_a_classifier_of_tokens_is_asked_where_there_is_one(teacher, tmp_path):
    cfg = configured()
    torch.manual_seed(0)
    model = build_model(cfg).eval()
    model.config = cfg
    own = Teacher.of(model, torch.device("cpu"))
    image = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    tokens = model.backbone.dense(to_model_input(image[:, None], PixelOptions()))[1][:, 0]
    torch.testing.assert_close(own.logits(image), model.head.tokens(tokens).permute(0, 3, 1, 2))


def test_weights_of_another_program_with_the_name_of_their_model(make, tmp_path):
    cfg = configured()
    model = build_model(cfg).eval()
    theirs = WEIGHTS.get("uniformer").to_theirs(model.state_dict(), model)
    torch.save({"model": theirs}, tmp_path / "theirs.pth")
    (tmp_path / "theirs.yaml").write_text(cfg.dump())
    assert make("--model", str(tmp_path / "theirs.yaml"), weights=tmp_path / "theirs.pth") == 0
    assert len(files(tmp_path)) == 24


def test_training_reads_what_the_command_makes(make, images, tmp_path):
    assert make("--best", "2") == 0
    changes = {"DATA.PATH_TO_DATA_DIR": images, "TOKEN_LABELS.PATH": tmp_path / "maps"}
    out = {"OUTPUT_DIR": tmp_path / "run", "SOLVER.MAX_EPOCH": 1, "TEST.ENABLE": False}
    jobs.train_and_test(configured(changes | out))
    assert read_stats(tmp_path / "run", "train_epoch")[0]["loss"] > 0
    assert not (tmp_path / "run/read_errors.tsv").exists()


def test_a_bad_image_is_a_line_and_the_same_command_goes_on(make, images, tmp_path, capsys):
    root = tmp_path / "set"
    shutil.copytree(images / "train", root / "train")
    (root / "train/red/0.png").write_bytes(b"no image")
    assert make(root=root) == 1
    printed = capsys.readouterr().out
    assert "24 images, 0 of them have a map" in printed
    assert "train/red/0.png" in printed
    assert "23 maps are in" in printed
    before = files(tmp_path)
    assert len(before) == 23
    shutil.copy(images / "train/red/0.png", root / "train/red/0.png")
    assert make(root=root) == 0
    assert "24 images, 23 of them have a map" in capsys.readouterr().out
    after = files(tmp_path)
    assert len(after) == 24
    assert before.items() <= after.items(), "maps that were there are not made again"


def test_a_stop_leaves_whole_files_and_the_rest_is_made_later(make, tmp_path, monkeypatch):
    written = label_maps.write_label_map
    left = [10]

    def stopped(path, logits, best):
        left[0] -= 1
        if left[0] < 0:
            raise Interrupted("SIGTERM")
        written(path, logits, best)

    monkeypatch.setattr(label_maps, "write_label_map", stopped)
    assert make("--batch", "4") == 75
    before = files(tmp_path)
    assert len(before) == 10
    monkeypatch.undo()
    killed = next(iter(before)).with_name(".7.pt.123.tmp")
    killed.write_bytes(b"half")
    assert make() == 0
    assert before.items() <= files(tmp_path).items()
    assert len(files(tmp_path)) == 24
    assert not killed.exists()


def test_maps_of_another_teacher_are_not_mixed_in(make, tmp_path, capsys):
    assert make() == 0
    for words in (["--size", "96"], ["--best", "3"]):
        assert make(*words) == 2
        assert "was made with" in capsys.readouterr().err
    other = teacher_file(tmp_path, UNIFORMER__DEPTH=[1, 1, 2, 1])
    assert make(weights=other) == 2
    assert "was made with weights" in capsys.readouterr().err


def test_a_full_disk_is_74(make, monkeypatch, capsys):
    def full(own, file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    assert make() == EXIT_NOT_WRITTEN
    assert "No space left" in capsys.readouterr().err


VIT = {"MODEL__BACKBONE": "vit", "VIT__PATCH_SIZE": [1, 16, 16], "VIT__EMBED_DIM": 16, "VIT__DEPTH": 1, "VIT__NUM_HEADS": 2}  # fmt: skip
UNFIT = {
    "classes": ({"MODEL__NUM_CLASSES": 4, "class_names": ()}, (), "has 4 classes, the data 3"),
    "order": ({"class_names": (("blue", "red", "green"),)}, (), "class 1 is 'red', the data's 'green'"),
    "frames": ({"DATA__NUM_FRAMES": 4, "UNIFORMER__IMAGE": False}, (), "give a classifier of images"),
    "tokens": (VIT | {"VIT__POOL": "mean_norm"}, (), "no tokens that its classifier could read"),
    "size": ({}, ("--size", "70"), "take multiples of 32"),
    "best": ({}, ("--best", "4"), "from 1 to the 3 classes"),
    "batch": ({}, ("--batch", "0"), "--batch"),
    "folder": ({}, ("--out", ""), "name a folder"),
}  # fmt: skip


@pytest.mark.parametrize("name", UNFIT)
def test_what_does_not_fit_is_said_before_anything_is_written(name, make, tmp_path, capsys):
    changes, words, message = UNFIT[name]
    assert make(*words, weights=teacher_file(tmp_path, **changes)) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "maps").exists()


def test_two_images_of_one_map_are_named(make, images, tmp_path, capsys):
    root = tmp_path / "set"
    shutil.copytree(images / "train", root / "train")
    shutil.copy(root / "train/red/0.png", root / "train/red/0.b.png")
    assert make(root=root) == 2
    said = capsys.readouterr().err
    assert "0.png" in said
    assert "0.b.png" in said
    assert not LabelMaps(tmp_path / "maps", 3).folder.exists()
