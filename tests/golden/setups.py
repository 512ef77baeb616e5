"""Attention modules: state, input, output and gradients of one layer, whatever its sizes.

What a description leaves open (heads, frames, rows and columns, landmarks) follows from the shapes, or is tried:
only the right value gives the numbers.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import product
from math import isqrt

import torch
from torch import Tensor, nn

from golden.cases import Case, divisors, either, sides
from slowfast_ext.models.attention import AttentionOptions, AttentionSpec, Grid, build_attention
from slowfast_ext.models.attention.fixation import FixationOptions
from slowfast_ext.models.attention.grouped import Grouped
from slowfast_ext.models.attention.lara import LaraOptions
from slowfast_ext.models.attention.linear import LinearOptions
from slowfast_ext.models.attention.linformer import LinformerOptions
from slowfast_ext.models.attention.neighbour import NeighbourOptions
from slowfast_ext.models.attention.performer import PerformerOptions
from slowfast_ext.models.attention.space import Time
from slowfast_ext.models.attention.trajectory import TrajectoryOptions
from slowfast_ext.models.attention.xvit_mixing import MixingOptions
from slowfast_ext.options import Options

State = dict[str, Tensor]
LAYERS: dict[str, Callable[[AttentionSpec], nn.Module]] = {
    "time": Time,
    "divided time": lambda spec: Grouped(spec, over_time=True),
    "divided space": lambda spec: Grouped(spec, over_time=False),
}
"""Layers that are parts of a block and have no name of their own in ATTENTION."""


@dataclass(frozen=True)
class Setup:
    """One way to build a module: pattern, kernel, options, heads, the layout of its tokens."""

    pattern: str
    dim: int
    heads: int
    grid: Grid
    parts: tuple[Options, ...] = ()
    kernel: str = "softmax"
    qkv_bias: bool = True
    rename: Callable[[State], State] = dict
    arrange: Callable[[Tensor], Tensor] = field(default=lambda x: x)

    def build(self, reference: bool) -> nn.Module:
        """The layer, as released or in its reference form."""
        options = AttentionOptions(kernel=self.kernel, reference=reference, parts=self.parts)
        spec = AttentionSpec(self.dim, self.heads, self.grid, self.qkv_bias, options)
        layer = (
            LAYERS[self.pattern](spec)
            if self.pattern in LAYERS
            else build_attention(self.pattern, spec)
        )
        return layer.eval()


def setups(case: Case, state: State, x: Tensor) -> Iterator[Setup]:
    """What the module may be: by its parameters, where these are not its own by its name."""
    known = {
        "proj_kv.weight": _trajectory,
        "q_bar_gen.0.weight": _lara,
        "q_bar_gen.2.weight": _lara,
        "eval_proj": _performer,
        "q_proj.weight": _official_cosformer,
        "phi.weight": _fixation,
        "phi.0.weight": _fixation,
        "E": _linformer,
    }
    family = next((make for key, make in known.items() if key in state), None)
    named = {
        "lara": _lara,
        "cosformer": _cosformer,
        "divided": _divided,
        "xvit": _mixing,
        "mixing": _mixing,
        "relu": _linear,
        "elu": _linear,
        "softmax": _softmax,
        "joint": _softmax,
    }
    family = family or next((named[word] for word in case.words() if word in named), None)
    if family is None:
        raise AssertionError(f"{case}: no module is known with the parameters {', '.join(state)}")
    for setup in family(case, state, x):
        yield replace(setup, qkv_bias="qkv.bias" in state or "q_proj.bias" in state)


def heads_of(case: Case, dim: int, head_dim: int | None = None) -> list[int]:
    """Heads: from the width of one, as stated, or any that share the width."""
    if head_dim:
        return [dim // head_dim]
    return either(case.stated("heads", "num_heads", "NUM_HEADS", "h"), divisors(dim))


def grids(case: Case, tokens: int, prefix: int, needs_space: bool = True) -> list[Grid]:
    """Layouts of so many tokens, the prefix among them. Sides that do not matter are any."""
    patches = tokens - prefix
    thw = case.stated("thw", "grid")
    if isinstance(thw, list) and len(thw) == 3:
        return [Grid(*thw, prefix)]
    found = []
    for t in either(_frames(case), divisors(patches)):
        if patches % t == 0:
            found += [
                Grid(t, h, w, prefix) for h, w in frame_sides(case, patches // t, needs_space)
            ]
    return found


def frame_sides(case: Case, space: int, needed: bool = True) -> list[tuple[int, int]]:
    """(rows, columns) of so many tokens of a frame: as stated, in tokens or pixels, or any."""
    if not needed:
        return [(1, space)]
    stated = re.search(r"grid (\d+)\s*x\s*(\d+)", case.note)
    height, width = case.stated("H", "height"), case.stated("W", "width")
    patch = case.stated("patch", "PATCH_SIZE") or 1
    sizes = [tuple(map(int, stated.groups()))] if stated else []
    if height and width:
        ph, pw = sides(patch)
        sizes += [(height, width), (height // ph, width // pw)]
    fitting = [(h, w) for h, w in sizes if h * w == space]
    return fitting[:1] or [(d, space // d) for d in divisors(space)]


def _frames(case: Case) -> int | None:
    frames = case.stated("T", "num_frames")
    if frames is None and case.stated("frames"):
        return case.stated("frames") // (case.stated("tub", "PATCH_SIZE_TEMP") or 1)
    return frames


def _trajectory(case: Case, state: State, x: Tensor) -> Iterator[Setup]:
    projected = case.stated("use_original", "USE_ORIGINAL_TRAJ_ATTN_CODE")
    values = [("projected", "original")[bool(flag)] for flag in either(projected, (False, True))]
    dim = x.shape[2]
    for kind, heads, grid in product(
        values, heads_of(case, dim), grids(case, x.shape[1], 1, needs_space=False)
    ):
        yield Setup(
            "trajectory",
            dim,
            heads,
            grid,
            (TrajectoryOptions(values=kind),),
            rename=_keys_and_values(kind),
        )


def _keys_and_values(kind: str) -> Callable[[State], State]:
    """Published projections of trajectories: their key bias has no effect, nor have values where they are not projected."""

    def rename(state: State) -> State:
        ours = {k: x for k, x in state.items() if not k.startswith("proj_kv.")}
        if "proj_kv.weight" in state:
            ours["proj_k.weight"], values = state["proj_kv.weight"].chunk(2)
            if kind == "projected":
                ours["proj_v.weight"] = values
                if "proj_kv.bias" in state:
                    ours["proj_v.bias"] = state["proj_kv.bias"].chunk(2)[1]
        return ours

    return rename


def _divided(case: Case, state: State, x: Tensor) -> Iterator[Setup]:
    axes = [axis for axis in ("time", "space") if axis in re.findall("[a-z]+", case.name)]
    dim = x.shape[2]
    for axis, heads, grid in product(
        axes or ("time", "space"),
        heads_of(case, dim),
        grids(case, x.shape[1], 1, needs_space=False),
    ):
        yield Setup(f"divided {axis}", dim, heads, grid)


def _softmax(case: Case, state: State, x: Tensor) -> Iterator[Setup]:
    yield from _patterns(case, x, "joint")


def _mixing(case: Case, state: State, x: Tensor) -> Iterator[Setup]:
    dim, (frames, tokens) = x.shape[-1], (x.shape[0], x.shape[1])
    h, w = frame_sides(case, tokens - 1, needed=False)[0]
    for t in either(_frames(case), divisors(frames)):
        for heads, div in product(
            heads_of(case, dim), either(case.stated("SHIFT_DIV", "div"), range(2, 17))
        ):
            grid = Grid(t, h, w, prefix=t, framewise=True)
            yield Setup(
                "mixing",
                dim,
                heads,
                grid,
                (MixingOptions(shift_div=div),),
                arrange=lambda x, t=t: framewise(x.unflatten(0, (-1, t))),
            )


def _patterns(
    case: Case, x: Tensor, otherwise: str, head_dim: int | None = None, needs_space: bool = False
) -> Iterator[Setup]:
    """[B, N, C]: joint. [B, T, 1 + S, C]: over space or over time, with a class token a frame."""
    dim = x.shape[-1]
    if x.ndim == 3:
        for heads in heads_of(case, dim, head_dim):
            yield Setup(otherwise, dim, heads, Grid(1, 1, x.shape[1]))
        return
    named = [word for word in re.findall("[a-z]+", case.name) if word in ("space", "time")]
    frames, tokens = x.shape[1:3]
    spaces = frame_sides(case, tokens - 1, needs_space)
    for pattern, heads, (h, w) in product(
        named[:1] or ("space", "time"), heads_of(case, dim, head_dim), spaces
    ):
        grid = Grid(frames, h, w, prefix=frames, framewise=True)
        yield Setup(pattern, dim, heads, grid, arrange=framewise)


def framewise(x_BTFC: Tensor) -> Tensor:
    """Frames with their class token first -> class tokens first, then time-major."""
    return torch.cat([x_BTFC[:, :, 0], x_BTFC[:, :, 1:].flatten(1, 2)], dim=1)


BASELINES = (LinearOptions(), LinearOptions(offset=0.1, clamp=0.01))
"""The plain normaliser, and that of LARA's baselines."""


