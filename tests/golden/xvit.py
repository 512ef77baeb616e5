"""XViT: space-time mixing, shift groups, both consensus heads."""

from dataclasses import replace
from itertools import product

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
from golden.motionformer import position_crops
from golden.setups import framewise
from slowfast_ext.models import VideoModel
from slowfast_ext.models.attention import AttentionOptions
from slowfast_ext.models.attention.xvit_mixing import MixingOptions
from slowfast_ext.models.backbones import BackboneSpec
from slowfast_ext.models.backbones.vit import VitOptions
from slowfast_ext.models.backbones.xvit import XViT, XvitOptions

State = dict[str, Tensor]
CLASSIFIER = "consensus.mlp_head.4"
Parts = tuple[VitOptions, XvitOptions, AttentionOptions]


def check_xvit(case: Case) -> Differences:
    """`state/`, `in/x`, `out/logits`, `aux/blockN_out`, `aux/backbone_out`."""
    state = case.part("state/")
    return first_that_fits(
        (str(parts), lambda p=parts: _check(case, state, p)) for parts in possible(case, state)
    )


def _check(case: Case, state: State, parts: Parts) -> Differences:
    found = Differences()
    _run(found, case, state, parts, torch.float32, "float32")
    if not found.wrong:
        vit, xvit, options = parts
        _run(found, case, state, parts, torch.float64, "float64")
        _run(
            found,
            case,
            state,
            (vit, xvit, replace(options, reference=True)),
            torch.float64,
            "reference",
        )
    return found


def _run(
    found: Differences, case: Case, state: State, parts: Parts, dtype: torch.dtype, what: str
) -> None:
    vit, xvit, options = parts
    clip = case.tensors["in/x"].to(dtype, copy=True)
    _, _, frames, height, width = clip.shape
    backbone = XViT(BackboneSpec(frames, (height, width), options), vit, xvit)
    names = [CLASSIFIER if xvit.consensus == "vit" else "new_fc"]
    model = VideoModel(backbone, head_of(state, backbone.feature_dim, names))
    report = load(model, state, "xvit", found)
    used = {key: x for key, x in state.items() if key not in report.idle}
    there_and_back(model, used, "xvit", found)
    model.to(dtype)
    allowed = TOKENS if dtype == torch.float32 else DOUBLE
    with torch.no_grad():
        x_BNC, grid = backbone.embed(clip)
        for index, block in enumerate(backbone.blocks):
            x_BNC = block(x_BNC, grid)
            expected = case.tensors.get(f"aux/block{index}_out")
            if expected is not None:
                found.compare(
                    f"{what} block {index}",
                    x_BNC,
                    framewise(expected.unflatten(0, (-1, frames))),
                    allowed,
                )
        expected = case.tensors.get("aux/backbone_out")
        if expected is not None:
            cls = backbone.norm(x_BNC[:, :frames]).flatten(0, 1)
            found.compare(f"{what} class tokens", cls, expected, allowed)
    has_gradients = any(key.startswith("grad/") for key in case.tensors)
    with torch.set_grad_enabled(has_gradients):
        output = model(clip.requires_grad_(has_gradients))
    check_outputs(found, what, output, case.tensors, LOGITS if dtype == torch.float32 else DOUBLE)
    check_gradients(found, what, model, clip, output, case.tensors, "xvit")


def possible(case: Case, state: State) -> list[Parts]:
    """What the state and the description tell; heads, shifts and groups are tried where they are not stated."""
    base = {
        key[len("base_model.") :]: x for key, x in state.items() if key.startswith("base_model.")
    }
    dim, depth = (
        base["cls_token"].shape[-1],
        len({k.split(".")[1] for k in base if k.startswith("blocks.")}),
    )
    patch = (1, *base["patch_embed.proj.weight"].shape[-2:])
    crop = position_crops(case, len(base["pos_embed"][0]) - 1, patch[1:])[0]
    has_transformer = any(key.startswith("consensus.") for key in state)
    cfg = case.facts.get("cfg", {})
    head = cfg.get("TEMPORAL_HEAD", {})
    own = {k: v for k, v in cfg.items() if not isinstance(v, dict)}
    heads = either(own.get("heads") or own.get("NUM_HEADS") or own.get("num_heads"), divisors(dim))
    later = either(head.get("NUM_ATTENTION_HEADS"), divisors(dim)) if has_transformer else [1]
    return [
        (
            VitOptions(
                patch_size=patch,
                embed_dim=dim,
                depth=depth,
                num_heads=h,
                mlp_ratio=len(base["blocks.0.mlp.fc1.weight"]) / dim,
                qkv_bias="blocks.0.attn.qkv.bias" in base,
                pos_crop_size=crop if all(crop) else 0,
            ),
            _consensus(state, base["temp_embed"].shape[1], has_transformer, h2),
            options,
        )
        for h, h2 in sorted(product(heads, later), key=lambda pair: pair[0] != pair[1])
        for options in _mixing(case, depth)
    ]


def _consensus(state: State, rows: int, has_transformer: bool, heads: int) -> XvitOptions:
    if not has_transformer:
        return XvitOptions(time_rows=rows, consensus="avg")
    blocks = {k.split(".")[2] for k in state if k.startswith("consensus.temporal_encoder.")}
    width = len(state["consensus.mlp_head.1.weight"])
    return XvitOptions(rows, "vit", len(blocks), heads, width)


def _mixing(case: Case, depth: int) -> list[AttentionOptions]:
    xvit = case.facts.get("cfg", {}).get("XVIT", {})
    if xvit.get("USE_XVIT") is False:
        return [attention(["space"])]
    frames = case.tensors["in/x"].shape[2]
    groups = either(case.stated("NUM_SEGMENTS", "num_segments"), divisors(frames)[::-1])
    divs = either(case.stated("SHIFT_DIV", "shift_div"), (8, 4, *range(2, 17)))
    mixed = xvit.get("LOCATIONS_LIST", list(range(depth)))
    cycle = ["mixing" if index in mixed else "space" for index in range(depth)]
    mixing = [attention(cycle, MixingOptions(div, group)) for div in divs for group in groups]
    return mixing if "USE_XVIT" in xvit else [*mixing, attention(["space"])]
