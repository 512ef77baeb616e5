"""Token labelling: label maps cut as their images are, MixToken, the loss, published weights, and a run of the engine."""

import math
import shutil
from itertools import islice

import numpy as np
import pytest
import torch
from token_runs import TOKENS, coloured_squares, configured

from slowfast_ext.cli import jobs
from slowfast_ext.data.annotations import read_videos
from slowfast_ext.data.dataset import TrainClips
from slowfast_ext.data.decode.source import VideoSource
from slowfast_ext.data.label_maps import write_label_map
from slowfast_ext.data.loader import TrainLoader
from slowfast_ext.data.samplers import Draw
from slowfast_ext.data.seeds import clip_rngs
from slowfast_ext.engine.checkpoint import CheckpointStore, read_checkpoint
from slowfast_ext.engine.checks import CHECKS
from slowfast_ext.engine.load import load_test_weights
from slowfast_ext.engine.log import read_stats
from slowfast_ext.errors import CheckpointError, ConfigError, DataError, Interrupted
from slowfast_ext.models import build_model
from slowfast_ext.models.token_labelling import MixToken, mixed_box
from slowfast_ext.models.weights import WEIGHTS, LoadOptions, load_weights
from slowfast_ext.processes import StopRequest
from slowfast_ext.tasks import build_task
from slowfast_ext.tasks.label_maps import CroppedMaps, crop_labels
from slowfast_ext.tasks.token_labelling import (
    TokenLabelling,
    TokenLabelOptions,
    TokenOutput,
    mix_draw,
)

CLASSES = 7


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return coloured_squares(tmp_path_factory.mktemp("images"))


@pytest.fixture
def run(images, tmp_path):
    """Settings of a tiny training of its own."""
    return {
        **TOKENS, "DATA.PATH_TO_DATA_DIR": images, "TOKEN_LABELS.PATH": images / "maps", "OUTPUT_DIR": tmp_path / "out",
    }  # fmt: skip


def newest(settings):
    return read_checkpoint(CheckpointStore(settings["OUTPUT_DIR"], 0).find(""))


def random_maps(images=3, best=2, size=9):
    """Label maps of a teacher that knows seven classes, whole images."""
    logits_BKHW = torch.randn(
        images, CLASSES, size, size, generator=torch.Generator().manual_seed(0)
    )
    scores, classes = (3 * logits_BKHW).topk(best, dim=1)
    box = torch.tensor([[0.1, 0.2, 1.0, 0.9]]).expand(images, 4)
    return CroppedMaps(scores, classes, box, torch.arange(images) == 1)


def naive_box(own, cy, cx, height, width):
    """The published box: sides and centre cut to whole tokens, half a side each way."""
    ratio = math.sqrt(1 - own)
    half_h, half_w = int(height * ratio) // 2, int(width * ratio) // 2
    row, column = int(cy * height), int(cx * width)
    return (
        max(row - half_h, 0), max(column - half_w, 0),
        min(row + half_h, height), min(column + half_w, width),
    )  # fmt: skip


@pytest.mark.parametrize("own", [0.0, 0.3, 0.77, 1.0])
def test_box_of_mix_token_against_whole_numbers(own):
    for cy, cx in ((0.0, 0.0), (0.31, 0.9), (0.5, 0.55), (0.999, 0.02)):
        draw = torch.tensor([math.sqrt(1 - own), cy, cx])
        assert tuple(mixed_box(draw, 56, 40).tolist()) == naive_box(own, cy, cx, 56, 40)


def test_a_centre_that_rounds_to_one_stays_inside():
    assert mixed_box(torch.tensor([0.5, 1.0, 1.0]), 8, 8).tolist() == [5, 5, 8, 8]


def test_draws_are_of_a_beta_and_uniform():
    draws = torch.stack([mix_draw(1.0, rng) for rng in islice(clip_rngs(0, 0, 0), 4000)])
    own = 1 - draws[:, 0] ** 2
    assert own.mean() == pytest.approx(0.5, abs=0.02)
    assert own.var() == pytest.approx(1 / 12, abs=0.01)
    assert draws[:, 1:].mean(0).tolist() == pytest.approx([0.5, 0.5], abs=0.02)
    assert draws.max() <= 1
    narrow = torch.stack([mix_draw(8.0, rng) for rng in islice(clip_rngs(0, 0, 0), 500)])
    assert (1 - narrow[:, 0] ** 2).var() < 0.03


