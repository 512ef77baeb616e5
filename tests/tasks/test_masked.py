"""Masked pre-training: masks, loss, the published files, and runs of the engine."""

import json
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from engine.tiny_run import SETTINGS
from reference_data import SHARED

from slowfast_ext.cli import jobs
from slowfast_ext.config import load_config
from slowfast_ext.data.annotations import read_videos
from slowfast_ext.data.seeds import clip_rngs, view_rngs
from slowfast_ext.engine.checkpoint import CheckpointStore, read_checkpoint
from slowfast_ext.engine.checks import CHECKS
from slowfast_ext.engine.log import read_stats
from slowfast_ext.errors import ConfigError, Interrupted
from slowfast_ext.files import read_weights
from slowfast_ext.models import build_model
from slowfast_ext.models.masked import tubelets
from slowfast_ext.models.weights import WEIGHTS, LoadOptions, load_weights
from slowfast_ext.processes import StopRequest
from slowfast_ext.tasks import METRICS, build_task
from slowfast_ext.tasks.masked import MaskedOptions, MaskedPretraining, split_tokens, tube_mask
from slowfast_ext.tasks.metrics import Evaluation

MASKED = {
    "TASK": "masked_pretraining", "MASKED.RATIO": 0.75, "MASKED.DECODER_DIM": 16,
    "MASKED.DECODER_DEPTH": 1, "MASKED.DECODER_HEADS": 2, "VIT.POOL": "mean", "VIT.POS_EMBED": "sincos",
}  # fmt: skip


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    for split in ("train", "val"):
        read_videos(configured({"DATA.PATH_TO_DATA_DIR": folder}), split)
    return folder


@pytest.fixture
def run(clips, tmp_path):
    """Settings of a tiny pre-training of its own."""
    return {**MASKED, "DATA.PATH_TO_DATA_DIR": clips, "OUTPUT_DIR": tmp_path / "out"}


def configured(changes, checks=()):
    pairs = [str(part) for item in {**SETTINGS, **changes}.items() for part in item]
    return load_config([], pairs, checks)


def newest(settings):
    return read_checkpoint(CheckpointStore(settings["OUTPUT_DIR"], 0).find(""))


def model_and_clip(**changes):
    cfg = configured({**MASKED, **changes})
    torch.manual_seed(0)
    return build_model(cfg).eval(), torch.rand(2, 3, 4, 32, 32), build_task(cfg)


@pytest.mark.parametrize(("ratio", "hidden"), [(0.9, 176), (0.75, 147), (0.0, 0)])
def test_a_mask_hides_tubes_and_as_many_as_published(ratio, hidden):
    task = MaskedPretraining(options=MaskedOptions(ratio=ratio))
    clip = torch.empty(3, 3, 16, 224, 224, device="cpu")
    _, visible_BV, hidden_BU = task.inputs(clip, clip_rngs(0, 0, 0))
    assert hidden_BU.shape == (3, 8 * hidden)
    assert visible_BV.shape == (3, 8 * (196 - hidden))
    for visible, masked in zip(visible_BV, hidden_BU, strict=True):
        assert torch.equal(torch.cat([visible, masked]).sort().values, torch.arange(1568))
        frames = visible.view(8, -1)
        assert torch.equal(frames % 196, frames[:1].expand(8, -1)), "a tube"
    if hidden:
        assert not torch.equal(hidden_BU[0], hidden_BU[1])


def test_all_tubes_are_hidden_equally_often():
    draws = np.stack(
        [tube_mask(10, 7, rng) for _, rng in zip(range(2000), clip_rngs(3, 1, 4), strict=False)]
    )
    assert (draws.sum(1) == 7).all()
    assert abs(draws.mean(0) - 0.7).max() < 0.04


def test_masks_are_functions_of_seed_epoch_batch_and_position_whatever_the_ranks():
    def masks(seed, epoch, number, first, clips):
        rngs = clip_rngs(seed, epoch, number, first)
        return [
            tube_mask(36, 27, rng).tobytes() for _, rng in zip(range(clips), rngs, strict=False)
        ]

    whole = masks(1, 2, 3, 0, 8)
    assert whole == masks(1, 2, 3, 0, 8) == masks(1, 2, 3, 0, 4) + masks(1, 2, 3, 4, 4)
    others = [masks(2, 2, 3, 0, 8), masks(1, 3, 3, 0, 8), masks(1, 2, 4, 0, 8)]
    assert len({*whole, *(mask for other in others for mask in other)}) == 32


def test_views_of_an_evaluation_have_masks_of_their_own_that_stay():
    first = [rng.integers(1 << 40) for rng in view_rngs([4, 7], 2)]
    assert first == [rng.integers(1 << 40) for rng in view_rngs([4], 2)] + [
        rng.integers(1 << 40) for rng in view_rngs([7], 2)
    ]
    assert len(set(first)) == 4


