"""UniFormer, its split form and EMIM: whole models, and images inflated to clips.

Sizes, the attention of every block and the windows of each stage follow from the state; what a state does not tell
(width of a head, stride in time, context channels) from the description.
"""

import re
from dataclasses import replace

import torch
from torch import Tensor, nn

from golden.cases import Case, divisors, either
from golden.compare import Differences, first_that_fits
from golden.models import (
    DOUBLE_GRADIENT,
    GRADIENT,
    LOGITS,
    TOKENS,
    attention,
    head_of,
    load,
    parameter_gradients,
    there_and_back,
)
from golden.modules import CONTEXT
from slowfast_ext.config import load_config
from slowfast_ext.models import VideoModel, build_model
from slowfast_ext.models.attention.emim import EmimOptions
from slowfast_ext.models.backbones import BackboneSpec
from slowfast_ext.models.backbones.uniformer import UniFormer, UniformerOptions
from slowfast_ext.models.backbones.uniformer_blocks import ConvBlock, PatchEmbed
from slowfast_ext.models.weights import WEIGHTS, LoadOptions, fit_weights

State = dict[str, Tensor]


def check_uniformer(case: Case) -> Differences:
    """`sd.`, `input`, and for each mode `logits`, `stageN`, `grad_input`, `grad.sd.`."""
    state, found = case.part("sd.", "state/"), Differences()
    modes = [key[len("logits") :] for key in case.tensors if re.fullmatch(r"logits(\.\w+)?", key)]
    for mode in modes:
        found += first_that_fits(
            (str(options), lambda o=options, m=mode: _check(case, state, o, m))
            for options in possible_options(case, state)
        )
    if isinstance(case.facts.get("cfg"), dict):
        found += _check_published_configuration(case, state)
    return found


def _check(case: Case, state: State, options: UniformerOptions, mode: str) -> Differences:
    found = Differences()
    _run(found, case, state, options, mode, torch.float32, GRADIENT)
    if not found.wrong:
        rounded = case.stated("computed_in") == "float32"
        allowed = GRADIENT if rounded else DOUBLE_GRADIENT
        _run(found, case, state, options, mode, torch.float64, allowed)
    return found


def _run(
    found: Differences,
    case: Case,
    state: State,
    options: UniformerOptions,
    mode: str,
    dtype: torch.dtype,
    allowed: float,
) -> None:
    tensors = case.tensors
    clip = tensors["input"].to(dtype, copy=True).requires_grad_()
    model = build(state, options, clip.shape, mode)
    load(model, state, "uniformer", found)
    there_and_back(model, state, "uniformer", found)
    logits = model.to(dtype)(clip)
    found.compare(f"{dtype} logits{mode}", logits, tensors[f"logits{mode}"], LOGITS)
    with torch.no_grad():
        stages = model.backbone.stage_outputs(clip)
    for number, stage in enumerate(stages, start=1):
        name = next((n for n in (f"stage{number}{mode}", f"stage{number}") if n in tensors), None)
        if name:
            found.compare(f"{dtype} {name}", stage.permute(0, 4, 1, 2, 3), tensors[name], TOKENS)
    theirs = case.part(f"grad{mode}.sd.")
    if f"grad_input{mode}" in tensors or theirs:
        towards = tensors.get(
            f"grad_logits{mode}", tensors.get("grad_logits", torch.ones_like(logits))
        )
        (logits * towards).sum().backward()
        if f"grad_input{mode}" in tensors:
            expected = tensors[f"grad_input{mode}"]
            found.compare(f"{dtype} grad_input{mode}", clip.grad, expected, allowed)
        parameter_gradients(model, theirs, "uniformer", found, f"{dtype} grad{mode}", allowed)


