"""Attention modules: state, input, output and gradients of one layer, whatever its sizes."""

from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from golden.cases import Case, either
from golden.compare import Differences, first_that_fits
from golden.setups import Setup, State, grids, heads_of, renamed, setups
from slowfast_ext.models.attention.emim import EmimOptions
from slowfast_ext.models.attention.structsa import StructsaOptions

IN_DOUBLE, IN_FLOAT = (1e-6, 1e-5), (5e-6, 1e-5)
"""Outputs and gradients, relative to the largest value."""
EMIM_FLOAT = (1e-5, 1e-5)
CONTEXT = {"": "all", ".intended": "all", ".shipped": 32}
"""ATTENTION.EMIM.CONTEXT_CHANNELS of each mode of EMIM's cases: the formula, and the published kernels."""
LOOSE_FLOAT = (1e-5, 1e-4)
"""Kernels that divide by what may be near zero lose digits in single precision; double is as strict for them."""
EXACT = ("softmax", "performer")


@dataclass(frozen=True)
class Numbers:
    """State, input, expected output, gradient of the output, and the expected gradients (`x` is the input's)."""

    state: State
    x: Tensor
    y: Tensor
    grad_out: Tensor | None
    gradients: State


def check_module(case: Case) -> Differences:
    """mod_* and spec_* with parameters: `state/`, `in/x`, `in/grad_out`, `out/y`, `grad/`."""
    tensors = case.tensors
    numbers = Numbers(
        case.part("state/", "sd."),
        tensors["in/x"],
        tensors["out/y"],
        tensors.get("in/grad_out"),
        case.part("grad/"),
    )
    return _check(list(setups(case, numbers.state, numbers.x)), numbers, IN_FLOAT)


def check_emim(case: Case) -> Differences:
    """emim_attention*: `sd.`, `input`, and for each mode `output`, `grad_input`, `grad.sd.`."""
    found, state, x = Differences(), case.part("sd."), case.tensors["input"]
    heads, *window = state["rpb"].shape
    for key in sorted(key for key in case.keys if key.startswith("output")):
        mode, y = key[len("output") :], case.tensors[key]
        channels = CONTEXT[mode]
        gradients = case.part(f"grad{mode}.sd.")
        if f"grad_input{mode}" in case.tensors:
            gradients |= {"x": case.tensors[f"grad_input{mode}"]}
        numbers = Numbers(state, x, y, case.tensors.get("grad_out"), gradients)
        options = EmimOptions(tuple(window), channels)
        ways = [
            Setup(
                "emim",
                x.shape[2],
                heads,
                grid,
                (options,),
                qkv_bias="qkv.bias" in state,
                rename=renamed({"rpb": "position_bias", "motion_conv.": "motion."}),
            )
            for grid in grids(case, x.shape[1], 0)
        ]
        found += _check(ways, numbers, EMIM_FLOAT, mode, EMIM_FLOAT)
    return found


def check_structsa(case: Case) -> Differences:
    """structsa_*: `sd.`, `input`, `output`, `grad_input`."""
    state, x, tensors = case.part("sd."), case.tensors["input"], case.tensors
    gradients = (
        case.part("grad.sd.") | {"x": tensors["grad_input"]} if "grad_input" in tensors else {}
    )
    numbers = Numbers(state, x, tensors["output"], tensors.get("grad_out"), gradients)
    dim, (rows, _, *kernel) = x.shape[2], state["uk.weight"].shape
    pointwise = tuple(state["uv.weight"].shape[2:]) != tuple(kernel)
    stated = case.stated("stride")
    strides = [s[-1] if isinstance(s, list) else s for s in either(stated, (1, 2, 3, 4))]
    ways = []
    for structures, stride in product(
        either(case.stated("D"), {max(rows // dim, 1), rows}), strides
    ):
        options = StructsaOptions(
            structures,
            tuple(kernel),
            stride,
            "element" if pointwise else "context",
            rows == structures,
        )
        names = renamed({"uk.": "keys.", "uv.": "values."})
        for heads, grid in product(heads_of(case, dim), grids(case, x.shape[1], 0)):
            ways.append(
                Setup("struct", dim, heads, grid, (options,), "softmax", "qkv.bias" in state, names)
            )
    return _check(ways, numbers, (1e-5, 1e-5), "", (1e-5, 1e-5))


def _check(
    ways: list[Setup],
    numbers: Numbers,
    in_float: tuple[float, float],
    what: str = "",
    in_double: tuple[float, float] = IN_DOUBLE,
) -> Differences:
    """The first setup whose numbers fit; then also its reference form, and single precision."""

    def attempt(setup: Setup) -> Differences:
        found = Differences()
        _run(found, setup, numbers, torch.float64, in_double, f"{what} float64")
        if not found.wrong:
            _run(
                found, setup, numbers, torch.float64, in_double, f"{what} reference", reference=True
            )
            allowed = in_float if setup.kernel in EXACT else LOOSE_FLOAT
            _run(found, setup, numbers, torch.float32, allowed, f"{what} float32")
        return found

    return first_that_fits((str(setup), lambda setup=setup: attempt(setup)) for setup in ways)


def _run(
    found: Differences,
    setup: Setup,
    numbers: Numbers,
    dtype: torch.dtype,
    allowed: tuple[float, float],
    what: str,
    reference: bool = False,
) -> None:
    layer = setup.build(reference).to(dtype)
    layer.load_state_dict(setup.rename(numbers.state))
    x = setup.arrange(numbers.x.detach().to(dtype)).clone().requires_grad_()
    y = layer(x, setup.grid)
    found.compare(f"{what} output", y, setup.arrange(numbers.y), allowed[0])
    if numbers.grad_out is None or not numbers.gradients:
        return
    y.backward(setup.arrange(numbers.grad_out.to(dtype)))
    theirs = setup.rename(numbers.gradients)
    if "x" in theirs:
        found.compare(
            f"{what} gradient of the input", x.grad, setup.arrange(theirs.pop("x")), allowed[1]
        )
    if theirs:
        ours = {name: p.grad for name, p in layer.named_parameters()}
        found.gradients(what, ours, theirs, allowed[1])