@pytest.mark.parametrize("normalize", [True, False])
def test_loss_against_a_hand_computation(normalize):
    model, clip, task = model_and_clip(**{"MASKED.NORMALIZE_TARGETS": normalize})
    inputs = task.inputs(clip, clip_rngs(0, 0, 0))
    output = model(*inputs)
    mean, std = torch.tensor([0.45] * 3), torch.tensor([0.225] * 3)
    per_clip = []
    for b, tokens in enumerate(inputs[2].tolist()):
        errors = []
        for place, token in enumerate(tokens):
            t, y, x = token // 16, token // 4 % 4, token % 4  # 2 x 4 x 4 tokens of 2 x 8 x 8
            cube = clip[b, :, 2 * t : 2 * t + 2, 8 * y : 8 * y + 8, 8 * x : 8 * x + 8]
            pixels = (cube * std.view(3, 1, 1, 1) + mean.view(3, 1, 1, 1)).flatten(1)
            if normalize:
                pixels = (pixels - pixels.mean(1, keepdim=True)) / (
                    pixels.std(1, keepdim=True) + 1e-6
                )
            errors.append((output.predicted[b, place] - pixels.T.flatten()).square().mean())
        per_clip.append(torch.stack(errors).mean())
    assert output.wanted.requires_grad is False
    assert task.loss(output, ()).item() == pytest.approx(torch.stack(per_clip).mean().item())
    assert torch.allclose(task.scores(output)[0][:, 0], torch.stack(per_clip))


def test_what_an_evaluation_says_of_each_video():
    """Its loss, which has no class; what could not be decoded has none."""
    task, loss_M1 = MaskedPretraining(), torch.tensor([[1.0], [3.5], [9.0]])
    assert (task.patch_size, task.output_sizes) == ((2, 16, 16), (1,))
    labels = task.labels([(), (), ()])
    assert labels.shape == (3, 0)
    evaluation = Evaluation((loss_M1,), labels, torch.tensor([True, True, False]), {})
    assert task.evaluate(evaluation) == {"reconstruction_loss": 2.25}
    assert METRICS.get("reconstruction_loss").lower_is_better
    assert list(task.predictions(evaluation))[1] == ("", "3.500000")


def test_hidden_pixels_reach_the_output_by_what_is_wanted_alone():
    model, clip, task = model_and_clip()
    inputs = task.inputs(clip, clip_rngs(0, 0, 0))
    changed = tubelets(clip, (2, 8, 8)).clone()
    for b in range(2):
        changed[b, inputs[2][b]] += 1
    back = changed.unflatten(2, (2, 8, 8)).unflatten(1, (2, 4, 4)).permute(0, 7, 1, 4, 2, 5, 3, 6)
    other = back.reshape(clip.shape)
    before, after = model(*inputs), model(other, *inputs[1:])
    assert torch.equal(before.predicted, after.predicted)
    assert not torch.equal(other, clip)


def test_encoder_is_that_of_a_classifier():
    model, clip, task = model_and_clip(**{"MASKED.RATIO": 0.0})
    _, visible, _ = task.inputs(clip, clip_rngs(0, 0, 0))
    classifier = build_model(configured({**MASKED, "TASK": "auto"})).eval()
    classifier.backbone.load_state_dict(model.backbone.state_dict())
    vit = model.backbone
    tokens = vit.encode(*vit.embed(clip))
    assert torch.equal(classifier.backbone(clip), tokens.mean(1))
    assert torch.equal(visible, torch.arange(32).expand(2, -1))


def test_without_a_mask_the_last_tubes_are_hidden():
    """Of tubelets that are no squares: 2 x 4 x 8 tokens, a quarter of each 32 visible."""
    model, clip, _ = model_and_clip(**{"VIT.PATCH_SIZE": [2, 8, 4]})
    visible, hidden = (
        torch.cat([tubes, tubes + 32]).expand(2, -1)
        for tubes in (torch.arange(8), torch.arange(8, 32))
    )
    output = model(clip)
    assert output.predicted.shape == output.wanted.shape == (2, 48, 3 * 2 * 8 * 4)
    torch.testing.assert_close(tuple(output), tuple(model(clip, visible, hidden)))


def test_gradients_of_every_parameter():
    model, clip, task = model_and_clip()
    task.loss(model(*task.inputs(clip, clip_rngs(0, 0, 0))), ()).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_published_file_there_and_back_and_its_start_of_finetuning(tmp_path):
    model, clip, _ = model_and_clip()
    theirs = WEIGHTS.get("videomae").to_theirs(model.state_dict(), model)
    names = {name.partition(".")[0] for name in theirs}
    assert names == {"encoder", "decoder", "encoder_to_decoder", "mask_token"}
    assert "decoder.blocks.0.attn.q_bias" in theirs
    other, *_ = model_and_clip()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    report = load_weights(other, {"model": theirs})
    assert (report.source, report.new, report.unused, report.idle) == ("videomae", [], [], [])
    inputs = split_tokens([np.arange(16) > 3] * 2, 2)
    assert torch.equal(model(clip, *inputs).predicted, other(clip, *inputs).predicted)
    classifier = build_model(configured({**MASKED, "TASK": "auto", "VIT.POOL": "mean_norm"}))
    report = load_weights(classifier, {"model": theirs}, LoadOptions(changed=("new",)))
    assert report.new == [
        "backbone.fc_norm.weight", "backbone.fc_norm.bias", "head.weight", "head.bias"
    ]  # fmt: skip


