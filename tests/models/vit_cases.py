"""What the tests of the vision transformers share: tiny configs, golden modules, tolerances."""

import torch
from safetensors.torch import load_file

from slowfast_ext.config import get_cfg
from slowfast_ext.models.attention import Grid, Kernel, LayerSpec, build_attention
from slowfast_ext.models.attention.base import build_kernel

GOLDEN_GRID = Grid(2, 4, 4, prefix=1)


def tiny_cfg(**options):
    """A two-block ViT of width 24 on 4 frames of 32 px; options are 'SECTION.KEY' with __ for the dot."""
    cfg = get_cfg()
    cfg.DATA.NUM_FRAMES, cfg.DATA.TRAIN_CROP_SIZE, cfg.DATA.TEST_CROP_SIZE = 4, 32, 32
    cfg.VIT.PATCH_SIZE, cfg.VIT.EMBED_DIM, cfg.VIT.DEPTH, cfg.VIT.NUM_HEADS = [2, 8, 8], 24, 2, 3
    cfg.MODEL.NUM_CLASSES = 5
    cfg.merge_from_list([x for name, v in options.items() for x in (name.replace("__", "."), v)])
    return cfg


def attention_cfg(**options):
    """The ATTENTION node with some keys set; __ for the dot."""
    return tiny_cfg(**{f"ATTENTION__{name}": value for name, value in options.items()}).ATTENTION


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


def build_kernel_on(grid, heads=3, head_dim=16, **options):
    """The kernel that KERNEL names, in evaluation mode, for heads of a ViT on `grid`."""
    torch.manual_seed(2)
    spec = LayerSpec(heads * head_dim, heads, grid)
    return build_kernel(spec, attention_cfg(**options), grid).eval()


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


def assert_half_precision_is_finite(**options):
    """Every pattern with this kernel, in bfloat16, forward and backward."""
    grid = Grid(3, 4, 4, prefix=1)
    for pattern in ("joint", "divided", "trajectory", "window", "factorized"):
        layer = build_attention(pattern, LayerSpec(24, 2, grid), attention_cfg(**options))
        x = (10 * torch.randn(2, grid.tokens, 24)).requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = layer(x, grid)
        y.float().square().mean().backward()
        assert y.isfinite().all(), pattern
        assert x.grad.isfinite().all(), pattern