def _linear(case: Case, state: State, x: Tensor) -> Iterator[Setup]:
    kernel = next(word for word in case.words() if word in ("relu", "elu"))
    for setup, options in product(_patterns(case, x, "joint"), _baselines(case)):
        yield replace(setup, kernel=kernel, parts=(options,))


def _cosformer(case: Case, state: State, x: Tensor) -> Iterator[Setup]:
    for setup, options in product(_patterns(case, x, "joint"), _baselines(case)):
        yield replace(setup, kernel="cosformer", parts=(options,))


def _baselines(case: Case) -> tuple[LinearOptions, ...]:
    return BASELINES[::-1] if case.says(r"\bhk\b|_hk_|\+\s*0\.1|1e-2") else BASELINES


def _official_cosformer(case: Case, state: State, x: Tensor) -> Iterator[Setup]:
    def rename(state: State) -> State:
        ours = {
            k.replace("out_proj.", "proj."): x
            for k, x in state.items()
            if k[0] not in "qkv" or k == "x"
        }
        for part in ("weight", "bias"):
            if f"q_proj.{part}" in state:
                ours[f"qkv.{part}"] = torch.cat([state[f"{p}_proj.{part}"] for p in "qkv"])
        return ours

    for setup in _cosformer(case, state, x):
        yield replace(setup, rename=rename)