def build(state: State, options: UniformerOptions, shape: torch.Size, mode: str = "") -> VideoModel:
    """The model of a published state for clips [B, 3, T, H, W] of a shape."""
    cycles, windows = zip(*(_blocks(state, stage, options) for stage in (3, 4)), strict=True)
    parts = (
        (EmimOptions(windows, CONTEXT[mode]),) if any("emim" in cycle for cycle in cycles) else ()
    )
    _, _, frames, height, width = shape
    backbone = UniFormer(BackboneSpec(frames, (height, width), attention(cycles, *parts)), options)
    return VideoModel(backbone, head_of(state, backbone.feature_dim, ["head"]))


def _blocks(
    state: State, stage: int, options: UniformerOptions
) -> tuple[tuple[str, ...], tuple[int, int]]:
    """The attention of each block of a stage, and its window."""
    names, window = [], (7, 7)
    for index in range(options.depth[stage - 1]):
        block = f"blocks{stage}.{index}."
        if f"{block}attn.rpb" in state:
            window = tuple(state[f"{block}attn.rpb"].shape[1:])
        kinds = {"emim": "attn.rpb", "split": "t_attn.qkv.weight"}
        names.append(next((kind for kind, key in kinds.items() if block + key in state), "joint"))
    return tuple(names), window


def possible_options(case: Case, state: State, image: bool = False) -> list[UniformerOptions]:
    """The sizes in a state, with every width of a head and stride in time that the description leaves open."""
    dims = tuple(len(state[f"patch_embed{n}.norm.weight"]) for n in (1, 2, 3, 4))
    depth = tuple(
        len({k.split(".")[1] for k in state if k.startswith(f"blocks{n}.")}) for n in (1, 2, 3, 4)
    )
    common = UniformerOptions(
        embed_dim=dims,
        depth=depth,
        head_dim=1,
        mlp_ratio=len(state["blocks1.0.mlp.fc1.weight"]) / dims[0],
        qkv_bias="blocks3.0.attn.qkv.bias" in state,
        layer_scale=1.0 if any(".gamma_" in key for key in state) else 0.0,
        std=state["patch_embed2.proj.weight"].ndim == 5
        and state["patch_embed2.proj.weight"].shape[2] == 3,
        image=image,
    )
    tables = [(key, x) for key, x in state.items() if key.endswith(".rpb")]
    from_table = dims[int(tables[0][0][len("blocks")]) - 1] // len(tables[0][1]) if tables else None
    shared = [d for d in divisors(dims[2]) if dims[3] % d == 0]
    widths = either(case.stated("HEAD_DIM", "head_dim") or from_table, shared[::-1])
    return [replace(common, head_dim=w, temporal_stride=s) for s in _strides(case) for w in widths]


def _strides(case: Case) -> list[int]:
    """2 in UniFormer, 1 in EMIM's program, which has ATTN_TYPE; the first stage tells where it is given."""
    first, clip = case.tensors.get("stage1"), case.tensors["input"]
    if first is not None and clip.shape[2] > 1:
        return [1] if first.shape[2] == clip.shape[2] else [2]
    stated = case.stated("TEMPORAL_STRIDE", "temporal_stride", "t_stride")
    is_emim = "ATTN_TYPE" in case.facts.get("cfg", {}).get("UNIFORMER", {})
    return [stated] if stated in (1, 2) else [1, 2] if is_emim else [2, 1]


def _check_published_configuration(case: Case, state: State) -> Differences:
    """The published YAML, as a user would load it, gives the same model."""
    found = Differences()
    published = {
        f"{s}.{k}": v
        for s, keys in case.facts["cfg"].items()
        if isinstance(keys, dict)
        for k, v in keys.items()
    }
    sizes = ("EMBED_DIM", "DEPTH", "HEAD_DIM", "MLP_RATIO", "QKV_BIAS", "SPLIT", "STD")
    needed = {"MODEL.NUM_CLASSES", *(f"UNIFORMER.{key}" for key in sizes)}
    if not needed <= published.keys():
        return found
    _, _, frames, height, width = case.tensors["input"].shape
    given = {k: v for k, v in published.items() if v is not None and not k.startswith("DATA.")}
    given |= {"MODEL.ARCH": "uniformer", "DATA.NUM_FRAMES": frames}
    given |= {f"DATA.{kind}_CROP_SIZE": [height, width] for kind in ("TRAIN", "TEST")}
    model = build_model(load_config([], [str(part) for pair in given.items() for part in pair]))
    load(model, state, "uniformer", found)
    mode = next(
        key[len("logits") :]
        for key in case.tensors
        if key.startswith("logits") and ".shipped" not in key
    )
    with torch.no_grad():
        found.compare(
            "logits from the published configuration",
            model(case.tensors["input"]),
            case.tensors[f"logits{mode}"],
            LOGITS,
        )
    return found


