"""What the tests of the vision transformers share: tiny configs, golden modules, tolerances."""

import torch
from safetensors.torch import load_file

from slowfast_ext.config import get_cfg
from slowfast_ext.models.attention import Grid

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
