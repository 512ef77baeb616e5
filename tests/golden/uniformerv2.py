"""UniFormerV2: Kinetics' and Something-Something's form, and the start from CLIP's image tower.

Sizes, local attention and the stride in time follow from the state; heads and the blocks that are read from the
description, or they are tried.
"""

from dataclasses import replace
from itertools import combinations

import torch
from torch import Tensor

from golden.cases import Case, divisors, either
from golden.compare import Differences, first_that_fits
from golden.models import (
    DOUBLE,
    LOGITS,
    TOKENS,
    attention,
    check_gradients,
    check_outputs,
    head_of,
    load,
    there_and_back,
)
from slowfast_ext.analysis.cost import cost_of
from slowfast_ext.models import VideoModel
from slowfast_ext.models.backbones import BackboneSpec
from slowfast_ext.models.backbones.uniformerv2 import UniFormerV2, UniformerV2Options
from slowfast_ext.models.weights import WEIGHTS, LoadOptions, fit_weights, load_weights

State = dict[str, Tensor]
CLASSIFIER = "backbone.transformer.proj.2"
UNUSED = ("visual.ln_post.", "visual.proj")


def check_uniformerv2(case: Case) -> Differences:
    """`state/`, `in/x`, `out/logits`, `aux/`, `grad/`; in `clip/` the image tower that the state started from."""
    state = case.part("state/")
    return first_that_fits(
        (str(options), lambda o=options: _check(case, state, o))
        for options in possible_options(case, state)
    )


def _check(case: Case, state: State, options: UniformerV2Options) -> Differences:
    found = Differences()
    _run(found, case, state, options, torch.float32, "float32")
    if not found.wrong:
        _run(found, case, state, options, torch.float64, "float64")
        _run(found, case, state, options, torch.float32, "reference")
        _check_start(found, case, state, options)
    return found


def _run(
    found: Differences,
    case: Case,
    state: State,
    options: UniformerV2Options,
    dtype: torch.dtype,
    what: str,
) -> None:
    clip = case.tensors["in/x"].to(dtype, copy=True)
    model = build(state, options, clip.shape, reference=what == "reference")
    load(model, state, "uniformerv2", found)
    there_and_back(model, state, "uniformerv2", found)
    model.to(dtype)
    allowed = TOKENS if dtype == torch.float32 else DOUBLE
    with torch.no_grad():
        for name, value in _inside(model.backbone, clip).items():
            if f"aux/{name}" in case.tensors:
                found.compare(f"{what} {name}", value, case.tensors[f"aux/{name}"], allowed)
    has_gradients = any(key.startswith("grad/") for key in case.tensors)
    with torch.set_grad_enabled(has_gradients):
        output = model(clip.requires_grad_(has_gradients))
    check_outputs(found, what, output, case.tensors, LOGITS if dtype == torch.float32 else DOUBLE)
    check_gradients(found, what, model, clip, output, case.tensors, "uniformerv2")


def _inside(backbone: UniFormerV2, clip: Tensor) -> State:
    """Intermediates as the program lays them out: tokens [F, B*T, C] after blocks, the clip's [1, B, C]."""
    x_BTFC, grid = backbone.embed(clip)
    found = {"tokens_in": x_BTFC.flatten(0, 1)}
    token_BC = backbone.temporal_cls_token[0].expand(len(x_BTFC), -1)
    for index, block in enumerate(backbone.blocks):
        x_BTFC = block(x_BTFC, grid)
        found[f"resblock{index}_out"] = x_BTFC.flatten(0, 1).transpose(0, 1)
        if index in backbone.global_layers:
            number = backbone.global_layers.index(index)
            token_BC = backbone.global_blocks[number](token_BC, x_BTFC, grid)
            found[f"global{number}_out"] = token_BC[None]
    return found | {"feature": backbone.pool(token_BC, x_BTFC)}


