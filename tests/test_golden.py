"""Published models, number for number: every case in GOLDEN_DIR, the given ones and any that is dropped in.

A case is a safetensors file with its published configuration in a .json beside it or in its metadata; the
configuration is mapped to ours here, the weights go through the importers, nothing may be left over.
Functions and further modules are compared beside the code that they belong to, in tests/models.
"""

import json

import pytest
import torch
from golden_vit import case_config as motionformer_config
from golden_vit import load_model as load_motionformer
from reference_data import GOLDEN
from safetensors import safe_open
from safetensors.torch import load_file
from vit_cases import state_of
from xvit_cases import golden_cfg as xvit_config

from slowfast_ext.config import load_config
from slowfast_ext.models import build_model
from slowfast_ext.models.weights import import_state

TOLERANCE = 1e-4


def description(path):
    """The json of a case, wherever it is."""
    beside = path.with_suffix(".json")
    if beside.exists():
        return json.loads(beside.read_text())
    with safe_open(path, "pt") as file:
        return json.loads((file.metadata() or {}).get("meta", "{}"))


def cases(wanted):
    """Names of the cases whose description satisfies `wanted`; one that skips when there are none."""
    found = [
        path.stem
        for path in sorted(GOLDEN.glob("*.safetensors"))
        if wanted(path.stem, description(path))
    ]
    return found or [
        pytest.param("none", marks=pytest.mark.skip(reason=f"no such cases in {GOLDEN}"))
    ]


def of_kind(kind):
    return lambda name, case: case.get("kind") == kind


def is_uniformer(name, case):
    return "UNIFORMER" in (case.get("cfg") or {}) and "input_shape" in case


def assert_close(found, expected, tolerance=TOLERANCE):
    assert (found - expected).abs().max() <= tolerance * expected.abs().max()


def load_into(cfg, state):
    """Our model with a published state: every tensor used, every parameter filled."""
    model = build_model(cfg)
    fitted, report = import_state(state, cfg, model.state_dict())
    assert not report.changes()
    model.load_state_dict(fitted)
    return model.eval()


def uniformer_config(case, context):
    """The published YAML as a user would load it, and what no YAML says."""
    _, _, frames, size, _ = case["input_shape"]
    published = {
        f"{section}.{key}": value
        for section, keys in case["cfg"].items()
        for key, value in keys.items()
    }
    given = {key: value for key, value in published.items() if value is not None}
    given |= {"MODEL.ARCH": "uniformer", "DATA.NUM_FRAMES": frames, "DATA.TEST_CROP_SIZE": size,
              "ATTENTION.EMIM.CONTEXT_CHANNELS": context}  # fmt: skip
    return load_config([], [str(part) for pair in given.items() for part in pair])


@pytest.mark.parametrize("name", cases(is_uniformer))
def test_uniformer_and_emim(name):
    case, tensors = (
        description(GOLDEN / f"{name}.safetensors"),
        load_file(GOLDEN / f"{name}.safetensors"),
    )
    answers = {key.removeprefix("logits"): key for key in tensors if key.startswith("logits")}
    for suffix, key in answers.items():
        cfg = uniformer_config(case, context=32 if suffix == ".shipped" else "all")
        model = load_into(cfg, {k[3:]: v for k, v in tensors.items() if k.startswith("sd.")})
        clip = tensors["input"].clone().requires_grad_()
        (logits,) = model(clip)
        assert_close(logits, tensors[key])
        if f"grad_input{suffix}" in tensors:
            (grad,) = torch.autograd.grad((logits * tensors["grad_logits"]).sum(), clip)
            assert_close(grad, tensors[f"grad_input{suffix}"])


@pytest.mark.parametrize("name", cases(of_kind("motionformer")))
def test_motionformer(name):
    cfg = motionformer_config(GOLDEN, name)
    tensors = load_file(GOLDEN / f"{name}.safetensors")
    if "aux/projection_matrix" in tensors:
        cfg.ATTENTION.PERFORMER.FEATURES = len(tensors["aux/projection_matrix"])
    model, tensors, report = load_motionformer(GOLDEN, name, cfg)
    assert not report.unused
    with torch.no_grad():
        found = model(tensors["in/x"])
    logits = [tensors[key] for key in sorted(tensors) if key.startswith("out/logits")]
    for ours, theirs in zip(found, logits, strict=True):
        assert_close(ours, theirs)
    probs = [tensors[key] for key in sorted(tensors) if key.startswith("out/probs")]
    for ours, theirs in zip(found, probs, strict=True):
        assert_close(ours.softmax(-1), theirs)


@pytest.mark.parametrize("name", cases(of_kind("xvit")))
def test_xvit(name):
    case, tensors = (
        description(GOLDEN / f"{name}.safetensors"),
        load_file(GOLDEN / f"{name}.safetensors"),
    )
    model = load_into(xvit_config(case["cfg"]), state_of(tensors))
    with torch.no_grad():
        (logits,) = model(tensors["in/x"])
    assert_close(logits, tensors["out/logits"])