def test_one_draw_a_batch_and_none_without_mix_token():
    clip = torch.rand(4, 3, 1, 8, 8)
    found, draw_3 = TokenLabelling((3,)).inputs(clip, clip_rngs(0, 0, 0))
    assert found is clip
    assert torch.equal(draw_3, mix_draw(1.0, next(iter(clip_rngs(0, 0, 0)))))
    plain = TokenLabelling((3,), TokenLabelOptions(mix_alpha=0.0))
    assert plain.inputs(clip, clip_rngs(0, 0, 0)) == (clip,)


def test_tokens_of_the_usual_crop():
    assert TokenLabelling((3,), TokenLabelOptions(token_size=1)).grid == (224, 224)


def test_tokens_are_mixed_and_go_back():
    first = torch.arange(4.0).view(4, 1, 1, 1, 1).expand(4, 1, 16, 16, 2)
    last = torch.arange(4.0).view(4, 1, 1, 1, 1).expand(4, 1, 4, 4, 3)
    draw = torch.tensor(
        [0.8, 0.6, 0.3]
    )  # sides int(12.8) = 12, centre (9, 4): rows 3 to 15, columns 0 to 10
    mixing = MixToken(draw)
    mixed = mixing.mix(first)
    inside = torch.zeros(16, 16, dtype=torch.bool)
    inside[3:15, 0:10] = True
    for image in range(4):
        assert (mixed[image, 0, inside] == 3 - image).all()
        assert (mixed[image, 0, ~inside] == image).all()
    restored, own = mixing.restore(last)  # in tokens of four: rows 0 to 3, columns 0 to 2
    assert own.item() == pytest.approx(1 - 3 * 2 / 16)
    inside = torch.zeros(4, 4, dtype=torch.bool)
    inside[0:3, 0:2] = True
    for image in range(4):
        assert (restored[image, 0, inside] == 3 - image).all()
        assert (restored[image, 0, ~inside] == image).all()


def test_the_box_of_a_grid_that_is_no_square():
    """16 x 8: sides 12 and int(6.4) = 6, centre (9, 2)."""
    first = torch.arange(2.0).view(2, 1, 1, 1, 1).expand(2, 1, 16, 8, 1)
    changed = MixToken(torch.tensor([0.8, 0.6, 0.3])).mix(first)[0, 0, :, :, 0] == 1
    rows, columns = changed.nonzero().unbind(1)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (3, 14, 0, 4)
    assert changed.sum() == 12 * 5


def test_loss_against_the_formula():
    torch.manual_seed(0)
    task = TokenLabelling(
        (CLASSES,), TokenLabelOptions(token_size=32, loss_weight=0.6), (64, 96), label_smoothing=0.1
    )
    maps = random_maps()
    targets = task.batch_targets(torch.zeros(3, 1, dtype=torch.int64), maps)
    plain = crop_labels(maps, CLASSES, (2, 3))
    image, tokens = torch.randn(3, CLASSES), torch.randn(3, 2, 3, CLASSES)
    found = task.loss(TokenOutput(image, tokens, torch.tensor(0.7)), targets)
    of_image = of_tokens = 0.0
    for b in range(3):
        smooth, partner = (x * 0.9 + 0.1 / CLASSES for x in (plain[0][b], plain[0][2 - b]))
        own = 0.7 * smooth + 0.3 * partner
        of_image -= (own * image[b].log_softmax(-1)).sum().item() / 3
        for i, j in np.ndindex(2, 3):
            smooth = plain[1][b, i, j] * 0.9 + 0.1 / CLASSES
            of_tokens -= (smooth * tokens[b, i, j].log_softmax(-1)).sum().item() / 18
    assert found.item() == pytest.approx(of_image + 0.6 * of_tokens, rel=1e-5)


def test_accuracy_in_training_is_against_what_the_image_is_most_of():
    task = TokenLabelling((3,), TokenLabelOptions(), (32, 32))
    target = torch.tensor([[0.9, 0.1, 0.0], [0.0, 0.2, 0.8]])
    image = torch.tensor([[5.0, 0.0, 0.0], [5.0, 0.0, 0.0]])
    tokens = torch.zeros(2, 1, 1, 3)
    for own, right in ((1.0, 1), (0.0, 1), (0.4, 1)):
        top1, _ = task.running_sums(TokenOutput(image, tokens, torch.tensor(own)), (target, tokens))
        assert top1.item() == 100 * right
    both = torch.tensor([[5.0, 0.0, 0.0], [0.0, 0.0, 5.0]])
    assert task.running_sums(TokenOutput(both, tokens, torch.tensor(0.0)), (target, tokens))[0] == 0
    assert (
        task.running_sums(TokenOutput(both, tokens, torch.tensor(1.0)), (target, tokens))[0] == 200
    )


