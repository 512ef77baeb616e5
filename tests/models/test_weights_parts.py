"""Importers in small: which keys a family is known by, what is renamed, what is said of what differs."""

from dataclasses import replace

import pytest
import torch
from model_cases import TINY_SPEC, TINY_VIT, attention, tiny_vit, with_head
from token_runs import configured

from slowfast_ext.errors import CheckpointError
from slowfast_ext.models import build_model
from slowfast_ext.models.backbones.xvit import XViT, XvitOptions
from slowfast_ext.models.weights import WEIGHTS, LoadOptions, fit_weights
from slowfast_ext.models.weights.base import recognise, rename, unwrap
from slowfast_ext.models.weights.classes import class_order, class_rows, head_classes, known_orders
from slowfast_ext.models.weights.emim_context import context_channels
from slowfast_ext.models.weights.fit import Report
from slowfast_ext.models.weights.inflate import can_inflate

KEYS = [
    # family, the dimensions of the tensors that it is known by
    ("clip", {"visual.conv1.weight": 4, "visual.ln_pre.weight": 1, "visual.class_embedding": 1,
              "visual.transformer.resblocks.0.attn.in_proj_weight": 2}),
    ("clip", {"conv1.weight": 4, "ln_pre.weight": 1, "class_embedding": 1,
              "transformer.resblocks.0.attn.in_proj_weight": 2}),
    ("clip_hub", {"vision_model.pre_layrnorm.weight": 1, "vision_model.embeddings.patch_embedding.weight": 4}),
    ("internvideo2", {"clip_projector.cross_attn.q_bias": 1, "blocks.0.norm1.weight": 1}),
    ("motionformer", {"patch_embed_3d.proj.weight": 5, "blocks.0.attn.qkv.weight": 2}),
    ("motionformer", {"patch_embed.proj.weight": 4, "blocks.0.attn.qkv.weight": 2, "temp_embed": 3}),
    ("motionformer", {"patch_embed.proj.weight": 4, "blocks.0.attn.qkv.weight": 2, "st_embed": 3}),
    ("ours", {"backbone.norm.weight": 1, "head.weight": 2}),
    ("timesformer", {"model.time_embed": 3, "model.blocks.0.temporal_fc.weight": 2}),
    ("timesformer", {"time_embed": 3, "blocks.0.temporal_fc.weight": 2}),
    ("timesformer_hub", {"timesformer.embeddings.patch_embeddings.projection.weight": 4}),
    ("timm", {"patch_embed.proj.weight": 4, "pos_embed": 3, "blocks.0.attn.qkv.weight": 2}),
    ("uniformer", {"patch_embed1.proj.weight": 5} | {f"blocks{i}.0.pos_embed.weight": 5 for i in (1, 2, 3, 4)}),
    ("uniformerv2", {"backbone.conv1.weight": 5, "backbone.transformer.temporal_cls_token": 3}),
    ("videomae", {"patch_embed.proj.weight": 5, "blocks.0.attn.q_bias": 1}),
    ("videomae", {"encoder.patch_embed.proj.weight": 5, "encoder.blocks.0.attn.q_bias": 1}),
    ("videomae", {"backbone.patch_embed.proj.weight": 5, "backbone.blocks.0.attn.q_bias": 1}),
    ("videomae_hub", {"videomae.embeddings.patch_embeddings.projection.weight": 5}),
    ("vivit_hub", {"vivit.embeddings.patch_embeddings.projection.weight": 5}),
    ("vjepa2", {"patch_embed.proj.weight": 5, "blocks.0.attn.qkv.bias": 1, "norm.weight": 1}),
    ("vjepa2", {"classifiers.0.pooler.cross_attention_block.norm1.weight": 1}),
    ("vjepa2_hub", {"vjepa2.encoder.embeddings.patch_embeddings.proj.weight": 5}),
    ("xvit", {"base_model.temp_embed": 4}),
]  # fmt: skip
BY_DIMENSIONS = {
    "clip": "conv1.weight", "timm": "patch_embed.proj.weight", "videomae": "patch_embed.proj.weight",
    "vjepa2": "patch_embed.proj.weight", "xvit": "base_model.temp_embed",
}  # fmt: skip
FOREIGN = {
    "ours": ["backbone.transformer.balance", "backbone.blocks.0.attn.q_bias", "decoder.norm.weight"],
    "timm": ["blocks.0.temporal_fc.weight", "blocks.0.attn.q_bias", "temp_embed", "st_embed"],
    "vjepa2": ["cls_token", "pos_embed", "head.weight", "fc_norm.weight"],
}  # fmt: skip


