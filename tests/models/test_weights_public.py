"""Public files: which family they are of, that the named models take all of them, whose classes a head has."""

import json

import pytest
import torch
from model_cases import TINY_SPEC, attention, tiny_vit
from reference_data import SHARED

from slowfast_ext.errors import CheckpointError
from slowfast_ext.files import read_weights
from slowfast_ext.hub import create_model, matching_models
from slowfast_ext.models.weights import (
    WEIGHTS,
    LoadOptions,
    build_with_weights,
    fit_weights,
    load_weights,
)
from slowfast_ext.models.weights.base import recognise, unwrap
from slowfast_ext.models.weights.classes import known_orders

FAMILIES = {
    "emim": "uniformer", "hf_timesformer": "timesformer_hub", "hf_videomae": "videomae_hub",
    "hf_vivit": "vivit_hub", "hf_vjepa2": "vjepa2_hub", "internvideo2": "internvideo2",
    "mf": "motionformer", "motionformer": "motionformer", "timesformer": "timesformer",
    "timm": "timm", "uniformer": "uniformer", "uniformerv2": "uniformerv2",
    "videomae": "videomae", "videomae2": "videomae", "vjepa2": "vjepa2", "xvit": "xvit",
    "torchvision": None,
}  # fmt: skip
ZOO = {
    "hf_timesformer_b16_8x224_k400": "timesformer_b", "hf_videomae_b16_k400": "videomae_b",
    "hf_videomae_l16_k400": "videomae_l", "hf_vivit_b16x2_k400": "vivit_b",
    "hf_vjepa2_l16_16x256_ssv2": "vjepa2_l", "internvideo2_1b14_16x224_k400": "internvideo2_1b_16",
    "internvideo2_1b14_8x224_k400": "internvideo2_1b", "internvideo2_b14_8x224_k400": "internvideo2_b",
    "internvideo2_l14_8x224_k400": "internvideo2_l", "internvideo2_s14_8x224_k400": "internvideo2_s",
    "timesformer_b16_8x224_k400": "timesformer_b", "timesformer_b16_hr_16x448_k400": "timesformer_hr",
    "timesformer_b16_l_64x224_ssv2": "timesformer_l_ssv2", "timesformer_b16_l_96x224_k400": "timesformer_l",
    "videomae2_b16_k710_distilled": "videomae2_b", "videomae2_g14_k710": "videomae2_g",
    "videomae2_s16_k710_distilled": "videomae2_s", "videomae_b16_k400": "videomae_b",
    "videomae_b16_pretrain": "videomae_b", "videomae_h16_k400": "videomae_h",
    "videomae_h16_pretrain": "videomae_h", "videomae_l16_k400": "videomae_l",
    "videomae_l16_pretrain": "videomae_l", "videomae_s16_k400": "videomae_s",
    "videomae_s16_pretrain": "videomae_s", "vjepa2_g16_64x384_ssv2": "vjepa2_g",
    "vjepa2_l16_16x256_ssv2": "vjepa2_l",
}  # fmt: skip


def manifests():
    """Key lists of whole files, by name."""
    folders = (SHARED / "golden_weights/manifests", SHARED / "manifests")
    paths = sorted(path for folder in folders for path in folder.glob("*.json"))
    found = {path.stem: json.loads(path.read_text()) for path in paths}
    return {name: facts["keys"] for name, facts in found.items() if "keys" in facts}


MANIFESTS = manifests()


def meta_state(name):
    """A file without its data."""
    keys = MANIFESTS[name].items()
    return {key: torch.empty(shape, device="meta") for key, shape in keys}


def family(name):
    """The longest family that the name of a file begins with."""
    return FAMILIES[max((key for key in FAMILIES if name.startswith(key)), key=len)]


