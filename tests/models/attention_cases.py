"""Golden cases of attention layers, and small layers to try: shared by the tests of kernels and patterns."""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from slowfast_ext.models.attention import AttentionOptions, AttentionSpec, Grid, build_attention
from slowfast_ext.models.blocks import BLOCKS, BlockSpec, build_block

# Grids of a plain sequence of frames, of one class token, of a class token a frame; none with even sides.
GRIDS = {
    "bare": Grid(3, 3, 5),
    "cls": Grid(3, 3, 5, prefix=1),
    "framewise": Grid(3, 3, 5, prefix=3, framewise=True),
}


def layer_spec(grid: Grid, *parts, dim: int = 48, heads: int = 3, **options) -> AttentionSpec:
    """What a layer on `grid` is told; `parts` are option objects, `options` those of AttentionOptions."""
    return AttentionSpec(dim, heads, grid, attention=AttentionOptions(parts=parts, **options))


def build_layer(name: str, grid: Grid, *parts, **options) -> nn.Module:
    """A layer on the grid it is built for; where `name` is a block's, the block, with an MLP as wide as itself."""
    spec = layer_spec(grid, *parts, **options)
    if name in BLOCKS:
        return build_block(name, BlockSpec(spec, mlp_ratio=1.0))
    return build_attention(name, spec)


def mlp_macs(name: str, grid: Grid, dim: int = 48) -> int:
    """Multiply-adds of the MLP of what `build_layer` builds."""
    return 2 * grid.tokens * dim**2 if name in BLOCKS else 0


def to_sequence(x_BTFC: Tensor) -> Tensor:
    """Frames with their class token first -> class tokens first, then time-major."""
    return torch.cat([x_BTFC[:, :, 0], x_BTFC[:, :, 1:].flatten(1, 2)], dim=1)


def load_golden(folder: Path, name: str) -> dict[str, dict[str, Tensor]]:
    """Tensors by kind (state, in, out, grad), in double precision."""
    groups: dict[str, dict[str, Tensor]] = {}
    for key, tensor in load_file(folder / f"{name}.safetensors").items():
        kind, rest = key.split("/", 1)
        groups.setdefault(kind, {})[rest] = tensor.double()
    return groups


def check_golden(layer: nn.Module, golden, grid: Grid, names: dict[str, str], arrange) -> None:
    """Output and all gradients of `layer` are the golden ones; `names` maps their prefixes to ours."""
    layer = layer.double().eval()
    layer.load_state_dict({rename(k, names): v for k, v in golden["state"].items()})
    x = arrange(golden["in"]["x"]).requires_grad_()
    y = layer(x, grid)
    torch.testing.assert_close(y, arrange(golden["out"]["y"]), rtol=0, atol=1e-6)
    y.backward(arrange(golden["in"]["grad_out"]))
    ours = {"x": x.grad, **{k: p.grad for k, p in layer.named_parameters()}}
    theirs = {rename(k, names): v for k, v in golden["grad"].items()}
    theirs["x"] = arrange(theirs["x"])
    assert ours.keys() == theirs.keys()
    for key, value in theirs.items():
        torch.testing.assert_close(ours[key], value, rtol=0, atol=1e-5 * value.abs().max().item())


def rename(key: str, names: dict[str, str]) -> str:
    for old, new in names.items():
        if key.startswith(old):
            return new + key[len(old) :]
    return key