def shapes_of(dimensions):
    return {key: (1,) * ndim for key, ndim in dimensions.items()}


@pytest.mark.parametrize(("family", "keys"), KEYS)
def test_a_family_is_known_by_all_of_its_keys(family, keys):
    """Each of them is needed, in its dimensions where these tell it from another; no other family has them all."""
    importer, shapes = WEIGHTS.get(family), shapes_of(keys)
    assert [name for name, other in WEIGHTS if other.recognise(shapes)] == [family]
    for key in keys:
        assert not importer.recognise({k: x for k, x in shapes.items() if k != key}), key
        if key.endswith(BY_DIMENSIONS.get(family, "nothing")):
            for ndim in (keys[key] - 1, keys[key] + 1):
                assert not importer.recognise(shapes | {key: (1,) * ndim}), (key, ndim)
    if not any("cross_attention_block" in key for key in keys):
        for key in FOREIGN.get(family, []):
            assert not importer.recognise(shapes | {key: (1,)}), key


def test_a_file_of_no_family_or_of_several():
    """Its first five keys are said."""
    keys = [f"layer{i}" for i in range(7)]
    with pytest.raises(CheckpointError, match=r"of no family.*\(keys: layer0, .*layer4, \.\.\.\)"):
        recognise(dict.fromkeys(keys, torch.zeros(1)))
    both = shapes_of(KEYS[0][1] | KEYS[2][1])
    with pytest.raises(CheckpointError, match="fits clip and clip_hub"):
        recognise({key: torch.zeros(shape) for key, shape in both.items()})


def test_what_is_in_a_file_without_tensors():
    with pytest.raises(CheckpointError, match=r"no tensors in it; it has epoch, 3$"):
        unwrap({"epoch": 1, 3: "three"})
    with pytest.raises(CheckpointError, match="it has nothing"):
        unwrap({})
    with pytest.raises(CheckpointError, match="0 probes"):
        unwrap({"classifiers": []})


def test_two_tensors_of_one_name_are_refused():
    state = {"a.x": torch.zeros(1), "b.x": torch.ones(1)}
    with pytest.raises(CheckpointError, match=r"two tensors.* called x, one is b\.x"):
        rename(state, [(r"^[ab]\.", "")])


@pytest.mark.parametrize("name", ["videomae_hub", "vivit_hub", "timesformer_hub", "vjepa2_hub"])
def test_names_are_matched_from_their_beginning(name):
    """What only contains a name of the family is not of it, and is reported as it is called."""
    importer, model = WEIGHTS.get(name), tiny_vit()
    theirs = {f"other.{key}": torch.zeros(1) for key in ("classifier.weight", "fc_norm.bias")}
    assert importer.to_ours(theirs, model).keys() == theirs.keys()
    kernel = {"backbone.patch_embed.proj.weight": torch.zeros(4, 3, 1, 2, 2)}
    ours = {f"other.{key}": torch.zeros(1) for key in ("head.weight", "backbone.norm.bias")}
    assert importer.to_theirs(ours | kernel, model).keys() > ours.keys()


FLAT = {
    "timesformer": ("timesformer", {}, "model.patch_embed.proj.weight"),
    "timesformer_hub": ("timesformer", {}, "timesformer.embeddings.patch_embeddings.projection.weight"),
    "timm": ("joint", {"pos_embed": "joint"}, "patch_embed.proj.weight"),
    "motionformer": ("joint", {}, "patch_embed.proj.weight"),
}  # fmt: skip


@pytest.mark.parametrize("name", FLAT)
def test_a_kernel_of_one_frame_is_written_as_one_of_images(name):
    cycle, options, key = FLAT[name]
    model = tiny_vit(
        replace(TINY_SPEC, attention=attention(cycle)), patch_size=(1, 8, 8), **options
    )
    state = model.state_dict()
    theirs = WEIGHTS.get(name).to_theirs(state, model)
    assert theirs[key].shape == (24, 3, 8, 8)
    back = WEIGHTS.get(name).to_ours(theirs, model)
    assert {key: x.shape for key, x in back.items()} == {k: x.shape for k, x in state.items()}


