"""Kernels and shifts on their own: fn_*, and the spec_* without parameters."""

import re
from collections.abc import Callable, Iterator
from itertools import product

import torch
from torch import Tensor

from golden.cases import Case, divisors, either
from golden.compare import Differences, first_that_fits
from golden.setups import frame_sides, framewise
from slowfast_ext.models.attention import KERNELS, Grid, Kernel
from slowfast_ext.models.attention.landmarks import orthogonal_tokens
from slowfast_ext.models.attention.nystrom import NystromOptions, iterative_inverse
from slowfast_ext.models.attention.orthoformer import OrthoformerOptions
from slowfast_ext.models.attention.performer import PerformerOptions
from slowfast_ext.models.attention.shift import spatial_shift, temporal_shift
from slowfast_ext.options import Options

OUTPUT, GRADIENT = 5e-6, 1e-5
DOUBLE = 1e-6


def check_inverse(case: Case) -> Differences:
    """fn_iterative_inverse: `in/A`, `out/n<steps>`."""
    found = Differences()
    for key, expected in case.part("out/").items():
        steps = int(re.sub(r"\D", "", key))
        found.compare(key, iterative_inverse(case.tensors["in/A"], steps), expected, 1e-5)
    return found


def check_nystrom(case: Case) -> Differences:
    """fn_nystrom_*: queries, keys and values of frames -> trajectory tokens, with gradients."""
    (tokens, _, _), _ = _shape(case)
    steps = re.search(r"(\d+) inverse", case.note)
    counts = either(
        case.stated("R", "landmarks", "num_landmarks") or _number(case, r"_R(\d+)"),
        range(1, tokens + 1),
    )

    def attempt(count: int) -> Differences:
        return _check_frames(case, "nystrom", NystromOptions(count, int(steps[1]) if steps else 6))

    return first_that_fits((f"{n} landmarks", lambda n=n: attempt(n)) for n in counts)


def check_performer(case: Case) -> Differences:
    """fn_performer_*: also the features of queries and keys, with given projections."""
    projection = case.tensors["in/W"]
    options = PerformerOptions(len(projection))

    def prepare(kernel: Kernel) -> None:
        kernel.projection = projection.to(kernel.projection.dtype).unflatten(0, (1, -1))

    found = _check_frames(case, "performer", options, prepare)
    q, k, _ = _rows(case, torch.float32)
    kernel = KERNELS.get("performer")(1, q.shape[-1], Grid(1, 1, q.shape[2]), 0.0, options).eval()
    prepare(kernel)
    for name, features in zip("qk", kernel.features(q, k), strict=True):
        if f"out/{name}_features" in case.tensors:
            expected = case.tensors[f"out/{name}_features"]
            found.compare(f"features of {name}", features[:, 0], expected.flatten(0, -3), OUTPUT)
    return found


def check_orthoformer(case: Case) -> Differences:
    """fn_orthoformer_*: from given first landmarks; one set a row, or one a query frame."""
    start, chosen = case.tensors["in/start_idx"], case.tensors.get("out/landmark_idx_sorted")
    (tokens, _, _), rows = _shape(case)
    shared = start.numel() == rows
    stated = (
        chosen.shape[-1] if chosen is not None else case.stated("R", "landmarks", "num_landmarks")
    )
    counts = either(stated, range(1, tokens + 1))

    def prepare(kernel: Kernel) -> None:
        kernel.start = lambda q: start.reshape(-1, 1)

    def attempt(count: int) -> Differences:
        options = OrthoformerOptions(count, share_time=shared)
        if not shared:
            return _check_own_frames(case, options, prepare)
        found = _check_frames(case, "orthoformer", options, prepare)
        if chosen is not None:
            index = orthogonal_tokens(_rows(case, torch.float32)[0], count, start.reshape(-1, 1))[
                :, 0
            ]
            found.equal("landmarks", index.sort(-1).values.tolist(), chosen.tolist())
        return found

    return first_that_fits((f"{n} landmarks", lambda n=n: attempt(n)) for n in counts)