def model_and_image(**changes):
    cfg = configured({key.replace("__", "."): value for key, value in changes.items()})
    torch.manual_seed(0)
    return build_model(cfg), torch.rand(4, 3, 1, 64, 64)


VIT = {
    "MODEL.BACKBONE": "vit", "VIT.PATCH_SIZE": [1, 16, 16], "VIT.EMBED_DIM": 16, "VIT.DEPTH": 2, "VIT.NUM_HEADS": 2,
    "VIT.POS_EMBED": "joint", "TOKEN_LABELS.TOKEN_SIZE": 16,
}  # fmt: skip
MODELS = {
    "uniformer": {},
    "structvit": {"ATTENTION.CYCLE": ["struct"]},
    "vit": VIT,
    "vit_mean": VIT | {"VIT.POOL": "mean"},
}


@pytest.mark.parametrize("name", MODELS)
def test_a_test_is_the_image_and_half_of_the_best_token(name):
    model, clip = model_and_image(**MODELS[name])
    model.eval()
    seen = []
    model.head.tokens.register_forward_hook(lambda module, given, made: seen.append(made))
    with torch.no_grad():
        logits = model(clip, torch.tensor([0.9, 0.5, 0.5]))  # what is for training changes nothing
        plain = model.head(model.backbone(clip))
    assert seen[0].shape == (
        4,
        1,
        *((2, 2) if "vit" not in name or name == "structvit" else (4, 4)),
        3,
    )
    assert torch.equal(logits, plain + 0.5 * seen[0].flatten(1, 3).max(1).values)


@pytest.mark.parametrize("name", MODELS)
def test_training_gives_logits_of_tokens_and_what_is_their_own(name):
    model, clip = model_and_image(**MODELS[name])
    model.train()
    side = 2 if name in ("uniformer", "structvit") else 4
    image, tokens, own = model(clip)
    assert (image.shape, tokens.shape, own.item()) == ((4, 3), (4, side, side, 3), 1.0)
    _, _, own = model(clip, torch.tensor([1.0, 0.5, 0.5]))
    assert own.item() == 0.0


def test_whole_images_that_change_places_come_back():
    """With all tokens swapped an image's tokens are those of the image, and its logits its partner's."""
    model, clip = model_and_image()
    model.train()
    model.backbone.eval()  # batch norm with fixed statistics
    with torch.no_grad():
        image, tokens, _ = model(clip)
        mixed, restored, own = model(clip, torch.tensor([1.0, 0.5, 0.5]))
    assert own == 0
    torch.testing.assert_close(mixed, image.flip(0))
    torch.testing.assert_close(restored, tokens)


def test_what_does_not_fit_is_said():
    for changes, message in (
        ({"DATA.NUM_FRAMES": 4, "UNIFORMER.IMAGE": False}, "label maps are those of images"),
        ({"TOKEN_LABELS.TOKEN_SIZE": 16}, "set it to 32"),
        (VIT | {"VIT.POOL": "mean_norm"}, "has no tokens to label"),
        (VIT | {"VIT.PATCH_SIZE": [1, 16, 8]}, "has no tokens to label"),
        (VIT | {"MODEL.BACKBONE": "xvit"}, "see uniformer, vit"),
    ):
        with pytest.raises(ConfigError, match=message):
            configured(changes, CHECKS)


def test_released_names_and_a_plain_model_that_takes_them():
    """`aux_head` of UniFormer's *_tl files; a model without it needs no permission to leave it out, even in a test."""
    model, clip = model_and_image()
    theirs = WEIGHTS.get("uniformer").to_theirs(model.state_dict(), model)
    assert theirs["aux_head.weight"].shape == (3, 16)
    again, _ = model_and_image()
    report = load_weights(again, theirs)
    assert report.changes() == {}
    assert all(torch.equal(own, again.state_dict()[key]) for key, own in model.state_dict().items())
    plain, _ = model_and_image(TASK="auto")
    report = load_weights(plain, theirs)
    assert report.changes() == {}
    assert report.token_head == ["head.tokens.weight", "head.tokens.bias"]
    assert "classifier of tokens" in str(report)
    with torch.no_grad():
        assert torch.equal(plain.eval()(clip), model.eval().head(model.backbone(clip)))
    with pytest.raises(CheckpointError, match="new"):
        load_weights(again, plain.state_dict())
    load_weights(again, plain.state_dict(), LoadOptions(changed=("new",)))


