"""The weights that experiments start from: each is known, and each loads into its model, by the key list of its file."""

import json
from pathlib import Path

import pytest
import torch
from reference_data import SHARED

from paper_tables.counts import shaping
from slowfast_ext.config import load_config, options_of
from slowfast_ext.engine.options import TrainOptions
from slowfast_ext.models import build_model
from slowfast_ext.models.weights import WEIGHTS, LoadOptions, fit_weights
from slowfast_ext.released import released

EXP = Path(__file__).resolve().parents[1] / "exp"
CONFIGS = {file.parent.name: file for file in sorted(EXP.glob("*/config.yaml"))}
PLACES = (SHARED / "manifests", SHARED / "golden_weights/manifests")


def config(name):
    return load_config([CONFIGS[name]])


def start_of(name):
    return options_of(config(name), TrainOptions).checkpoint_file_path


STARTS = {
    name: start for name in CONFIGS if not name.startswith("motion_") and (start := start_of(name))
}

HEAD_OF_21K = {"pre_logits.fc.weight": (768, 768), "pre_logits.fc.bias": (768,)}
TOKEN_HEAD = {"aux_head.weight": (1000, 512), "aux_head.bias": (1000,)}
"""What a file has beside the keys of its list."""

FILES = {
    # registered name: key list; a head of so many classes, or further tensors
    "uniformer_small_in1k": ("uniformer_s_in1k_image2d", {}),
    "uniformer_base_in1k": ("uniformer_b_in1k_image2d", {}),
    "uniformer_small_tl_224": ("uniformer_s_in1k_image2d", TOKEN_HEAD),
    "uniformer_base_tl_224": ("uniformer_b_in1k_image2d", TOKEN_HEAD),
    "uniformer_small_k400_16x4": ("uniformer_s_k400_16f", {}),
    "uniformer_base_k400_16x4": ("uniformer_b_k400_16f", {}),
    "uniformer_small_k600_16x4": ("uniformer_s_k400_16f", 600),
    "uniformer_base_k600_16x4": ("uniformer_b_k400_16f", 600),
    "vit_base_patch16_224": ("timm_vit_base_patch16_224", {}),
    "vit_base_patch16_224_in21k": ("timm_vit_base_patch16_224", 21843),
    "vit_large_patch16_224": ("timm_vit_large_patch16_224", {}),
    "k400_motionformer_224_16x4": ("motionformer_b_k400_16x224", {}),
    "k400_joint_224_16x4": ("mf_joint_k400_16x224", {}),
    "k400_divided_224_16x4": ("mf_divided_k400_16x224", {}),
    "k400_motionformer_336_16x8": ("motionformer_hr_k400_16x336", {}),
    "k400_motionformer_224_32x3": ("motionformer_l_k400_32x224", {}),
    "videomae_b_k400_pretrain_1600": ("videomae_b16_pretrain", {}),
    "videomae_l_k400_pretrain_1600": ("videomae_l16_pretrain", {}),
    "videomae_b_ssv2_pretrain_2400": ("videomae_b16_pretrain", {}),
    "vit_b_k710_dl_from_giant": ("videomae2_b16_k710_distilled", {}),
    "k710_uniformerv2_b16_8x224": ("uniformerv2_b16_8x224_k400", 710),
    "k710_uniformerv2_l14_8x224": ("uniformerv2_l14_8x224_k400", 710),
    "k710_uniformerv2_l14_8x336": ("uniformerv2_l14_336_32x336_k400", 710),
    "frozen_k710_uniformerv2_l14_8x336": ("uniformerv2_l14_336_8x336_k400_frozen", 710),
    "internvideo2_s_k710": ("internvideo2_s14_8x224_k400", 710),
    "internvideo2_b_k710": ("internvideo2_b14_8x224_k400", 710),
    "internvideo2_l_k710": ("internvideo2_l14_8x224_k400", 710),
    "vivit_b_16x2_k400": ("hf_vivit_b16x2_k400", {}),
    "vjepa2_vitl": ("vjepa2_l16_16x256_ssv2", {}),
}  # fmt: skip

_LAYERS = ("head", "transformer.proj.2")
_CLASSIFIERS = tuple(f"{layer}.weight" for layer in _LAYERS)

WRITTEN = {
    # without a key list: as our own exporter writes the model of this experiment
    "clip_vit_b16": ("clip", "uniformerv2_b8_k400"),
    "clip_vit_l14": ("clip", "uniformerv2_l8_k400_prek710"),
    "clip_vit_l14_336": ("clip", "uniformerv2_l8_336_frozen_k400"),
}


