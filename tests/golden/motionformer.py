"""Motionformer: joint, divided and trajectory attention with every approximation, one head or two."""

from dataclasses import replace
from itertools import chain
from math import isqrt

import torch
from torch import Tensor

from golden.cases import Case, divisors, either, sides
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
from slowfast_ext.models import VideoModel
from slowfast_ext.models.attention import AttentionOptions
from slowfast_ext.models.attention.nystrom import NystromOptions
from slowfast_ext.models.attention.orthoformer import OrthoformerOptions
from slowfast_ext.models.attention.performer import PerformerOptions
from slowfast_ext.models.attention.trajectory import TrajectoryOptions
from slowfast_ext.models.backbones import BackboneSpec
from slowfast_ext.models.backbones.vit import VisionTransformer, VitOptions
from slowfast_ext.models.weights import LoadOptions

State = dict[str, Tensor]
HEADS = ("head", "head0", "head1")


def check_motionformer(case: Case) -> Differences:
    """`state/`, `in/x`, `out/logits`, `out/probs`, `aux/tokens_in`, `aux/blockN_out`, `aux/projection_matrix`."""
    state = case.part("state/")
    ways = [(vit, options) for vit in sizes(case, state) for options in attentions(case, state)]
    return first_that_fits(
        (f"{vit}, {options}", lambda v=vit, o=options: _check(case, state, v, o))
        for vit, options in ways
    )


def _check(case: Case, state: State, vit: VitOptions, options: AttentionOptions) -> Differences:
    found = Differences()
    _run(found, case, state, vit, options, torch.float32, "float32")
    if not found.wrong:
        _run(found, case, state, vit, options, torch.float64, "float64")
        _run(found, case, state, vit, replace(options, reference=True), torch.float64, "reference")
    return found


def _run(
    found: Differences,
    case: Case,
    state: State,
    vit: VitOptions,
    options: AttentionOptions,
    dtype: torch.dtype,
    what: str,
) -> None:
    clip = case.tensors["in/x"].to(dtype, copy=True)
    _, _, frames, height, width = clip.shape
    backbone = VisionTransformer(BackboneSpec(frames, (height, width), options), vit)
    model = VideoModel(backbone, head_of(state, backbone.feature_dim, HEADS))
    drawn = options.kernel == "performer"
    report = load(
        model, state, "motionformer", found, LoadOptions(changed=("new",) if drawn else ())
    )
    found.equal(
        "new parameters", [n for n in report.new if not n.endswith("kernel.projection")], []
    )
    if not drawn:
        there_and_back(model, state, "motionformer", found)
    model.to(dtype)
    _set_kernels(case, model)
    with torch.no_grad():
        x_BNC, grid = backbone.embed(clip)
        if "aux/tokens_in" in case.tensors:
            found.compare(
                f"{what} tokens",
                x_BNC,
                case.tensors["aux/tokens_in"],
                TOKENS if dtype == torch.float32 else DOUBLE,
            )
        for index, block in enumerate(backbone.blocks):
            x_BNC = block(x_BNC, grid)
            if f"aux/block{index}_out" in case.tensors:
                found.compare(
                    f"{what} block {index}",
                    x_BNC,
                    case.tensors[f"aux/block{index}_out"],
                    TOKENS if dtype == torch.float32 else DOUBLE,
                )
    has_gradients = any(key.startswith("grad/") for key in case.tensors)
    with torch.set_grad_enabled(has_gradients):
        output = model(clip.requires_grad_(has_gradients))
    check_outputs(found, what, output, case.tensors, LOGITS if dtype == torch.float32 else DOUBLE)
    check_gradients(found, what, model, clip, output, case.tensors, "motionformer")


def _set_kernels(case: Case, model: VideoModel) -> None:
    """Random choices of the case: projections of performer, first landmarks of orthoformer; the same in every block or a row each."""
    projection = case.tensors.get("aux/projection_matrix", case.tensors.get("in/projection_matrix"))
    start = case.tensors.get("in/start_idx", case.tensors.get("aux/start_idx"))
    for index, block in enumerate(model.backbone.blocks):
        kernel = getattr(getattr(block, "attn", None), "kernel", None)
        if projection is not None and hasattr(kernel, "projection"):
            own = projection if projection.ndim == 2 else projection[index]
            kernel.projection = own[None].to(kernel.projection)
        if start is not None and hasattr(kernel, "start"):
            rows = start if start.ndim == 1 else start[index]
            kernel.start = lambda q, rows=rows: rows.reshape(q.shape[:2])


