"""Golden models of UniFormer's family, without their weights and with them."""

import json

from model_cases import with_head
from safetensors.torch import load_file

from slowfast_ext.models.attention import AttentionOptions
from slowfast_ext.models.attention.emim import EmimOptions
from slowfast_ext.models.backbones import BackboneSpec
from slowfast_ext.models.backbones.uniformer import UniFormer, UniformerOptions
from slowfast_ext.models.weights import load_weights


def model_of(published, frames, size, context_channels="all", image=False):
    """Our model for the published configuration of a case."""
    theirs = published["UNIFORMER"]
    emim = theirs.get("ATTN_TYPE") is not None
    options = UniformerOptions(
        embed_dim=theirs["EMBED_DIM"],
        depth=theirs["DEPTH"],
        head_dim=theirs["HEAD_DIM"],
        std=theirs["STD"],
        temporal_stride=1 if emim else 2,
        image=image,
    )
    cycle = ("emim", "joint") if emim else ("split" if theirs["SPLIT"] else "joint",)
    parts = (EmimOptions(context_channels=context_channels),)
    spec = BackboneSpec(frames, size, AttentionOptions(cycle=cycle, parts=parts))
    return with_head(UniFormer(spec, options), published["MODEL"]["NUM_CLASSES"])


def golden_model(folder, name, context_channels="all"):
    """Our model for the case `name`, and the published weights."""
    case = json.loads((folder / f"{name}.json").read_text())
    model = model_of(case["cfg"], *case["input_shape"][2:4], context_channels)
    return model, {key[3:]: value for key, value in load(folder, name).items() if key[:3] == "sd."}


def load_golden_model(folder, name, context_channels="all"):
    """The model in evaluation mode with the published weights, and all tensors of the case."""
    model, state = golden_model(folder, name, context_channels)
    assert not load_weights(model, state).differences()
    return model.eval(), load(folder, name)


def load(folder, name):
    """All tensors of a case."""
    return load_file(folder / f"{name}.safetensors")
