"""Models as programs of their own: torch.export and ONNX, their checks, what is in the file."""

import importlib.util
import resource
import subprocess
import sys

import pytest
import torch
from engine.tiny_run import train

import slowfast_ext
from benchmarks.exports import FRAMES, OPTIONS, SIDE, Case
from slowfast_ext.cli import main
from slowfast_ext.data.transforms.device import PixelOptions, to_model_input
from slowfast_ext.errors import CheckpointError, ConfigError, ExportError
from slowfast_ext.export import export_model, read_metadata
from slowfast_ext.export_formats import format_of
from slowfast_ext.models.attention import KERNELS
from slowfast_ext.models.backbones import BACKBONES
from slowfast_ext.models.blocks import attention_names
from slowfast_ext.tasks import VerbNoun, heads_of

WITHOUT = [
    name for name in ("onnx", "onnxscript", "onnxruntime") if importlib.util.find_spec(name) is None
]
ONNX = pytest.param(
    "onnx", marks=pytest.mark.skipif(bool(WITHOUT), reason=f"{', '.join(WITHOUT)} not installed")
)
KINDS = ["pt2", ONNX]
QUICK = [
    Case("vit", "trajectory"),
    Case("vit", "divided"),
    Case("vit", kernel="orthoformer"),
    Case("vit", kernel="performer"),
    Case("xvit", "mixing"),
    Case("uniformer", "emim"),
    Case("uniformerv2", "window"),
]
SLOW = [
    *(Case("vit", pattern) for pattern in attention_names()),
    *(Case(own, pattern) for own in BACKBONES.names() for pattern in ("joint", "struct")),
    *(Case("vit", kernel=kernel) for kernel in KERNELS.names()),
    *OPTIONS.values(),
]
SLOW = [case for case in dict.fromkeys(SLOW) if case not in QUICK]
TINY = ["VIT.DEPTH", "1", "VIT.EMBED_DIM", "24", "VIT.NUM_HEADS", "2", "VIT.PATCH_SIZE", "[2,8,8]"]
TINY += ["DATA.NUM_FRAMES", "4", "DATA.TRAIN_CROP_SIZE", "32", "DATA.TEST_CROP_SIZE", "32"]


def name(case):
    return f"{case.backbone}-{case.pattern}-{case.kernel}"


def random_bytes(count, *views):
    shape = (count, *views, FRAMES, SIDE, SIDE, 3)
    return torch.randint(256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(3))


def normalised(clips, pixels=PixelOptions()):
    return to_model_input(clips.permute(0, 1, 4, 2, 3), pixels)


def program_of(path):
    return format_of(path).open(path)


@torch.no_grad()
def assert_equals_eager(run, model, inputs_of=normalised):
    """Batches of 1, 2 and 5; no other size was traced or checked when the file was written."""
    model.eval()
    for batch in (1, 2, 5):
        clips = random_bytes(batch)
        for found, expected in zip(
            run(inputs_of(clips)), heads_of(model(normalised(clips))), strict=True
        ):
            scale = expected.abs().max().item()
            torch.testing.assert_close(found, expected, rtol=0, atol=2e-5 * scale)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", QUICK, ids=name)
def test_programs_equal_the_model(case, kind, tmp_path):
    model, path = case.build(), tmp_path / f"model.{kind}"
    exported = export_model(model, path, clips=random_bytes(4))
    assert 0 <= exported.error < 1e-5
    assert exported.seconds > 0
    assert exported.eager_seconds > 0
    assert_equals_eager(program_of(path), model)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS[-1:])  # ONNX is made from the torch.export program
@pytest.mark.parametrize("case", SLOW, ids=name)
def test_everything_exports(case, kind, tmp_path):
    model, path = case.build(), tmp_path / f"model.{kind}"
    assert export_model(model, path, clips=random_bytes(4)).error < 1e-5
    assert_equals_eager(program_of(path), model)