def _check_own_frames(
    case: Case, options: Options, prepare: Callable[[Kernel], None]
) -> Differences:
    """Landmarks of each query frame: ours for the query's own frame. To other frames the published code goes from
    the query to the landmarks of the key frame, and on from those of the query frame, as if they were the same ones:
    written out here with its gradients, not repeated in the kernel."""
    found, (tokens, frames, dim), rows = Differences(), *_shape(case)
    published = case.tensors["out/y"].reshape(rows, frames, -1, frames, dim)
    kernel = KERNELS.get("orthoformer")(1, dim, Grid(1, 1, tokens // frames), 0.0, options).eval()
    prepare(kernel)
    q, k, v = _rows(case, torch.float32)
    grid = Grid(frames, 1, tokens // frames)
    y = kernel.attend_frames(q, *(x.unflatten(2, (frames, -1)) for x in (k, v)), grid)
    y = y.reshape(published.shape)
    for frame in range(frames):
        own = published[:, frame, :, frame]
        found.compare(f"frame {frame}", y[:, frame, :, frame], own, OUTPUT)
    leaves = [x.double().requires_grad_() for x in _rows(case, torch.float32)]
    y = _as_released(*leaves, case.tensors["out/landmark_idx_sorted"].view(rows, frames, -1))
    found.compare("as released", y, published, OUTPUT)
    if "in/grad_out" not in case.tensors:
        return found
    y.backward(case.tensors["in/grad_out"].reshape(published.shape).double())
    for part, x in zip("qkv", leaves, strict=True):
        expected = case.tensors[f"grad/{part}"].flatten(0, -3)
        found.compare(f"as released, gradient of {part}", x.grad[:, 0], expected, GRADIENT)
    return found


def _as_released(q: Tensor, k: Tensor, v: Tensor, index_ETR: Tensor) -> Tensor:
    """[E, T, S, T, D] of rows [E, 1, T*S, D] and the landmarks of every query frame."""
    q, k, v = (
        x[:, 0].unflatten(1, (index_ETR.shape[1], -1)) * q.shape[-1] ** -power
        for x, power in ((q, 0.25), (k, 0.25), (v, 0))
    )
    landmarks_ETRD = q.detach().take_along_dim(index_ETR[..., None], dim=2)
    to_landmarks = torch.einsum("etsd,eurd->etsur", q, landmarks_ETRD).softmax(-1)
    to_keys = torch.einsum("etrd,eund->etrun", landmarks_ETRD, k).softmax(-1)
    return torch.einsum("etsur,etrun,eund->etsud", to_landmarks, to_keys, v)


def _check_frames(
    case: Case,
    kernel: str,
    options: Options,
    prepare: Callable[[Kernel], None] = lambda kernel: None,
) -> Differences:
    """`in/q`, `in/k`, `in/v` [rows, T*S, D], frame after frame -> `out/y` [rows, T*S, T, D]."""
    found, ((tokens, frames, dim), _) = Differences(), _shape(case)
    grid = Grid(frames, 1, tokens // frames)
    for dtype, allowed, name in (
        (torch.float64, DOUBLE, "float64"),
        (torch.float32, OUTPUT, "float32"),
    ):
        layer = KERNELS.get(kernel)(1, dim, grid.frame(), 0.0, options).to(dtype).eval()
        prepare(layer)
        q, k, v = (x.requires_grad_() for x in _rows(case, dtype))
        k_frames, v_frames = (x.unflatten(2, (frames, -1)) for x in (k, v))
        y = layer.attend_frames(q, k_frames, v_frames, grid)
        found.compare(f"{name} output", y[:, 0], case.tensors["out/y"].flatten(0, -4), allowed)
        if "in/grad_out" in case.tensors:
            y.backward(case.tensors["in/grad_out"].flatten(0, -4)[:, None].to(dtype))
            for part, x in zip("qkv", (q, k, v), strict=True):
                if f"grad/{part}" in case.tensors:
                    found.compare(
                        f"{name} gradient of {part}",
                        x.grad[:, 0],
                        case.tensors[f"grad/{part}"].flatten(0, -3),
                        GRADIENT,
                    )
    return found


def check_shift(case: Case) -> Differences:
    """Shifts of channel groups, exactly: XViT's [B*T, heads, tokens, D], ours [B, T, 1 + S, C] in time or space."""
    x, y = case.tensors["in/x"], case.tensors["out/y"]

    def attempt(
        shift: Callable[[Tensor], Tensor], arrange: Callable[[Tensor], Tensor]
    ) -> Differences:
        found = Differences()
        found.compare("output", shift(arrange(x)), arrange(y), 0)
        return found

    return first_that_fits(
        (label, lambda s=s, a=a: attempt(s, a)) for label, s, a in _shifts(case, x)
    )


Shift = tuple[str, Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]


def _shifts(case: Case, x: Tensor) -> Iterator[Shift]:
    divs = either(
        case.stated("SHIFT_DIV", "shift_div", "div") or _number(case, r"_div(\d+)"), range(2, 33)
    )
    if "spatial" in case.words() or "space" in case.words():
        yield from _spatial(case, x, divs)
        return
    if "xvit" not in case.words() and x.ndim == 4:
        for div in divs:
            grid = Grid(x.shape[1], 1, x.shape[2] - 1, prefix=x.shape[1], framewise=True)
            yield (
                f"div {div}",
                lambda z, d=div, g=grid: temporal_shift(z, g, z.shape[-1] // d),
                framewise,
            )
    frames = case.stated("T", "NUM_SEGMENTS", "num_segments", "frames")
    for t, div in product(either(frames, divisors(len(x))), divs):
        grid = Grid(t, x.shape[-2], 1)

        def arrange(z: Tensor, t: int = t) -> Tensor:
            channels = z.transpose(1, 2).flatten(2) if z.ndim == 4 else z
            return channels.unflatten(0, (-1, t)).flatten(1, 2)

        yield (
            f"T {t}, div {div}",
            lambda z, d=div, g=grid: temporal_shift(z, g, z.shape[-1] // d),
            arrange,
        )


def _spatial(case: Case, x: Tensor, divs: list[int]) -> Iterator[Shift]:
    C, frames, tokens = x.shape[-1], x.shape[1], x.shape[2]
    starts = either(case.stated("offset", "start"), dict.fromkeys((2 * (C // 8), 0)))
    for start, div, (h, w) in product(starts, divs, frame_sides(case, tokens - 1)):
        grid = Grid(frames, h, w, prefix=frames, framewise=True)
        yield (
            f"from {start}, div {div}, {h}x{w}",
            lambda z, s=start, d=div, g=grid: spatial_shift(z, g, C // d, s),
            framewise,
        )


def _shape(case: Case) -> tuple[tuple[int, int, int], int]:
    """(tokens, frames, width) and the number of rows, from the output [rows, T*S, T, D]."""
    y = case.tensors["out/y"]
    return (y.shape[-3], y.shape[-2], y.shape[-1]), y.flatten(0, -4).shape[0]


def _rows(case: Case, dtype: torch.dtype) -> list[Tensor]:
    return [case.tensors[f"in/{name}"].to(dtype).flatten(0, -3)[:, None].clone() for name in "qkv"]


def _number(case: Case, pattern: str) -> int | None:
    found = re.search(pattern, case.name)
    return int(found[1]) if found else None
