"""What the tests of the vision transformers share: golden modules and models, kernels, tolerances."""

import json

import torch
from attention_cases import build_layer, layer_spec
from model_cases import with_head
from safetensors.torch import load_file

from slowfast_ext.models.attention import AttentionOptions, Grid, Kernel
from slowfast_ext.models.attention.base import build_kernel
from slowfast_ext.models.attention.nystrom import NystromOptions
from slowfast_ext.models.attention.orthoformer import OrthoformerOptions
from slowfast_ext.models.attention.performer import PerformerOptions
from slowfast_ext.models.attention.trajectory import TrajectoryOptions
from slowfast_ext.models.backbones import BackboneSpec
from slowfast_ext.models.backbones.vit import VisionTransformer, VitOptions
from slowfast_ext.models.weights import LoadOptions, load_weights

GOLDEN_GRID = Grid(2, 4, 4, prefix=1)


def load_case(golden_dir, name):
    """Tensors of a golden case."""
    return load_file(golden_dir / f"{name}.safetensors")


def state_of(case):
    """The published state dict of a golden case."""
    return {name[6:]: x for name, x in case.items() if name.startswith("state/")}


def assert_near(found, expected, fraction=5e-6, scale=None, name=""):
    """Equal within `fraction` of the largest expected value (or of `scale`)."""
    scale = expected.abs().max().item() if scale is None else scale
    torch.testing.assert_close(
        found, expected, rtol=0, atol=fraction * scale, msg=lambda text: f"{name}: {text}"
    )


def assert_published_module(layer, case, grid=GOLDEN_GRID):
    """Output and every gradient of a golden module; biases are measured by their weight's gradient."""
    x = case["in/x"].clone().requires_grad_()
    y = layer(x, grid)
    assert_near(y, case["out/y"])
    y.backward(case["in/grad_out"])
    assert_near(x.grad, case["grad/x"], 1e-5, name="x")
    for name, parameter in layer.named_parameters():
        weight = case[f"grad/{name.replace('bias', 'weight')}"]
        assert_near(parameter.grad, case[f"grad/{name}"], 1e-5, weight.abs().max().item(), name)


def build_kernel_on(grid, kernel, *parts, heads=3, head_dim=16):
    """A kernel in evaluation mode, for heads of a ViT on `grid`."""
    torch.manual_seed(2)
    spec = layer_spec(grid, *parts, dim=heads * head_dim, heads=heads, kernel=kernel)
    return build_kernel(spec, grid).eval()


def assert_published_frames(kernel, case, frames=2):
    """attend_frames of a golden function case, [rows, T*S, D] -> [rows, T*S, T, D], with gradients."""
    q, k, v = (case[f"in/{name}"].clone().requires_grad_() for name in "qkv")
    k_frames, v_frames = (x[:, None].unflatten(2, (frames, -1)) for x in (k, v))
    y = kernel.attend_frames(q[:, None], k_frames, v_frames, Grid(frames, 4, 4))[:, 0]
    assert_near(y, case["out/y"])
    if "in/grad_out" in case:
        y.backward(case["in/grad_out"])
        for name, x in zip("qkv", (q, k, v), strict=True):
            assert_near(x.grad, case[f"grad/{name}"], 1e-5, name=name)


def assert_kernel_is_consistent(kernel, grid, shares_keys=False):
    """attend equals its weights times the values; attend_frames equals attend on every frame.

    With `shares_keys` a kernel looks at the keys of all frames, and only finite values are asked for.
    """
    q, k, v = torch.randn(3, 2, 3, grid.tokens, 16, dtype=torch.double)
    kernel = kernel.double()
    expected = kernel.weights(q, k, grid, grid) @ v
    torch.testing.assert_close(kernel.attend(q, k, v, grid, grid), expected)
    patches = Grid(grid.t, grid.h, grid.w)
    q, k, v = (x[:, :, grid.prefix :] for x in (q, k, v))
    k_frames, v_frames = (x.unflatten(2, (grid.t, grid.space)) for x in (k, v))
    y = kernel.attend_frames(q, k_frames, v_frames, patches)
    assert y.isfinite().all()
    if not shares_keys:
        folded = Kernel.attend_frames(kernel, q, k_frames, v_frames, patches)
        torch.testing.assert_close(y, folded)


def assert_half_precision_is_finite(kernel, *parts):
    """Every pattern with this kernel, in bfloat16, forward and backward."""
    grid = Grid(3, 4, 4, prefix=1)
    for pattern in ("joint", "divided", "trajectory", "window", "factorized"):
        layer = build_layer(pattern, grid, *parts, dim=24, heads=2, kernel=kernel)
        x = (10 * torch.randn(2, grid.tokens, 24)).requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = layer(x, grid)
        y.float().square().mean().backward()
        assert y.isfinite().all(), pattern
        assert x.grad.isfinite().all(), pattern


def published_model(folder, name, reference=False):
    """Our model for the golden Motionformer `name`, without its weights."""
    case = json.loads((folder / f"{name}.json").read_text())
    theirs, size = case["cfg"]["VIT"], case["input"]["H"]
    patch = theirs["PATCH_SIZE"]
    vit = VitOptions(
        patch_size=(theirs["PATCH_SIZE_TEMP"], patch, patch),
        embed_dim=theirs["EMBED_DIM"],
        depth=theirs["DEPTH"],
        num_heads=theirs["NUM_HEADS"],
        mlp_ratio=theirs["MLP_RATIO"],
        qkv_bias=theirs["QKV_BIAS"],
        pos_embed=theirs["POS_EMBED"],
        pos_crop_size=224 if "posinterp" in name else 0,
        pre_logits=theirs["HEAD_ACT"] if theirs["USE_MLP"] else "none",
    )
    spec = BackboneSpec(case["input"]["frames"], size, _published_attention(theirs, reference))
    epic = case["cfg"]["DATASET"] == "Epickitchens"
    classes = (97, 300) if epic else case["cfg"]["NUM_CLASSES"]
    return with_head(VisionTransformer(spec, vit), classes).eval()


def _published_attention(theirs, reference):
    landmarks, kernel = theirs["APPROX_ATTN_DIM"], theirs["APPROX_ATTN_TYPE"]
    original = theirs["USE_ORIGINAL_TRAJ_ATTN_CODE"]
    parts = (
        TrajectoryOptions(values="original" if original else "projected"),
        OrthoformerOptions(landmarks=landmarks),
        NystromOptions(landmarks=landmarks),
        PerformerOptions(features=24),
    )
    return AttentionOptions(
        cycle=(theirs["ATTN_LAYER"],),
        kernel="softmax" if kernel == "none" else kernel,
        reference=reference,
        parts=parts,
    )


def published_weights(folder, name, reference=False):
    """The golden Motionformer `name` in evaluation mode, the tensors of the case, the report of its weights."""
    model, case = published_model(folder, name, reference), load_case(folder, name)
    performer = "performer" in name
    changed = ("new",) if performer else ()
    report = load_weights(model, state_of(case), LoadOptions(changed=changed))
    if performer:
        for block in model.backbone.blocks:
            block.attn.kernel.projection.copy_(case["aux/projection_matrix"])
    return model, case, report