WRAPPERS = {
    "bare": lambda state: state,
    "model": lambda state: {"model": state, "epoch": 3},
    "deepspeed": lambda state: {"module": state, "optimizer": {"state": {}}, "global_steps": 3},
    "model_state": lambda state: {"model_state": state, "cfg": "A: 1"},
    "state_dict": lambda state: {"state_dict": {f"module.{key}": x for key, x in state.items()}},
    "compiled": lambda state: {f"_orig_mod.{key}": x for key, x in state.items()},
    "compiled and distributed": lambda state: {
        "model": {f"module._orig_mod.{key}": x for key, x in state.items()}
    },
    "half": lambda state: {"module": {key: x.half() for key, x in state.items()}},
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("name", MANIFESTS or ["none"])
def test_a_file_is_of_one_family(name, wrapper):
    if name not in MANIFESTS:
        pytest.skip("no key lists here")
    state = unwrap(WRAPPERS[wrapper](meta_state(name)))
    if family(name) is None:
        with pytest.raises(CheckpointError, match="of no family"):
            recognise(state)
    else:
        assert recognise(state) == family(name)


def test_the_two_files_of_v_jepa():
    if not MANIFESTS:
        pytest.skip("no key lists here")
    whole = meta_state("vjepa2_l16_16x256_ssv2")
    encoder, probe = (
        {key.removeprefix(part): x for key, x in whole.items() if key.startswith(part)}
        for part in ("encoder.module.backbone.", "classifiers.0.")
    )
    other = {f"module.backbone.{key}": x.clone() for key, x in encoder.items()}
    target = {f"module.backbone.{key}": x for key, x in encoder.items()}
    for file in ({"encoder": target}, {"encoder": other, "target_encoder": target, "epoch": 3}):
        state = unwrap(file)
        assert recognise(state) == "vjepa2"
        assert next(iter(state.values())) is next(iter(target.values()))
    assert recognise(unwrap({"classifiers": [probe], "epoch": 3})) == "vjepa2"
    joined = unwrap({"target_encoder": target, "classifiers": [probe]})
    assert len(joined) == len(whole)
    assert recognise(joined) == "vjepa2"
    with pytest.raises(CheckpointError, match="2 probes"):
        unwrap({"classifiers": [probe, probe]})


@pytest.mark.parametrize("name", [name for name in ZOO if name in MANIFESTS] or ["none"])
def test_the_named_model_takes_the_whole_file(name):
    if name not in MANIFESTS:
        pytest.skip("no key lists here")
    with torch.device("meta"):
        model = create_model(ZOO[name])
    new = ("new",) if "pretrain" in name else ()
    fitted, report = fit_weights(meta_state(name), model, LoadOptions(changed=new))
    assert not report.unused
    assert fitted.keys() | set(report.new) == model.state_dict().keys()
    heads = {"backbone.fc_norm.weight", "backbone.fc_norm.bias", "head.weight", "head.bias"}
    assert set(report.new) == (heads if new else set())


TINY = {
    "videomae": {"pos_embed": "sincos", "pool": "mean_norm"},
    "videomae_hub": {"pos_embed": "sincos", "pool": "mean_norm"},
    "vivit_hub": {"pos_embed": "joint"},
    "internvideo2": {"pos_embed": "joint", "pool": "attention", "norm": "rms", "qkv_bias": False, "layer_scale": 0.1},
    "vjepa2": {"pos_embed": "none", "pool": "probe"},
    "vjepa2_hub": {"pos_embed": "none", "pool": "probe"},
    "timesformer": {"patch_size": (1, 8, 8)},
    "timesformer_hub": {"patch_size": (1, 8, 8)},
}  # fmt: skip
ATTENTION = {
    "internvideo2": attention("joint", qk_norm="rms"),
    "vjepa2": attention("joint", rotary=True),
    "timesformer": attention("timesformer"),
}


def tiny(name, classes=5):
    """A small model of a family, with random numbers everywhere but in the bias of the keys."""
    own = ATTENTION.get(name.removesuffix("_hub"), attention("joint"))
    spec = type(TINY_SPEC)(num_frames=4, img_size=32, attention=own)
    model = tiny_vit(spec, classes=classes, **TINY[name])
    for key, parameter in model.named_parameters():
        torch.nn.init.normal_(parameter, std=0.2)
        if name.startswith("videomae") and key.endswith("qkv.bias"):
            parameter.data.chunk(3)[1].zero_()
    return model.eval()


@pytest.mark.parametrize("name", TINY)
def test_what_is_written_is_read_again_and_is_the_same(name):
    model = tiny(name)
    theirs = WEIGHTS.get(name).to_theirs(model.state_dict(), model)
    assert recognise(unwrap({"module": theirs})) == name
    other = tiny(name)
    report = load_weights(other, {"model": theirs})
    assert not report.differences()
    for key, tensor in model.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[key]), key


def test_the_hub_s_videomae_may_have_its_biases_in_the_projections():
    """As transformers 5 has it in memory: `query.bias`, `value.bias`, none of the keys."""
    model, other = tiny("videomae_hub"), tiny("videomae_hub")
    theirs = WEIGHTS.get("videomae_hub").to_theirs(model.state_dict(), model)
    names = {"q_bias": "query.bias", "v_bias": "value.bias"}
    renamed = {}
    for key, tensor in theirs.items():
        layer, _, last = key.rpartition(".")
        renamed[f"{layer}.{names.get(last, last)}"] = tensor
    assert renamed.keys() != theirs.keys()
    report = load_weights(other, renamed)
    assert not report.differences()
    for key, tensor in model.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[key]), key


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_tensors_of_a_file_become_the_models(tmp_path, suffix):
    model, path = tiny("videomae"), tmp_path / f"weights{suffix}"
    theirs = WEIGHTS.get("videomae").to_theirs(model.state_dict(), model)
    if suffix == ".pth":
        torch.save({"model": theirs}, path)
    else:
        from safetensors.torch import save_file

        save_file({key: x.contiguous() for key, x in theirs.items()}, path)
    before, file = path.read_bytes(), read_weights(path)
    loaded, report = build_with_weights(lambda: tiny("videomae"), file)
    assert not report.differences()
    name = "blocks.1.mlp.fc1.weight"
    assert loaded.backbone.blocks[1].mlp.fc1.weight.data_ptr() == unwrap(file)[name].data_ptr()
    clip = torch.randn(2, 3, 4, 32, 32)
    torch.testing.assert_close(loaded.eval()(clip), model(clip))
    with torch.no_grad():
        for parameter in loaded.parameters():
            parameter.add_(1)
    assert path.read_bytes() == before