def sizes(case: Case, state: State) -> list[VitOptions]:
    """The transformer of a state; heads and the grid of its position table where they are not stated are tried."""
    published = case.facts.get("cfg", {}).get("VIT", {})
    dim, depth = (
        state["cls_token"].shape[-1],
        len({k.split(".")[1] for k in state if k.startswith("blocks.")}),
    )
    cubic = state.get("patch_embed_3d.proj.weight")
    flat = state.get("patch_embed.proj.weight")
    kernel = cubic if cubic is not None else flat
    t = published.get("PATCH_SIZE_TEMP") or (kernel.shape[2] if kernel.ndim == 5 else 1)
    t = 1 if kernel.ndim == 4 else t
    patch = (t, *kernel.shape[-2:])
    joint = "st_embed" in state and published.get("POS_EMBED", "joint") == "joint"
    vit = VitOptions(
        patch_size=patch,
        embed_dim=dim,
        depth=depth,
        num_heads=1,
        mlp_ratio=len(state["blocks.0.mlp.fc1.weight"]) / dim,
        qkv_bias="blocks.0.attn.qkv.bias" in state,
        pos_embed="joint" if joint else "separate",
    )
    activations = [published["HEAD_ACT"]] if "HEAD_ACT" in published else ["tanh", "gelu", "relu"]
    pre_logits = activations if "pre_logits.fc.weight" in state else ["none"]
    heads = either(case.stated("NUM_HEADS", "num_heads", "heads"), divisors(dim))
    tables = [(0, 0)] if joint else position_crops(case, len(state["pos_embed"][0]) - 1, patch[1:])
    return [
        replace(vit, num_heads=h, pre_logits=act, pos_crop_size=crop if all(crop) else 0)
        for crop in tables
        for h in heads
        for act in pre_logits
    ]


def position_crops(case: Case, rows: int, patch: tuple[int, int]) -> list[tuple[int, int]]:
    """The crops that a spatial table of so many rows may be made for: that of the clip itself, the square, any."""
    height, width = case.tensors["in/x"].shape[-2:]
    if (height // patch[0]) * (width // patch[1]) == rows:
        return [(0, 0)]
    stated = case.stated("pos_grid", "POS_GRID", "native_grid")
    side = isqrt(rows)
    squares = [(side, side)] if side**2 == rows else []
    grids = [sides(stated)] if stated else chain(squares, ((d, rows // d) for d in divisors(rows)))
    return [(h * patch[0], w * patch[1]) for h, w in grids]


def attentions(case: Case, state: State) -> list[AttentionOptions]:
    """Pattern, values along trajectories, and the approximation."""
    published = case.facts.get("cfg", {}).get("VIT", {})
    by_state = (
        "trajectory"
        if "blocks.0.attn.proj_kv.weight" in state
        else "divided"
        if "blocks.0.timeattn.qkv.weight" in state
        else "joint"
    )
    cycle = [published.get("ATTN_LAYER") or by_state]
    if cycle != ["trajectory"]:
        return [attention(cycle)]
    original = either(case.stated("USE_ORIGINAL_TRAJ_ATTN_CODE", "use_original"), (True, False))
    kinds = {"none": "softmax", "": "softmax", "false": "softmax"}
    named = next((w for w in case.words() if w in ("orthoformer", "nystrom", "performer")), "none")
    kernel = str(published.get("APPROX_ATTN_TYPE", named)).lower()
    kernel = kinds.get(kernel, kernel)
    count = case.stated("APPROX_ATTN_DIM", "landmarks", "R") or 128
    approximations = {
        "softmax": (),
        "orthoformer": (OrthoformerOptions(count),),
        "nystrom": (NystromOptions(count),),
        "performer": (PerformerOptions(_features(case)),),
    }
    return [
        attention(
            cycle,
            TrajectoryOptions(values="original" if flag else "projected"),
            *approximations[kernel],
            kernel=kernel,
        )
        for flag in original
    ]


def _features(case: Case) -> int:
    projection = case.tensors.get("aux/projection_matrix", case.tensors.get("in/projection_matrix"))
    return projection.shape[-2] if projection is not None else 256