@pytest.mark.parametrize("kind", KINDS)
def test_two_heads_with_preprocessing(kind, tmp_path):
    model, path = Case("vit").build((5, 7)), tmp_path / f"model.{kind}"
    model.class_names = (tuple("abcde"), ())
    model.config.DATA.CHANNEL_ORDER = "bgr"
    model.config.DATA.MEAN, model.config.DATA.STD = [0.4, 0.5, 0.6], [0.1, 0.2, 0.3]
    pixels = PixelOptions((0.4, 0.5, 0.6), (0.1, 0.2, 0.3), "bgr")
    export_model(model, path, preprocess=True, clips=random_bytes(1))
    run = program_of(path)
    with torch.no_grad():
        expected = model.eval()(normalised(random_bytes(3), pixels))
    assert isinstance(expected, VerbNoun)
    for found, wanted in zip(run(random_bytes(3)), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)
    facts = read_metadata(path)
    assert facts["input"] == {
        "name": "clips",
        "dtype": "uint8",
        "axes": "B T H W C",
        "shape": ["batch", FRAMES, SIDE, SIDE, 3],
        "colours": "rgb",
    }
    assert facts["outputs"] == [
        {"name": "verb", "size": 5, "classes": list("abcde")},
        {"name": "noun", "size": 7, "classes": []},
    ]
    assert facts["normalisation"]["inside"]
    assert facts["normalisation"]["mean"] == [0.4, 0.5, 0.6]
    assert facts["config"] == model.config.dump()


@pytest.mark.parametrize("kind", KINDS)
def test_views_of_a_video(kind, tmp_path):
    model, path = Case("vit").build(), tmp_path / f"model.{kind}"
    export_model(model, path, preprocess=True, views="2x3", clips=random_bytes(6))
    clips = random_bytes(2, 6)
    (found,) = program_of(path)(clips)
    with torch.no_grad():
        scores = model.eval()(normalised(clips.flatten(0, 1))).softmax(-1)
    torch.testing.assert_close(found, scores.unflatten(0, (2, 6)).mean(1), rtol=0, atol=1e-6)
    views = read_metadata(path)["views"]
    assert views == {"inside": True, "clips": 2, "crops": 3, "averaged": "probs"}


def test_bytes_are_normalised_as_in_training(tmp_path):
    """To the last bit, in torch."""
    model, path = Case("vit").build(), tmp_path / "model.pt2"
    assert export_model(model, path, preprocess=True, clips=random_bytes(4)).error < 1e-6
    with torch.no_grad():
        (found,) = program_of(path)(random_bytes(2))
        assert torch.equal(found, model.eval()(normalised(random_bytes(2))))


def test_a_program_runs_without_the_package(tmp_path):
    path = tmp_path / "model.pt2"
    export_model(Case("vit", "trajectory").build((5, 7)), path, clips=random_bytes(1))
    code = (
        "import sys; sys.modules['slowfast_ext'] = None\n"
        "import json, torch\n"
        "extra = {'metadata.json': ''}\n"
        f"program = torch.export.load({str(path)!r}, extra_files=extra).module()\n"
        f"verb, noun = program(torch.zeros(3, 3, {FRAMES}, {SIDE}, {SIDE}))\n"
        "print(verb.shape[1], noun.shape[1], json.loads(extra['metadata.json'])['outputs'][0]['name'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.stdout.split() == ["5", "7", "verb"], done.stderr


def test_the_model_stays_as_it_is(tmp_path):
    model = Case("uniformer").build().train()
    model.backbone.norm.eval()
    before = {name: x.clone() for name, x in model.state_dict().items()}
    export_model(model, tmp_path / "model.pt2", clips=random_bytes(2))
    assert model.training
    assert not model.backbone.norm.training
    assert all(torch.equal(x, before[name]) for name, x in model.state_dict().items())


@pytest.mark.parametrize("kind", KINDS)
def test_too_large_an_error_leaves_what_was_there(kind, tmp_path, monkeypatch):
    path = tmp_path / f"model.{kind}"
    path.write_text("before")
    with pytest.raises(ExportError, match=r"differ from the model's by .* more than -1"):
        export_model(Case("vit").build(), path, tolerance=-1, clips=random_bytes(4))
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_outputs_that_are_no_numbers_are_refused(tmp_path):
    model = Case("vit").build()
    torch.nn.init.constant_(model.head.bias, torch.nan)
    with pytest.raises(ExportError, match="by nan"):
        export_model(model, tmp_path / "model.pt2", clips=random_bytes(4))
    assert not list(tmp_path.iterdir())


def test_a_model_that_cannot_be_traced(tmp_path):
    class Asks(torch.nn.Identity):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    model = Case("vit").build()
    model.head_drop = Asks()
    with pytest.raises(ExportError, match=r"not written: .*data-dependent"):
        export_model(model, tmp_path / "model.pt2", clips=random_bytes(4))
    assert not list(tmp_path.iterdir())


def test_a_model_for_training_alone(tmp_path, capsys):
    command = ["export", "--model", "vit_b", "--out", str(tmp_path / "model.pt2"), "--opts", *TINY]
    assert main([*command, "TASK", "masked_pretraining", "VIT.POOL", "mean"]) == 2
    assert "masked_pretraining is only for training" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_wrong_requests(tmp_path):
    model = Case("vit").build()
    with pytest.raises(ConfigError, match=r"format '\.tflite' is unknown"):
        export_model(model, tmp_path / "model.tflite")
    with pytest.raises(ConfigError, match=r"give uint8 \[N, 4, 64, 64, 3\]"):
        export_model(model, tmp_path / "model.pt2", clips=random_bytes(1)[:, :2])
    with pytest.raises(ConfigError, match="clips x crops"):
        export_model(model, tmp_path / "model.pt2", views="many")
    model.config = None
    with pytest.raises(ConfigError, match="no configuration"):
        export_model(model, tmp_path / "model.pt2")
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="not written"):
        export_model(Case("vit").build(), tmp_path / "file/m.pt2", clips=random_bytes(1))
    with pytest.raises(CheckpointError, match="not a readable exported program"):
        read_metadata(tmp_path / "absent.pt2")