def uniformer_large():
    """Key -> shape of UniFormer-L with token labels, as its program makes it (token_labeling/tlt/models/uniformer.py)."""

    def layer(name, *weight):
        return {f"{name}.weight": weight, f"{name}.bias": weight[:1]}

    def batch_norm(name, dim):
        running = {f"{name}.running_mean": (dim,), f"{name}.running_var": (dim,)}
        return layer(name, dim) | running | {f"{name}.num_batches_tracked": ()}

    def conv_block(at, d):
        keys = batch_norm(f"{at}.norm1", d) | batch_norm(f"{at}.norm2", d)
        keys |= layer(f"{at}.conv1", d, d, 1, 1) | layer(f"{at}.conv2", d, d, 1, 1)
        keys |= layer(f"{at}.attn", d, 1, 5, 5)
        keys |= layer(f"{at}.mlp.fc1", 4 * d, d, 1, 1) | layer(f"{at}.mlp.fc2", d, 4 * d, 1, 1)
        return keys | {f"{at}.gamma_1": (1, d, 1, 1), f"{at}.gamma_2": (1, d, 1, 1)}

    def attention_block(at, d):
        keys = layer(f"{at}.norm1", d) | layer(f"{at}.norm2", d)
        keys |= layer(f"{at}.attn.qkv", 3 * d, d) | layer(f"{at}.attn.proj", d, d)
        keys |= layer(f"{at}.mlp.fc1", 4 * d, d) | layer(f"{at}.mlp.fc2", d, 4 * d)
        return keys | {f"{at}.gamma_1": (d,), f"{at}.gamma_2": (d,)}

    keys, before = {}, 3
    for stage, (d, depth) in enumerate(zip((128, 192, 448, 640), (5, 10, 24, 7), strict=True), 1):
        side = 4 if stage == 1 else 2
        keys |= layer(f"patch_embed{stage}.proj", d, before, side, side)
        keys |= layer(f"patch_embed{stage}.norm", d)
        for index in range(depth):
            at = f"blocks{stage}.{index}"
            keys |= layer(f"{at}.pos_embed", d, 1, 3, 3)
            keys |= conv_block(at, d) if stage < 3 else attention_block(at, d)
        before = d
    return keys | batch_norm("norm", 640) | layer("head", 1000, 640) | layer("aux_head", 1000, 640)


MADE = {"uniformer_large_tl_224": uniformer_large}
UNUSED = {"vit_base_patch16_224_in21k"}


def empty_model(name):
    with torch.device("meta"):
        return build_model(config(name))


def state_of(start):
    """The tensors of a start, without content."""
    if start.startswith("exp:"):
        return {"model_state": empty_model(start.removeprefix("exp:")).state_dict()}
    if start in WRITTEN:
        family, name = WRITTEN[start]
        model = empty_model(name)
        return WEIGHTS.get(family).to_theirs(dict(model.state_dict()), model)
    if start in MADE:
        return {key: torch.empty(shape, device="meta") for key, shape in MADE[start]().items()}
    listed, other = FILES[start]
    files = [place / f"{listed}.json" for place in PLACES]
    found = next((file for file in files if file.is_file()), None)
    if found is None:
        pytest.skip("needs the key lists of public weights")
    keys = json.loads(found.read_text())["keys"]
    if isinstance(other, int):
        classes = next(keys[key][0] for key in keys if key.endswith(_CLASSIFIERS))
        keys |= {
            key: [other, *shape[1:]]
            for key, shape in keys.items()
            if shape and shape[0] == classes and key.rpartition(".")[0].endswith(_LAYERS)
        }
    else:
        keys |= other
    if start == "vit_base_patch16_224_in21k":
        keys |= HEAD_OF_21K
    if start == "vjepa2_vitl":  # pre-trained, without a probe
        keys = {
            key: shape
            for key, shape in keys.items()
            if "classifier" not in key and "pooler" not in key
        }
    return {key: torch.empty(shape, device="meta") for key, shape in keys.items()}


@pytest.mark.parametrize("start", sorted(set(STARTS.values())))
def test_starts_are_known(start):
    if start.startswith("exp:"):
        assert start.removeprefix("exp:") in CONFIGS
    else:
        assert start in released()
        assert start in FILES or start in WRITTEN or start in MADE


def test_the_large_model_is_written_as_its_program_does():
    model = empty_model("uniformer_l_tl_in1k")
    written = WEIGHTS.get("uniformer").to_theirs(dict(model.state_dict()), model)
    assert {key: tuple(tensor.shape) for key, tensor in written.items()} == uniformer_large()


@pytest.fixture(scope="module")
def loaded():
    """What has been loaded already: several experiments start one model from the same file."""
    return set()


@pytest.mark.parametrize("name", STARTS)
def test_no_start_is_refused(name, loaded):
    start, cfg = STARTS[name], config(name)
    options = options_of(cfg, LoadOptions)
    case = (start, options, json.dumps(shaping(cfg), sort_keys=True))
    if case in loaded:
        return
    report = fit_weights(state_of(start), empty_model(name), options)[1]
    assert len(report.loaded) + len(report.inflated) > 100
    assert bool(report.unused) == (start in UNUSED)
    assert all(key.startswith("backbone.pre_logits") for key in report.unused)
    assert not report.token_head, "token labels go on"
    loaded.add(case)