def check_inflate(case: Case) -> Differences:
    """`sd2d.`: the kernels and the model of clips by mean and by centre, and the model of images on the first frame."""
    state = case.part("sd2d.")
    return first_that_fits(
        (str(options), lambda o=options: _check_inflated(case, state, o))
        for options in possible_options(case, state)
    )


def _check_inflated(case: Case, state: State, options: UniformerOptions) -> Differences:
    found, tensors = Differences(), case.tensors
    clip = tensors["input"]
    for mode in ("mean", "centre", "center"):
        kernels, logits = case.part(f"sd3d_{mode}."), tensors.get(f"logits3d_{mode}_inflation")
        model = build(state, options, clip.shape)
        ways = LoadOptions(inflate="mean" if mode == "mean" else "centre")
        if kernels:
            fitted, _ = fit_weights({"model": dict(state)}, model, ways)
            for name, expected in WEIGHTS.get("uniformer").to_ours(kernels, model).items():
                found.compare(f"{mode}: {name}", fitted[name], expected, 1e-6)
        if logits is not None:
            report = load(model, state, "uniformer", found, ways)
            found.equal("kernels are inflated", bool(report.inflated), True)
            with torch.no_grad():
                found.compare(f"logits by {mode}", model(clip), logits, LOGITS)
    if "logits2d_frame0" in tensors:
        image = build(state, replace(options, image=True), clip[:, :, :1].shape)
        load(image, state, "uniformer", found)
        with torch.no_grad():
            found.compare(
                "logits of the image model",
                image(clip[:, :, :1]),
                tensors["logits2d_frame0"],
                LOGITS,
            )
    return found


def check_stem(case: Case) -> Differences:
    """`sd.` of the stem and the first stage alone, `input` and a corner of `stage1`, where nothing else is seen."""
    state, expected, found = case.part("sd."), case.tensors["stage1"], Differences()
    dim, depth = (
        len(state["patch_embed1.norm.weight"]),
        len({k.split(".")[1] for k in state if k[:7] == "blocks1"}),
    )
    kernel = state["patch_embed1.proj.weight"].shape[2:]
    hidden = len(state["blocks1.0.mlp.fc1.weight"])
    kernels = tuple(
        tuple(state[f"blocks1.0.{name}.weight"].shape[2:]) for name in ("pos_embed", "attn")
    )
    stem = nn.Module()
    stem.patch_embeds = nn.ModuleList(
        [PatchEmbed(3, dim, tuple(kernel), (_strides(case)[0], *kernel[1:]))]
    )
    stem.stages = nn.ModuleList(
        [nn.ModuleList(ConvBlock(dim, hidden, kernels, 0.0) for _ in range(depth))]
    )
    ours = WEIGHTS.get("uniformer").to_ours(state, stem)
    stem.load_state_dict({name.removeprefix("backbone."): x for name, x in ours.items()})
    with torch.no_grad():
        x_BTHWC = stem.eval().patch_embeds[0](case.tensors["input"].permute(0, 2, 3, 4, 1))
        for block in stem.stages[0]:
            x_BTHWC = block(x_BTHWC)
    *_, height, width = expected.shape
    found.compare("stage1", x_BTHWC.permute(0, 4, 1, 2, 3)[..., :height, :width], expected, TOKENS)
    return found
