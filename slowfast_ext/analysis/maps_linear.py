"""How far a linear attention concentrates: its implied matrix beside softmax's of the same q and k.

Feature fixation, Fig. 2 and Sec. 3: linear attention spreads where softmax concentrates, fixation brings it back.
Shapes: N tokens, R queries that see the same M keys, h heads.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from slowfast_ext.analysis.maps import with_parts
from slowfast_ext.models.attention import Grid
from slowfast_ext.models.attention.base import KernelAttention
from slowfast_ext.models.attention.softmax import Softmax

Reader = Callable[[KernelAttention], Tensor]


class Uniform(Softmax):
    """Softmax with all scores zero: a key has weight where the pattern lets the query see it."""

    def attend(
        self,
        q_BhND: Tensor,
        k_BhMD: Tensor,
        v_BhMD: Tensor,
        q_grid: Grid,
        k_grid: Grid,
        valid_BM: Tensor | None = None,
    ) -> Tensor:
        """The mean of the values that a query may see."""
        return super().attend(q_BhND * 0, k_BhMD * 0, v_BhMD, q_grid, k_grid, valid_BM)


@dataclass(frozen=True)
class Concentration:
    """An implied matrix [h, R, M] and its mean entropy in bits; None where weights of both signs have none."""

    title: str
    matrix_hRM: Tensor
    entropy: float | None


def concentrations(
    layer: KernelAttention, grid: Grid, token: int, read: Reader
) -> list[Concentration]:
    """Matrices of a layer (before and after its fixation) and of softmax, for the same q and k.

    `read` gives the weights [h, N, N] of a layer. The rows are the queries that see the keys of `token`.
    """
    rows_R, keys_M = visible(layer, grid, token, read)
    kind = type(layer.kernel).__name__.removeprefix("Explicit").lower()
    plain = with_parts(layer, fixation=None)
    compared = {kind: plain}
    if layer.fixation is not None:
        compared[f"{kind} with fixation"] = layer
    compared["softmax"] = with_parts(plain, kernel=_exact(layer, grid, Softmax))
    found = []
    for title, one in compared.items():
        matrix_hRM = read(one)[:, rows_R][:, :, keys_M]
        found.append(Concentration(title, matrix_hRM, entropy(matrix_hRM)))
    return found


def visible(layer: KernelAttention, grid: Grid, token: int, read: Reader) -> tuple[Tensor, Tensor]:
    """Patch queries that see the same keys as `token` [R], and these keys [M], prefix left out."""
    uniform = with_parts(layer, fixation=None, kernel=_exact(layer, grid, Uniform))
    sees_NN = read(uniform)[0] > 0
    same_N = (sees_NN == sees_NN[token]).all(-1)
    rows_R, keys_M = same_N.nonzero().flatten(), sees_NN[token].nonzero().flatten()
    return rows_R[rows_R >= grid.prefix], keys_M[keys_M >= grid.prefix]


def entropy(matrix_hRM: Tensor) -> float | None:
    """Mean entropy of the rows, each normalised to one, in bits: 0 one key, log2 M all alike."""
    if matrix_hRM.min() < -1e-6:
        return None
    weights = matrix_hRM.double().clamp(min=0)
    weights = weights / weights.sum(-1, keepdim=True).clamp(min=1e-12)
    return (
        (-torch.special.xlogy(weights, weights).sum(-1) / torch.log(torch.tensor(2.0)))
        .mean()
        .item()
    )


def _exact(layer: KernelAttention, grid: Grid, kind: type[Softmax]) -> Softmax:
    head_dim = layer.qkv.in_features // layer.num_heads
    return kind(layer.num_heads, head_dim, grid).eval()