def test_a_kernel_of_xvit_is_one_of_images():
    spec = replace(TINY_SPEC, attention=attention("space"))
    options = XvitOptions(time_rows=4, consensus="avg")
    model = with_head(XViT(spec, replace(TINY_VIT, patch_size=(1, 8, 8)), options))
    theirs = WEIGHTS.get("xvit").to_theirs(model.state_dict(), model)
    assert theirs["base_model.patch_embed.proj.weight"].shape == (24, 3, 8, 8)
    assert theirs["base_model.temp_embed"].shape == (1, 4, 1, 24)


def test_motionformer_without_biases_has_none():
    model = tiny_vit(replace(TINY_SPEC, attention=attention("trajectory")), qkv_bias=False)
    theirs = WEIGHTS.get("motionformer").to_theirs(model.state_dict(), model)
    assert "blocks.0.attn.proj_kv.weight" in theirs
    assert "blocks.0.attn.proj_kv.bias" not in theirs
    assert "patch_embed_3d.proj.weight" in theirs


def test_timm_says_how_many_frames_a_kernel_has():
    model = tiny_vit(patch_size=(4, 8, 8))
    with pytest.raises(CheckpointError, match="tubelets of 4 frames"):
        WEIGHTS.get("timm").to_theirs(model.state_dict(), model)


@pytest.mark.parametrize(
    ("name", "shape"),
    [("backbone.norm.bias", (9,)), ("head.weight", (5, 9)), ("backbone.pos_embed", (1, 7, 24))],
)
def test_a_tensor_of_another_shape_is_of_another_architecture(name, shape):
    model = tiny_vit()
    state = model.state_dict() | {name: torch.zeros(shape)}
    everything = LoadOptions("ours", "mean", ("head", "time", "space", "new", "unused"))
    with pytest.raises(
        CheckpointError, match=rf"{name}: shape .*{shape[-1]},?\) in the checkpoint"
    ):
        fit_weights(state, model, everything)


def test_names_of_what_differs_are_shown_in_short():
    names = [f"n{i}" for i in range(8)]
    for count, shown in ((6, "n5"), (7, "n5 and 1 more"), (8, "n5 and 2 more")):
        own = Report("ours", new=names[:count])
        assert own.differences()[0][1].endswith(f"n4, {shown}")
    own = Report("ours", ["a", "b"], resized={"p": "time", "q": "space"}, token_head=["t"])
    assert own.changes() == {"time": ["p"], "space": ["q"]}
    words = ["resized in time: p", "resized in space: q", "classifier of tokens (token labelling)"]
    lines = str(own).splitlines()
    assert lines[0] == "2 tensors loaded (format: ours)"
    assert all(line.strip().startswith(word) for line, word in zip(lines[1:], words, strict=True))


def test_what_else_cannot_be_inflated():
    """Another number of outputs or inputs, of dimensions, or of frames."""
    for kernel, shape in (
        ((4, 3, 3, 3), (4, 2, 5, 3, 3)),
        ((3, 2, 3, 3), (4, 2, 5, 3, 3)),
        ((4, 2, 1, 3, 5), (4, 2, 5, 3, 3)),
        ((4, 2, 2, 3, 3), (4, 2, 5, 3, 3)),
        ((2, 3, 3), (4, 2, 5, 3, 3)),
        ((4, 2, 3, 3), (4, 2, 3, 3)),
    ):
        assert not can_inflate(torch.empty(kernel), shape), (kernel, shape)


def test_classes_of_the_heads_of_a_file():
    """How many, and in which order where the family has one for so many."""
    found = {}
    for name, classes in (("videomae", 400), ("videomae", 5), ("motionformer", (3, 4))):
        model = tiny_vit(classes=classes, pool="cls" if name == "motionformer" else "mean_norm",
                         pos_embed="separate" if name == "motionformer" else "sincos")  # fmt: skip
        theirs = WEIGHTS.get(name).to_theirs(model.state_dict(), model)
        found[name, classes] = head_classes(theirs, model)
        headless = {key: x for key, x in theirs.items() if not key.startswith("head")}
        assert head_classes(headless, model) == ((), "")
    assert list(found.values()) == [((400,), "k400"), ((5,), ""), ((3, 4), "")]