def test_it_learns_and_a_plain_model_tests_its_weights(run):
    jobs.train_and_test(
        configured({**run, "AUG.ENABLE": False, "SOLVER.MAX_EPOCH": 6, "TEST.ENABLE": False})
    )
    stats = [own["loss"] for own in read_stats(run["OUTPUT_DIR"], "train_epoch")]
    assert stats[-1] < stats[0] - 0.1
    assert read_stats(run["OUTPUT_DIR"], "val_epoch")[-1]["top1_acc"] > 60
    path = CheckpointStore(run["OUTPUT_DIR"], 0).find("")
    plain = build_model(configured({"TASK": "auto"}))
    assert load_test_weights(plain, path, LoadOptions()).changes() == {}


def test_resume_repeats_the_unbroken_run(run, tmp_path, monkeypatch):
    jobs.train_and_test(configured({**run, "TEST.ENABLE": False}))
    whole = newest(run)["model_state"]
    broken = {**run, "OUTPUT_DIR": tmp_path / "broken", "TRAIN.CHECKPOINT_STEPS": 1}
    monkeypatch.setattr(StopRequest, "__bool__", lambda stop: True)
    with pytest.raises(Interrupted):
        jobs.train_and_test(configured({**broken, "TEST.ENABLE": False}))
    monkeypatch.undo()
    jobs.train_and_test(configured({**broken, "TEST.ENABLE": False}))
    again = newest(broken)["model_state"]
    assert all(torch.equal(own, again[key]) for key, own in whole.items())


def test_batches_are_the_same_from_loader_processes(run):
    batches = []
    for workers in (0, 2):
        cfg = configured({**run, "DATA_LOADER.NUM_WORKERS": workers})
        loader = TrainLoader.from_cfg(cfg, read_videos(cfg, "train"), build_task(cfg))
        batches.append(next(iter(loader.epoch(1))))
    for name, one, two in zip(CroppedMaps._fields, batches[0].maps, batches[1].maps, strict=True):
        assert torch.equal(one, two), name
    assert batches[0].maps[0].shape == (6, 2, 8, 8)


def test_a_bad_map_costs_its_image_and_a_wrong_folder_the_run(run, images, tmp_path):
    maps = tmp_path / "maps"
    shutil.copytree(images / "maps", maps)
    (maps / "red/0.pt").write_bytes(b"nothing")
    (maps / "red/1.pt").unlink()
    cfg = configured({**run, "TOKEN_LABELS.PATH": maps})
    clips = TrainClips.from_cfg(cfg, read_videos(cfg, "train"), VideoSource.from_cfg(cfg))
    names = [record.path.rpartition("/red/")[2] for record in clips.videos]
    for name, reason in (("0.png", "label map"), ("1.png", "has no label map")):
        item = clips[Draw(0, names.index(name))]
        assert reason in item.bad[0].reason
        assert item.index != names.index(name)
        assert len(item.maps) == 1
    shutil.rmtree(maps)
    with pytest.raises(ConfigError, match="no such folder of label maps"):
        TrainClips.from_cfg(cfg, clips.videos, VideoSource.from_cfg(cfg))
    with pytest.raises(ConfigError, match="training needs a folder"):
        TrainClips.from_cfg(
            configured({**run, "TOKEN_LABELS.PATH": ""}), clips.videos, VideoSource.from_cfg(cfg)
        )
    maps.mkdir()
    clips = TrainClips.from_cfg(cfg, clips.videos, VideoSource.from_cfg(cfg))
    with pytest.raises(DataError, match="11 videos in a row could not be read") as raised:
        clips[Draw(0, 0)]
    assert "has no label map" in str(raised.value)


def test_maps_of_several_sizes_are_named(run, images, tmp_path):
    maps = tmp_path / "maps"
    shutil.copytree(images / "maps", maps)
    write_label_map(maps / "red/0.pt", torch.rand(3, 4, 4), 2)
    cfg = configured({**run, "TOKEN_LABELS.PATH": maps, "TRAIN.BATCH_SIZE": 24})
    loader = TrainLoader.from_cfg(cfg, read_videos(cfg, "train"), build_task(cfg))
    with pytest.raises(DataError, match="label maps of several sizes"):
        next(iter(loader.epoch(0)))