def _performer(case: Case, state: State, x: Tensor) -> Iterator[Setup]:
    _, features, head_dim = state["eval_proj"].shape
    options = PerformerOptions(features, "per_head")
    for setup in _patterns(case, x, "joint", head_dim):
        yield replace(
            setup,
            kernel="performer",
            parts=(options,),
            rename=renamed({"eval_proj": "kernel.projection"}),
        )


def _linformer(case: Case, state: State, x: Tensor) -> Iterator[Setup]:
    names = renamed({"E": "kernel.key_mix", "Fp": "kernel.value_mix"})
    for setup in _patterns(case, x, "joint"):
        yield replace(
            setup, kernel="linformer", parts=(LinformerOptions(len(state["E"])),), rename=names
        )


def _fixation(case: Case, state: State, x: Tensor) -> Iterator[Setup]:
    layers = 1 if "phi.weight" in state else 2
    head_dim = len(state["phi.weight" if layers == 1 else "phi.2.weight"])
    fixation = FixationOptions(mode="cooperative", layers=layers)
    shifts = [word != "noshift" for word in case.words() if word in ("shift", "noshift")][:1] or (
        True,
        False,
    )
    stated = re.findall(r"D/(\d+)", case.note)
    divs = (
        case.stated("div_t") or int(stated[0] if stated else 8),
        case.stated("div_s") or int(stated[-1] if len(stated) > 1 else 16),
    )
    for on in shifts:
        shift = NeighbourOptions(on, on, 1 / divs[0], 1 / divs[1])
        for setup in _patterns(case, x, "joint", head_dim, needs_space=on):
            yield replace(
                setup,
                kernel="relu",
                parts=(fixation, shift),
                rename=renamed({"phi.": "fixation.phi."}),
            )


def _lara(case: Case, state: State, x: Tensor) -> Iterator[Setup]:
    planar, dim = x.ndim == 4, x.shape[-1]
    first = min((k.split(".")[1] for k in state if k.startswith("q_bar_gen")), default=None)
    names = (
        {f"{p}_bar_gen.{int(first) + i}.": f"kernel.{p}_project.{i}." for p in "qk" for i in (0, 1)}
        if first
        else {}
    )
    head_dim = len(state[f"q_bar_gen.{first}.weight"]) if first else None
    mixed = [True, False] if case.says("mixed") else [False, True]
    options = product(
        _landmarks(case, x),
        _estimators(case),
        mixed,
        either(case.stated("alpha_coeff", "alpha"), (1.0, 2.0)),
    )
    grid = Grid(1, *x.shape[1:3]) if planar else Grid(1, 1, x.shape[1])
    pool = "2d" if planar else "1d"
    for (count, estimator, mix, alpha), heads in product(options, heads_of(case, dim, head_dim)):
        kind = LaraOptions(count, pool, bool(first), mix, estimator, float(alpha))
        arrange = (lambda x: x.flatten(1, 2) if x.ndim == 4 else x) if planar else (lambda x: x)
        yield Setup(
            "joint", dim, heads, grid, (kind,), "lara", rename=renamed(names), arrange=arrange
        )


def _landmarks(case: Case, x: Tensor) -> list[int]:
    square = re.search(r"to (\d+)\^2", case.note)
    if square:
        return [int(square[1]) ** 2]
    said = re.search(r"(\d+) (segment|landmark)", case.note)
    if said:
        return [int(said[1])]
    possible = (
        [side**2 for side in range(2, isqrt(x.shape[1] * x.shape[2]) + 1)]
        if x.ndim == 4
        else range(2, x.shape[1] + 1)
    )
    return either(case.stated("landmarks", "num_landmarks", "R"), possible)


def _estimators(case: Case) -> list[str]:
    kinds = ["mis-opt", "mis-bh", "mis-biased"]
    return [kind for kind in kinds if case.says(kind.replace("-", "[-_ ]") + r"\b")] or kinds


def renamed(names: dict[str, str]) -> Callable[[State], State]:
    def rename(state: State) -> State:
        return {_our_name(key, names): x for key, x in state.items()}

    return rename


def _our_name(key: str, names: dict[str, str]) -> str:
    for theirs, ours in names.items():
        if key == theirs or (theirs.endswith(".") and key.startswith(theirs)):
            return ours + key[len(theirs) :]
    return key