def test_the_classifier_of_tokens_is_no_second_head():
    """It was counted as one: weights of token labelling asked for a model of verb and noun."""
    cfg = configured()
    model = build_model(cfg)
    theirs = WEIGHTS.get("uniformer").to_theirs(model.state_dict(), model)
    assert "aux_head.weight" in theirs
    assert head_classes(theirs, model) == ((3,), "")


def test_published_orders_of_classes(tmp_path):
    orders = known_orders()
    lengths = {name: len(order) for name, order in orders.items()}
    assert lengths == {"k400": 400, "k400_uniformer": 400, "k600": 600, "k700": 700, "k710": 710}
    assert orders["k400_uniformer"] == orders["k710"][:400]
    assert dict(WEIGHTS.get("videomae").orders) == {n: f"k{n}" for n in (400, 600, 700, 710)}
    assert WEIGHTS.get("internvideo2").orders[400] == "k400_uniformer"
    (tmp_path / "names").write_text(" walk \n\nrun\n")
    assert class_order(str(tmp_path / "names")) == ("walk", "run")


@pytest.mark.parametrize(
    ("have", "wanted", "words"),
    [
        (["a", "b"], ["c", "d", "e", "f", "g", "h"], r"2 and 6 names differ \(c, d, e, f, g\)"),
        (["a", "A"], ["a"], "some are named twice"),
        (["a", "b"], ["a", "a"], "some are named twice"),
    ],
)
def test_classes_that_are_missing_or_named_twice(have, wanted, words):
    with pytest.raises(CheckpointError, match=words):
        class_rows(have, wanted)


def emim(weight_3CC, heads=1, block=0):
    return {
        f"blocks3.{block}.qkv.weight": weight_3CC,
        f"blocks3.{block}.rpb": torch.zeros(heads, 3),
    }


@pytest.mark.parametrize(
    ("trained", "rest", "found"),
    [(0.0095, 0, None), (0.0105, 0, 32), (0.02, 0.0009, 32), (0.02, 0.0011, "all")],
)
def test_how_far_rows_of_emim_went_from_their_start(trained, rest, found):
    """Each row went so far at a right angle to where it started, and was shrunk."""
    start_3hDC = torch.zeros(3, 1, 64, 64, dtype=torch.double)
    start_3hDC[..., 0] = 1
    end_3hDC = 0.7 * start_3hDC
    end_3hDC[:, :, :32, 1], end_3hDC[:, :, 32:, 1] = 0.7 * trained, 0.7 * rest
    start, end = (emim(x.flatten(0, 2)) for x in (start_3hDC, end_3hDC))
    assert context_channels(end, start).channels == found


def test_a_start_of_emim_with_other_names():
    end = emim(torch.ones(192, 64)) | emim(torch.ones(192, 64), block=1)
    with pytest.raises(CheckpointError, match=r"has no blocks3\.0\.qkv\.weight; are the names"):
        context_channels(end, {"other": torch.zeros(1)})


@pytest.mark.parametrize(
    ("silent", "found"), [((True, True), 32), ((True, False), "all"), ((False, False), "all")]
)
def test_second_moments_of_emim(silent, found):
    """Two layers of two heads; one with a gradient in the last channel of its last head tells that all are trained."""
    moments = torch.zeros(2, 3, 2, 64, 128)
    moments[:, :, :, :32] = 1
    for layer, is_silent in enumerate(silent):
        moments[layer, 2, 1, 63, 127] = float(not is_silent)
    state = {i: {"exp_avg_sq": x.flatten(0, 2)} for i, x in enumerate(moments)}
    other = {7: {"exp_avg_sq": torch.ones(5)}, 8: {}}
    end = emim(torch.ones(384, 128), 2) | emim(torch.ones(384, 128), 2, block=1)
    verdict = context_channels({"model": end, "optimizer_state": {"state": state | other}})
    assert verdict.channels == found
    assert f"in {sum(silent)} of 2 layers" in verdict.evidence


@pytest.mark.parametrize(
    ("name", "shape", "own"),
    [("norm.bias", (17,), (24,)), ("pos_embed", (17, 9), (25, 24)), ("pos_embed", (18, 24), (25, 24))],
)  # fmt: skip
def test_uniformerv2_resizes_tables_of_a_square_alone(name, shape, own):
    resize = WEIGHTS.get("uniformerv2").resize
    assert resize(f"backbone.{name}", torch.zeros(shape), own, tiny_vit()) is None
