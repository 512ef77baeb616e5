"""How far a linear attention concentrates: its implied matrix beside softmax's of the same q and k.

Feature fixation, Fig. 2 and Sec. 3: linear attention spreads where softmax concentrates, fixation brings it back.
Shapes: N tokens, R queries that see the same M keys, h heads.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from slowfast_ext.analysis.maps import with_parts
from slowfast_ext.config import get_cfg
from slowfast_ext.models.attention import Attention, Grid, LayerSpec
from slowfast_ext.models.attention.fixation import NoFixation
from slowfast_ext.models.attention.softmax import Softmax

Reader = Callable[[Attention], Tensor]


class Uniform(Softmax):
    """Softmax with all scores zero: a key has weight where the pattern lets the query see it."""

    def attend(
        self, q_BhND: Tensor, k_BhMD: Tensor, v_BhMD: Tensor, q_grid: Grid, k_grid: Grid
    ) -> Tensor:
        """The mean of the values that a query may see."""
        return super().attend(q_BhND * 0, k_BhMD * 0, v_BhMD, q_grid, k_grid)


@dataclass(frozen=True)
class Concentration:
    """An implied matrix [h, R, M] and its mean entropy in bits; None where weights of both signs have none."""

    title: str
    matrix_hRM: Tensor
    entropy: float | None


def concentrations(layer: Attention, grid: Grid, token: int, read: Reader) -> list[Concentration]:
    """Matrices of a layer (before and after its fixation) and of softmax, for the same q and k.

    `read` gives the weights [h, N, N] of a layer. The rows are the queries that see the keys of `token`.
    """
    rows_R, keys_M = visible(layer, grid, token, read)
    kind = type(layer.kernel).__name__.removeprefix("Explicit").lower()
    plain = with_parts(layer, fixation=NoFixation())
    twins: dict[str, Attention] = {kind: plain}
    if not isinstance(layer.fixation, NoFixation):
        twins[f"{kind} with fixation"] = layer
    twins["softmax"] = with_parts(plain, kernel=_softmax(layer, grid, Softmax))
    found = []
    for title, twin in twins.items():
        matrix_hRM = read(twin)[:, rows_R][:, :, keys_M]
        found.append(Concentration(title, matrix_hRM, entropy(matrix_hRM)))
    return found


def visible(layer: Attention, grid: Grid, token: int, read: Reader) -> tuple[Tensor, Tensor]:
    """Patch queries that see the same keys as `token` [R], and these keys [M], prefix left out."""
    uniform = with_parts(layer, fixation=NoFixation(), kernel=_softmax(layer, grid, Uniform))
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


def _softmax(layer: Attention, grid: Grid, kind: type[Softmax]) -> nn.Module:
    spec = LayerSpec(layer.qkv.in_features, layer.num_heads, grid)
    return kind(spec, get_cfg().ATTENTION, grid).eval()