def test_half_precision_becomes_single():
    model = tiny("internvideo2")
    half = {
        k: x.half()
        for k, x in WEIGHTS.get("internvideo2").to_theirs(model.state_dict(), model).items()
    }
    loaded, _ = build_with_weights(lambda: tiny("internvideo2"), {"module": half})
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}
    assert all(parameter.requires_grad for parameter in loaded.parameters())


def test_what_a_file_lacks_starts_as_without_it():
    theirs = WEIGHTS.get("videomae").to_theirs(tiny("videomae", classes=7).state_dict(), None)

    def build():
        torch.manual_seed(3)
        return tiny("videomae")

    model, report = build_with_weights(build, theirs, LoadOptions(changed=("head",)))
    assert report.head == ["head.weight", "head.bias"]
    assert torch.equal(model.head.weight, build().head.weight)
    assert torch.equal(model.backbone.patch_embed.proj.weight, theirs["patch_embed.proj.weight"])


@pytest.mark.parametrize("order", ["k400", "k400_uniformer", "k600", "k700"])
def test_a_head_of_all_kinetics_is_read_as_one_of_them(order):
    names = known_orders()
    model = tiny("videomae", classes=len(names[order]))
    large = tiny("videomae", classes=710)
    theirs = WEIGHTS.get("videomae").to_theirs(large.state_dict(), large)
    report = load_weights(model, theirs, LoadOptions(classes=("k710", order)))
    assert not report.differences()
    for row, name in enumerate(names[order]):
        assert torch.equal(model.head.weight[row], large.head.weight[names["k710"].index(name)])
    with pytest.raises(CheckpointError, match="no names"):
        load_weights(model, theirs, LoadOptions(classes=("k710",)))
    model.class_names = (names[order],)
    load_weights(model, theirs, LoadOptions(classes=("k710",)))


def test_another_order_of_classes_stops():
    names = known_orders()
    model = tiny("internvideo2", classes=400)
    theirs = WEIGHTS.get("internvideo2").to_theirs(model.state_dict(), model)
    model.class_names = (names["k400_uniformer"],)
    load_weights(model, theirs)
    model.class_names = (tuple(name.replace(" ", "_") for name in names["k400"]),)
    with pytest.raises(CheckpointError, match=r"CHECKPOINT_CLASSES \[k400_uniformer\]"):
        load_weights(model, theirs)
    head = model.head.bias.clone()
    load_weights(model, theirs, LoadOptions(classes=("k400_uniformer",)))
    assert model.head.bias[0] == head[names["k400_uniformer"].index("abseiling")]
    with pytest.raises(CheckpointError, match="not in the order k400_uniformer"):
        load_weights(model, theirs, LoadOptions(classes=("k400_uniformer", "k400_uniformer")))
    with pytest.raises(CheckpointError, match="k40"):
        load_weights(model, theirs, LoadOptions(classes=("k40", "k400")))


def test_timesformer_starts_from_images():
    image = tiny_vit(
        type(TINY_SPEC)(num_frames=1, img_size=32), patch_size=(1, 8, 8), pos_embed="joint"
    )
    theirs = WEIGHTS.get("timm").to_theirs(image.state_dict(), image)
    model = tiny_vit(type(TINY_SPEC)(4, 32, attention("timesformer")), patch_size=(1, 8, 8)).eval()
    report = load_weights(model, theirs, LoadOptions(changed=("new",)))
    assert {name.rpartition(".")[0].rpartition(".")[2] for name in report.new} <= {
        "temporal_fc",
        "backbone",
    }
    block = model.backbone.blocks[1]
    assert torch.equal(block.temporal_attn.qkv.weight, block.attn.qkv.weight)
    assert torch.equal(block.temporal_norm1.bias, block.norm1.bias)
    still = torch.randn(2, 3, 1, 32, 32)
    torch.testing.assert_close(model(still.expand(-1, -1, 4, -1, -1)), image.eval()(still))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("videomae_l16_k400", ["videomae_l"]),
        ("videomae_s16_pretrain", ["videomae2_s", "videomae_s", "videomae_s_ssv2"]),
        ("timesformer_b16_hr_16x448_k400", ["timesformer_hr"]),
        ("hf_vivit_b16x2_k400", ["vivit_b"]),
        ("internvideo2_s14_8x224_k400", ["internvideo2_s"]),
        ("vjepa2_l16_16x256_ssv2", ["vjepa2_l"]),
        ("xvit_b16_16f_ssv2", ["xvit_b16_ssv2"]),
        ("internvideo2_6b14_8x224_k400", []),
    ],
)
def test_a_file_tells_which_model_it_is(name, expected):
    if name not in MANIFESTS:
        pytest.skip("no key lists here")
    assert matching_models({"module": meta_state(name)}) == expected