def test_packages_that_are_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    command = ["export", "--model", "vit_b", "--out", str(tmp_path / "model.onnx")]
    assert main(command) == 2
    said = capsys.readouterr().err
    assert "ONNX needs onnx, onnxscript, onnxruntime: pip install 'slowfast_ext[export]'" in said


@pytest.mark.parametrize("kind", KINDS)
def test_command_with_a_model_of_the_zoo(kind, tmp_path, capsys):
    """Its test set is not there: rendered clips."""
    path = tmp_path / f"model.{kind}"
    command = ["export", "--model", "vit_b", "--out", str(path), "--preprocess", "--opts", *TINY]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "maximum error" in said
    assert "4 rendered MotionShapes clips" in said
    assert "eager" in said
    path.unlink()
    assert main([*command, "--tolerance", "-1"]) == 2
    assert "more than -1.0e+00" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk(kind, tmp_path, capsys, monkeypatch):
    """The program does not fit: code 74, and the one that was there before stays.

    torch's own writer of files would end the whole process with SIGABRT.
    """
    path = tmp_path / f"model.{kind}"
    path.write_text("before")
    command = ["export", "--model", "vit_b", "--out", str(path), "--opts", *TINY]
    write, soft_hard = format_of(path).write, resource.getrlimit(resource.RLIMIT_FSIZE)

    def write_on_a_full_disk(*arguments):
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, soft_hard[1]))
        try:
            write(*arguments)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, soft_hard)

    monkeypatch.setattr(type(format_of(path)), "write", staticmethod(write_on_a_full_disk))
    assert main(command) == 74
    said = capsys.readouterr().err
    assert f"{path}: not written" in said
    assert "free space" in said
    assert "Traceback" not in said
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_command_with_a_checkpoint(tmp_path, capsys):
    """Class names are inside, the check is on its test set, the file lies beside it."""
    train({"OUTPUT_DIR": str(tmp_path / "out"), "DATA.PATH_TO_DATA_DIR": str(tmp_path / "data")})
    checkpoint = tmp_path / "out/checkpoints/checkpoint_epoch_00002.pyth"
    assert main(["export", "--weights", str(checkpoint), "--views", "2x1"]) == 0
    assert "4 videos of motionshapes" in capsys.readouterr().out
    facts = read_metadata(checkpoint.with_suffix(".pt2"))
    (output,) = facts["outputs"]
    assert output["name"] == "scores"
    assert tuple(output["classes"]) == slowfast_ext.load_model(checkpoint).class_names[0]
    assert len(output["classes"]) == output["size"] == 12
