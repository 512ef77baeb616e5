"""Import and export of UniFormerV2 and of CLIP's image tower; the golden cases are in tests/golden."""

import json
from dataclasses import replace

import pytest
import torch
from model_cases import attention, with_head
from reference_data import SHARED

from slowfast_ext.errors import CheckpointError
from slowfast_ext.models.backbones import BackboneSpec
from slowfast_ext.models.backbones.uniformer import UniFormer
from slowfast_ext.models.backbones.uniformerv2 import UniFormerV2, UniformerV2Options
from slowfast_ext.models.weights import WEIGHTS, LoadOptions, fit_weights, load_weights
from slowfast_ext.models.weights.base import recognise

OPTIONS = UniformerV2Options(
    patch_size=8, embed_dim=24, depth=3, num_heads=3, global_layers=(1, 2), global_heads=3
)
SPEC = BackboneSpec(num_frames=4, img_size=32, attention=attention("space"))
SSV2 = {"local_attention": "double", "temporal_stride": 2}
OURS, CLIP = WEIGHTS.get("uniformerv2"), WEIGHTS.get("clip")
MANIFESTS = SHARED / "golden_weights/manifests"
NEW = LoadOptions(changed=("new",))


def tiny(spec=SPEC, classes=5, **options):
    """A model without a zero in it."""
    model = with_head(UniFormerV2(spec, replace(OPTIONS, **options)), classes)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    return model


def published(**options):
    """A state as UniFormerV2's program would write it."""
    model = tiny(**options)
    return OURS.to_theirs(model.state_dict(), model)


def tower(prefix="visual."):
    """A state of CLIP: the image tower, what it has beyond it, and the text tower."""
    state = CLIP.to_theirs(tiny().state_dict(), tiny())
    state |= {"visual.ln_post.weight": torch.ones(24), "visual.proj": torch.ones(24, 16)}
    if prefix:
        text = {"attn.in_proj_weight": torch.ones(48, 16), "ln_1.weight": torch.ones(16)}
        state |= {f"transformer.resblocks.0.{key}": x for key, x in text.items()}
        state |= {"positional_embedding": torch.ones(77, 16), "logit_scale": torch.ones(())}
        state |= {"token_embedding.weight": torch.ones(99, 16), "ln_final.bias": torch.ones(16)}
    return {key.replace("visual.", prefix): x for key, x in state.items()}


HUB = {
    "visual.class_embedding": "embeddings.class_embedding",
    "visual.conv1.weight": "embeddings.patch_embedding.weight",
    "visual.positional_embedding": "embeddings.position_embedding.weight",
    "visual.ln_pre": "pre_layrnorm",
    "visual.ln_post": "post_layernorm",
    "visual.transformer.resblocks": "encoder.layers",
    "attn.out_proj": "self_attn.out_proj",
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "c_fc": "fc1",
    "c_proj": "fc2",
}


def hub_tower(clip):
    """A state of CLIP as transformers writes it; of the text tower a few tensors."""
    state = {"text_model.final_layer_norm.bias": torch.ones(16), "logit_scale": torch.ones(())}
    for key, tensor in clip.items():
        if not key.startswith("visual.") or key == "visual.proj":
            continue
        for theirs, name in HUB.items():
            key = key.replace(theirs, name)
        names = [key]
        if "in_proj_" in key:
            names = [key.replace("attn.in_proj_", f"self_attn.{part}_proj.") for part in "qkv"]
        state |= {
            f"vision_model.{n}": x for n, x in zip(names, tensor.chunk(len(names)), strict=True)
        }
    return state


def manifests():
    found = [json.loads(path.read_text()) for path in sorted(MANIFESTS.glob("*.json"))]
    return [manifest for manifest in found if "keys" in manifest]


@pytest.mark.parametrize("options", [{}, SSV2, {"local_attention": "single"}], ids=str)
def test_names_there_and_back(options):
    model = tiny(**options)
    state = published(**options)
    assert recognise(state) == "uniformerv2"
    assert all(key.startswith("backbone.") for key in state)
    back = OURS.to_theirs(OURS.to_ours(state, model), model)
    assert back.keys() == state.keys()
    assert all(torch.equal(back[key], state[key]) for key in state)
    assert not load_weights(model, state).differences()


@pytest.mark.skipif(not MANIFESTS.is_dir(), reason="no manifests of public weights")
def test_no_other_family_is_taken_for_these():
    for manifest in manifests():
        shapes = {key: tuple(shape) for key, shape in manifest["keys"].items()}
        is_uniformerv2 = manifest.get("program") == "uniformerv2"
        assert OURS.recognise(shapes) == is_uniformerv2
        assert not CLIP.recognise(shapes)
        if is_uniformerv2:
            state = {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}
            assert recognise(state) == "uniformerv2"


