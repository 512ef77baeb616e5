"""Golden cases of attention layers, and small layers to try: shared by the tests of kernels and patterns."""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from slowfast_ext.config.schema import get_cfg, set_dotted
from slowfast_ext.models.attention import Grid, LayerSpec, build_attention

# Grids of a plain sequence of frames, of one class token, of a class token a frame; none with even sides.
GRIDS = {
    "bare": Grid(3, 3, 5),
    "cls": Grid(3, 3, 5, prefix=1),
    "framewise": Grid(3, 3, 5, prefix=3, framewise=True),
}


def attention_cfg(**keys):
    """The ATTENTION node with `keys`, dots written as double underscores."""
    cfg = get_cfg().ATTENTION
    for name, value in keys.items():
        set_dotted(cfg, name.replace("__", "."), value)
    return cfg


def build_layer(pattern: str, grid: Grid, dim: int = 48, heads: int = 3, **keys) -> nn.Module:
    """A layer on the grid it is built for."""
    return build_attention(pattern, LayerSpec(dim, heads, grid), attention_cfg(**keys))


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