@pytest.mark.parametrize(("size", "parameters"), [("s", None), ("b", 94210944), ("l", None)])
def test_every_tensor_of_a_published_file_has_its_parameter(size, parameters):
    path = SHARED / f"golden_weights/manifests/videomae_{size}16_pretrain.json"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    facts = json.loads(path.read_text())
    sizes, cfg = facts["cfg"], {"VIT.PATCH_SIZE": [2, 16, 16], "DATA.TRAIN_CROP_SIZE": 224}
    for ours, name in (("VIT.", "encoder"), ("MASKED.DECODER_", "decoder")):
        dim = "EMBED_DIM" if name == "encoder" else "DIM"
        heads = "NUM_HEADS" if name == "encoder" else "HEADS"
        cfg |= {f"{ours}{dim}": sizes[f"{name}_embed_dim"], f"{ours}DEPTH": sizes[f"{name}_depth"]}
        cfg |= {f"{ours}{heads}": sizes[f"{name}_num_heads"]}
    with torch.device("meta"):
        model = build_model(configured({**MASKED, **cfg, "DATA.TEST_CROP_SIZE": 224}))
    state = {key: torch.empty(shape, device="meta") for key, shape in facts["keys"].items()}
    back = WEIGHTS.get("videomae").to_theirs(model.state_dict(), model)
    assert {key: x.shape for key, x in back.items()} == {key: x.shape for key, x in state.items()}
    if parameters:
        assert facts["n_params"] == parameters == sum(x.numel() for x in state.values())


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("MODEL.BACKBONE", "uniformer", "cannot leave tokens out"),
        ("VIT.POOL", "cls", "no meaning before finetuning"),
        ("ATTENTION.CYCLE", "[divided]", "asks where tokens are"),
        ("MASKED.DECODER_HEADS", "3", "is not divisible by MASKED.DECODER_HEADS"),
        ("TEST.METRIC", "map", "has no metric"),
    ],
)
def test_what_cannot_be_is_said_before_the_run(key, value, message):
    with pytest.raises(ConfigError, match=message):
        configured({**MASKED, key: value}, CHECKS)


class StopAfter(StopRequest):
    """A signal that comes during a step."""

    def __init__(self, step):
        super().__init__("SIGTERM")
        self._left = step + 1

    def __bool__(self):
        self._left -= 1
        return self._left <= 0


def test_interrupted_and_resumed_equals_unbroken(run, tmp_path, monkeypatch):
    more = {"AUG.NUM_SAMPLE": 2, "TEST.ENABLE": False, "MODEL.DROP_PATH": 0.2}
    unbroken = {**run, **more, "OUTPUT_DIR": tmp_path / "unbroken"}
    jobs.train_and_test(configured(unbroken))
    with monkeypatch.context() as patch:
        patch.setattr(jobs, "stop_on_signals", lambda **_: nullcontext(StopAfter(5)))
        with pytest.raises(Interrupted):
            jobs.train_and_test(configured({**run, **more}))
    jobs.train_and_test(configured({**run, **more}))
    for settings in (unbroken, {**run, **more}):
        steps = [(s["epoch"], s["iter"]) for s in read_stats(settings["OUTPUT_DIR"], "train_iter")]
        assert len(set(steps)) == 8
    one, two = newest(unbroken), newest(run)
    assert all(torch.equal(x, two["model_state"][name]) for name, x in one["model_state"].items())
    assert one["best"] == two["best"] < 0


def test_trains_tests_and_starts_a_classifier(run):
    jobs.train_and_test(configured({**run, "SOLVER.MAX_EPOCH": 3, "SOLVER.BASE_LR": 0.003}))
    out = run["OUTPUT_DIR"]
    losses = [stats["reconstruction_loss"] for stats in read_stats(out, "val_epoch")]
    assert losses[-1] < losses[0]
    best = read_checkpoint(CheckpointStore(out, 0).find("best"))["position"]["epoch"]
    assert best == 1 + losses.index(min(losses))
    assert json.loads((out / "results/metrics.json").read_text()).keys() == {"reconstruction_loss"}
    checkpoint = CheckpointStore(out, 0).find("")
    finetune = {
        **run, "TASK": "auto", "OUTPUT_DIR": out.parent / "finetuned", "SOLVER.MAX_EPOCH": 1,
        "TRAIN.CHECKPOINT_FILE_PATH": checkpoint, "TRAIN.CHECKPOINT_CHANGED": ["new", "head"],
    }  # fmt: skip
    jobs.train_and_test(configured(finetune))
    assert "top1_acc" in json.loads((out.parent / "finetuned/results/metrics.json").read_text())
    cfg = configured(run)
    report = load_weights(build_model(cfg), read_weights(checkpoint))
    assert (report.source, report.new) == ("ours", [])
