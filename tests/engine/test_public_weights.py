"""slowfast-ext test --weights FILE --data NAME ROOT: what a file of a public release is taken for, and its classes."""

import json

import pytest
import torch

from slowfast_ext.cli.test import main
from slowfast_ext.config import load_config
from slowfast_ext.data.annotations import read_videos
from slowfast_ext.models import build_model
from slowfast_ext.models.weights import WEIGHTS, class_order

TINY = """
VIT: {EMBED_DIM: 24, DEPTH: 1, NUM_HEADS: 3, PATCH_SIZE: [2, 16, 16], POS_EMBED: sincos, POOL: mean_norm}
ATTENTION: {CYCLE: [joint]}
DATA: {NUM_FRAMES: 4, SAMPLING_RATE: 2, TRAIN_CROP_SIZE: 32, TEST_CROP_SIZE: 32, MEAN: [0.5, 0.5, 0.5]}
MOTION: {NUM_TRAIN: 24, NUM_VAL: 13, SIZE: 32, NUM_FRAMES: 8}
TEST: {NUM_ENSEMBLE_VIEWS: 2, NUM_SPATIAL_CROPS: 1, ENSEMBLE: probs}
DATA_LOADER: {NUM_WORKERS: 0}
DEVICE: cpu
"""


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A folder to stand in, with a YAML file of a model."""
    (tmp_path / "tiny.yaml").write_text(TINY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def weights_of(tiny, classes, settings=()):
    """A file as VideoMAE's authors write it; the class of row n of its head is all the more likely the larger n is."""
    cfg = load_config(tiny / "tiny.yaml", ["MODEL.NUM_CLASSES", str(classes), *settings])
    model = build_model(cfg)
    model.head.weight.data.zero_()
    model.head.bias.data = torch.arange(float(classes))
    path = tiny / f"{classes}.pth"
    torch.save(
        {"module": WEIGHTS.get("videomae").to_theirs(model.state_dict(), model)},
        path,
    )
    return str(path)


def kinetics(tiny, clips, names):
    """Lists of the rendered clips, all of the first class, and the names of the classes, if any."""
    cfg = load_config(tiny / "tiny.yaml", ["DATA.PATH_TO_DATA_DIR", str(clips), "TEST.DATASET", "motionshapes", "MODEL.NUM_CLASSES", "12"])  # fmt: skip
    rows = [f"{record.path} {label}" for record, label in zip(read_videos(cfg, "val"), (0, 399), strict=False)]  # fmt: skip
    folder = tiny / "lists"
    folder.mkdir()
    (folder / "test.csv").write_text("\n".join(rows))
    if names:
        (folder / "classes.txt").write_text("\n".join(names))
    return str(folder)


def test_a_named_model_tests_its_weights(tiny, clips, capsys):
    arguments = ["--weights", weights_of(tiny, 12), "--model", "tiny.yaml"]
    assert main([*arguments, "--data", "motionshapes", str(clips), "OUTPUT_DIR", "out"]) == 0
    said = capsys.readouterr().out
    for words in (
        "names of videomae",
        "4 frames, stride 2",
        "mean 0.5 0.5 0.5",
        "2 clips x 1 crops",
    ):
        assert words in said
    assert "top1_acc" in json.loads((tiny / "out/results/metrics.json").read_text())
    assert load_config(tiny / "out/config.yaml").TEST.CHECKPOINT_FILE_PATH.endswith("12.pth")


def test_rows_of_a_k710_head_by_the_names_of_the_data(tiny, clips, capsys):
    names = sorted(class_order("k400"), key=class_order("k710").index)
    folder = kinetics(tiny, clips, names)
    arguments = ["--weights", weights_of(tiny, 710), "--model", "tiny.yaml"]
    assert main([*arguments, "--data", "kinetics", folder]) == 0
    assert "400 of the 710 of its Kinetics-710 head" in capsys.readouterr().out
    metrics = json.loads((tiny / "output/test_tiny_kinetics/results/metrics.json").read_text())
    assert metrics["top1_acc"] == 50.0


def test_classes_without_names_or_in_another_order_stop(tiny, clips, capsys):
    folder = kinetics(tiny, clips, ())
    arguments = ["--model", "tiny.yaml", "--data", "kinetics", folder]
    assert main(["--weights", weights_of(tiny, 710), *arguments]) == 2
    assert "[k710, k400_uniformer]" in capsys.readouterr().err
    (tiny / "lists/classes.txt").write_text("\n".join(class_order("k400_uniformer")))
    assert main(["--weights", weights_of(tiny, 400), *arguments]) == 2
    assert "its classes are in the order k400, the data's in another" in capsys.readouterr().err
    assert main(["--weights", weights_of(tiny, 174), *arguments]) == 2
    assert "its head has 174 classes, kinetics has 400" in capsys.readouterr().err
    assert not (tiny / "output").exists()


JEPA = ["VIT.EMBED_DIM", "48", "VIT.POS_EMBED", "none", "VIT.POOL", "probe", "VIT.POOL_HEADS", "3"]
JEPA += ["ATTENTION.ROTARY", "True"]


def test_an_encoder_and_its_probe(tiny, clips, capsys):
    model = build_model(load_config(tiny / "tiny.yaml", ["MODEL.NUM_CLASSES", "12", *JEPA]))
    theirs = WEIGHTS.get("vjepa2").to_theirs(model.state_dict(), model)
    parts = {
        part: {key.removeprefix(part): x for key, x in theirs.items() if key.startswith(part)}
        for part in ("encoder.", "classifiers.0.")
    }
    torch.save({"target_encoder": parts["encoder."]}, "encoder.pt")
    torch.save({"classifiers": [parts["classifiers.0."]]}, "probe.pt")
    arguments = ["--model", "tiny.yaml", "--data", "motionshapes", str(clips), *JEPA]
    assert main(["--weights", "encoder.pt", *arguments]) == 2
    assert "encoder.pt: has no classifier, only a backbone" in capsys.readouterr().err
    assert main(["--weights", "encoder.pt", "probe.pt", *arguments]) == 0
    assert "encoder.pt and probe.pt: tiny.yaml" in capsys.readouterr().out


BASE = ["VIT.EMBED_DIM", "768", "VIT.NUM_HEADS", "12", "VIT.DEPTH", "12"]


def test_the_zoo_configuration_is_recognised(tiny, clips, capsys):
    folder = kinetics(tiny, clips, class_order("k400"))
    arguments = ["--data", "kinetics", folder, "--print-cfg"]
    assert main(["--weights", weights_of(tiny, 400, BASE), *arguments]) == 0
    assert "TEST.NUM_ENSEMBLE_VIEWS: 5" in capsys.readouterr().out
    assert main(["--weights", weights_of(tiny, 51, BASE), *arguments]) == 2
    said = capsys.readouterr().err
    assert "fits videomae2_b, videomae_b, videomae_b_ssv2; say which with --model" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data", "kinetics", "."], "belong to --weights"),
        (["--weights", "w.pth"], "needs --data NAME ROOT"),
        (["--weights", "w.pth", "--data", "kinetic", "."], "did you mean kinetics"),
        (["--weights", "w.pth", "--data", "kinetics", "."], "w.pth: no such file"),
        (
            ["--weights", "odd.pth", "--data", "kinetics", "."],
            "odd.pth: the checkpoint is of no family",
        ),
    ],
)
def test_mistakes_are_one_message(tiny, arguments, words, capsys):
    torch.save({"strange": torch.zeros(2)}, "odd.pth")
    assert main(arguments) == 2
    assert words in capsys.readouterr().err