def _check_start(found: Differences, case: Case, state: State, options: UniformerV2Options) -> None:
    """From CLIP all that it has comes as in the program; the rest is the model's own."""
    tower, clip = case.part("clip/"), case.tensors["in/x"]
    if not tower:
        return
    model = build(state, options, clip.shape)
    report = load_weights(model, dict(tower), LoadOptions(changed=("new",)))
    found.equal("family of the tower", report.source, "clip")
    idle = [name for name in tower if name.startswith(UNUSED)]
    found.equal("of no use for video", sorted(report.idle), sorted(idle))
    started = WEIGHTS.get("uniformerv2").to_theirs(model.state_dict(), model)
    new = {name: x for name, x in model.state_dict().items() if name in report.new}
    own = WEIGHTS.get("uniformerv2").to_theirs(new, model)
    found.equal(
        "tensors that start as CLIP's",
        [name for name in state if name not in own and not torch.equal(started[name], state[name])],
        [],
    )
    if "loader" in case.facts:
        found.equal("the model's own", sorted(own), sorted(case.facts["loader"]["own"]))
    back = WEIGHTS.get("clip").to_theirs(model.state_dict(), model)
    same = {name: x for name, x in tower.items() if name not in idle}
    found.equal("names there and back", sorted(back), sorted(same))
    found.equal(
        "the tower there and back", [k for k in same if not torch.equal(back[k], same[k])], []
    )


def check_manifest(case: Case) -> Differences:
    """A json with `keys` and `input`: every key finds its place, and costs are those that were counted."""
    found, facts = Differences(), case.facts
    state = {key: torch.empty(shape, device="meta") for key, shape in facts["keys"].items()}
    (options,), shape = possible_options(case, state), facts["input"]
    with torch.device("meta"):
        model = build(state, options, torch.Size(shape), reference=True)
    fitted, report = fit_weights(dict(state), model)
    found.equal("family of the weights", report.source, "uniformerv2")
    found.equal("differences", report.differences(), [])
    found.equal("shapes", _shapes(fitted), _shapes(model.state_dict()))
    back = WEIGHTS.get("uniformerv2").to_theirs(fitted, model)
    found.equal("shapes there and back", _shapes(back), _shapes(state))
    cost = cost_of(model, torch.empty(shape, device="meta"))
    counted = {"n_params": cost.params, "gmacs_counted": cost.macs / 1e9}
    for name, value in counted.items():
        found.compare(name, torch.tensor(value), torch.tensor(facts[name]), 0.01)
    return found


def _shapes(state: State) -> dict[str, tuple[int, ...]]:
    return {key: tuple(x.shape) for key, x in state.items()}


def build(
    state: State, options: UniformerV2Options, shape: torch.Size, reference: bool = False
) -> VideoModel:
    """The model of a published state for clips [B, 3, T, H, W] of a shape."""
    _, _, frames, height, width = shape
    spec = BackboneSpec(frames, (height, width), attention(["space"], reference=reference))
    return VideoModel(UniFormerV2(spec, options), head_of(state, options.embed_dim, [CLASSIFIER]))


def options_of_state(state: State, heads: int, layers: list[int]) -> UniformerV2Options:
    """What the tensors tell."""
    inside, block = "backbone.transformer.", "backbone.transformer.resblocks.0."
    kernel = state["backbone.conv1.weight"]
    dim, hidden = len(kernel), state.get(f"{block}lmhra1.pos_embed.1.weight")
    return UniformerV2Options(
        patch_size=kernel.shape[-1],
        embed_dim=dim,
        depth=_count(state, f"{inside}resblocks."),
        num_heads=heads,
        mlp_ratio=len(state[f"{block}mlp.c_fc.weight"]) / dim,
        temporal_stride=(kernel.shape[2] + 1) // 2,
        local_attention="none"
        if hidden is None
        else "double"
        if f"{block}lmhra2.pos_embed.1.weight" in state
        else "single",
        local_reduction=1.5 if hidden is None else max(1.0, dim / (len(hidden) + 0.5)),
        global_layers=layers,
        global_heads=heads,
        global_mlp_ratio=len(state[f"{inside}dec.0.mlp.c_fc.weight"]) / dim,
        balance=f"{inside}balance" in state,
    )


def possible_options(case: Case, state: State) -> list[UniformerV2Options]:
    """With the heads and the layers that are stated, or all that are possible; the last blocks first."""
    dim = len(state["backbone.conv1.weight"])
    inside = "backbone.transformer."
    depth, count = (_count(state, f"{inside}{part}.") for part in ("resblocks", "dec"))
    subsets = sorted(combinations(range(depth), count), reverse=True)
    layers = either(case.stated("return_list", "RETURN_LIST"), subsets)
    heads = either(case.stated("heads"), divisors(dim))
    return [
        replace(options_of_state(state, h, chosen), global_heads=g)
        for chosen in layers
        for h in heads
        for g in either(case.stated("n_head", "N_HEAD"), heads)
    ]


def _count(state: State, prefix: str) -> int:
    return len({key[len(prefix) :].split(".")[0] for key in state if key.startswith(prefix)})