def test_our_own_checkpoints_stay_ours():
    assert recognise(tiny(**SSV2).state_dict()) == "ours"


@pytest.mark.parametrize("prefix", ["visual.", ""])
@pytest.mark.parametrize("options", [{}, SSV2], ids=str)
def test_clip_starts_a_model(prefix, options):
    state = tower(prefix)
    assert recognise(state) == "clip"
    model = tiny(**options)
    report = load_weights(model, state, NEW)
    unused = [f"{prefix}{name}" for name in ("ln_post.weight", "proj")]
    text = [key for key in state if prefix and not key.startswith("visual.")]
    assert sorted(report.idle) == sorted(unused + text)
    assert not report.unused + report.inflated + list(report.resized)
    own = ("global_blocks", "temporal_cls_token", "balance", "norm", "blocks")
    assert {name.split(".")[1] for name in report.new if name.startswith("backbone.")} <= set(own)
    assert all(".local" in name for name in report.new if name.startswith("backbone.blocks."))
    back = CLIP.to_theirs(model.state_dict(), model)
    assert len(back) == len(state) - len(report.idle)
    for key, tensor in back.items():
        assert tensor.equal(state[prefix + key.removeprefix("visual.")]), key


def test_clip_in_the_layout_of_the_hub():
    clip, models = tower(), (tiny(), tiny())
    state = hub_tower(clip)
    assert recognise(state) == "clip_hub"
    report = load_weights(models[0], state, NEW)
    unused = ("text_model.", "logit_scale", "vision_model.post_layernorm.")
    assert sorted(report.idle) == sorted(key for key in state if key.startswith(unused))
    assert not report.unused
    load_weights(models[1], clip, NEW)
    for name in report.loaded:
        assert models[0].get_parameter(name).equal(models[1].get_parameter(name)), name
    back = WEIGHTS.get("clip_hub").to_theirs(models[0].state_dict(), models[0])
    assert back.keys() == state.keys() - set(report.idle)
    assert all(torch.equal(back[key], state[key]) for key in back)


def test_clip_lies_in_the_middle_of_a_kernel_over_frames():
    """A clip that stands still gives the tokens of its image, whatever the stride."""
    state, still = tower(), torch.randn(1, 3, 1, 32, 32).expand(-1, -1, 4, -1, -1)
    found = []
    for options in ({}, SSV2):
        model = tiny(**options).eval()
        load_weights(model, state, NEW)
        found.append(model.backbone.embed(still)[0][:, 0])
    torch.testing.assert_close(*found)


def test_what_clip_has_no_place_for_is_not_lost_in_silence():
    model = tiny(**SSV2)
    with pytest.raises(CheckpointError, match="no extent in time"):
        CLIP.to_theirs(model.state_dict(), model)


def test_positions_of_other_crops():
    """From a square to a wide frame; the class token's row stays."""
    state, model = published(), tiny(replace(SPEC, img_size=(32, 48)))
    with pytest.raises(CheckpointError, match=r"space: backbone.pos_embed"):
        fit_weights(state, model)
    fitted, report = fit_weights(state, model, LoadOptions(changed=("space",)))
    assert report.resized == {"backbone.pos_embed": "space"}
    table, theirs = fitted["backbone.pos_embed"], state["backbone.positional_embedding"]
    assert table.shape == (1 + 4 * 6, 24)
    assert table[0].equal(theirs[0])
    expected = torch.nn.functional.interpolate(
        theirs[1:].view(1, 4, 4, 24).permute(0, 3, 1, 2), (4, 6), mode="bicubic"
    )
    torch.testing.assert_close(table[1:], expected[0].permute(1, 2, 0).flatten(0, 1))


def test_kinetics_starts_something_something():
    """Another head, local attention that is new, a kernel that is spread over three frames."""
    options = LoadOptions(inflate="centre", changed=("new", "head"))
    _, report = fit_weights(published(), tiny(classes=7, **SSV2), options)
    assert report.head == ["head.weight", "head.bias"]
    assert report.inflated == ["backbone.patch_embed.proj.weight"]
    assert report.new
    assert all(".local" in name for name in report.new)


@pytest.mark.parametrize("importer", [OURS, CLIP])
def test_other_backbones_are_named(importer):
    model = with_head(UniFormer())
    with pytest.raises(CheckpointError, match=r"for the backbone UniFormer; .* to uniformerv2"):
        importer.to_theirs(tiny().state_dict(), model)


def test_depths_that_differ_are_seen():
    with pytest.raises(CheckpointError, match=r"unused: backbone.blocks.2"):
        fit_weights(published(), tiny(depth=2, global_layers=(0, 1)))
