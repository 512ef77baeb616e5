"""Representatives of a row of queries or keys: means of segments, random ones, or nearly orthogonal ones.

Shapes: B batch, N tokens (prefix first, then time-major), R landmarks, h heads, D head dim.
"""

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import normalize

from slowfast_ext.models.attention.base import Grid, fp32, without_autocast
from slowfast_ext.models.constants import constant


def segment_means(x_BhND: Tensor, count: int) -> Tensor:
    """Means of `count` successive pieces, [B, h, count, D]; the longer pieces come last."""
    size, longer = divmod(x_BhND.shape[2], count)
    short, long = x_BhND.tensor_split([size * (count - longer)], dim=2)
    means = [short.unflatten(2, (-1, size)).mean(3)]
    if longer:
        means.append(long.unflatten(2, (longer, size + 1)).mean(3))
    return torch.cat(means, dim=2)


def position_major(x_BhND: Tensor, grid: Grid) -> Tensor:
    """Patch tokens of a position one after another, over time, then those of the next; prefix first."""
    prefix, patches = x_BhND.tensor_split([grid.prefix], dim=2)
    patches = patches.unflatten(2, (grid.t, grid.space)).transpose(2, 3).flatten(2, 3)
    return torch.cat([prefix, patches], dim=2)


def random_tokens(x_BhND: Tensor, count: int, training: bool) -> Tensor:
    """Indices [B, h, count] of different tokens: drawn for each row in training, else always the same."""
    B, h, N, _ = x_BhND.shape
    if training:
        return torch.rand(B, h, N, device=x_BhND.device).topk(count, dim=-1).indices
    return _fixed_order(N, x_BhND.device)[:count].expand(B, h, -1)


@constant
def _fixed_order(count: int, device: torch.device) -> Tensor:
    """A permutation that is always the same, copied to a device once."""
    return torch.tensor(_permutation(count), device=device)


@lru_cache(maxsize=16)
def _permutation(count: int) -> tuple[int, ...]:
    return tuple(torch.randperm(count, generator=torch.Generator().manual_seed(0)).tolist())


def gather_tokens(x_BhND: Tensor, index_BhR: Tensor) -> Tensor:
    """The tokens at `index_BhR`, [B, h, R, D]."""
    return x_BhND.gather(2, index_BhR[..., None].expand(-1, -1, -1, x_BhND.shape[-1]))


def orthogonal_tokens(x_BhND: Tensor, count: int, start_Bh: Tensor) -> Tensor:
    """Indices [B, h, count] of tokens that are as orthogonal as can be (Orthoformer, Sec. 3.2.1, Alg. 1).

    From `start_Bh` on, the token whose largest |cosine| to those chosen is least is chosen next. All rows step together.
    A compiler sees one operator in place of so many rounds; an exported program, which runs without this package, all rounds.
    """
    compiled = torch.compiler.is_compiling() and not torch.compiler.is_exporting()
    search = _search_operator if compiled else _search
    return search(x_BhND.detach(), count, start_Bh)


@torch.no_grad()
def _search(x_BhND: Tensor, count: int, start_Bh: Tensor) -> Tensor:
    (x_BhND,) = fp32(x_BhND)
    unit_END = normalize(x_BhND, dim=-1).flatten(0, 1)
    with without_autocast(x_BhND):
        rounds = _rounds_on_table if unit_END.shape[1] <= _TABLE * count else _rounds
        chosen_ER = torch.cat(rounds(unit_END, count, start_Bh.reshape(-1, 1)), dim=1)
    return chosen_ER.view(*start_Bh.shape, count)


_TABLE = 2
"""Rows of at most so many times their landmarks have all cosines in a table: no larger than what attends to them."""


def _rounds_on_table(unit_END: Tensor, count: int, start_E1: Tensor) -> list[Tensor]:
    """Three kernels a round; a token is infinitely near to itself, so that it is chosen once."""
    near_ENN = (unit_END @ unit_END.mT).abs_()
    itself_NN = torch.eye(near_ENN.shape[1], dtype=torch.bool, device=near_ENN.device)
    near_ENN.masked_fill_(itself_NN, torch.inf)
    nearest_EN, chosen = torch.zeros_like(near_ENN[:, 0]), [start_E1]
    for _ in range(count - 1):
        row_E1N = near_ENN.gather(1, chosen[-1][..., None].expand(-1, -1, near_ENN.shape[2]))
        torch.maximum(nearest_EN, row_E1N[:, 0], out=nearest_EN)
        chosen.append(nearest_EN.argmin(dim=-1, keepdim=True))
    return chosen


def _rounds(unit_END: Tensor, count: int, start_E1: Tensor) -> list[Tensor]:
    """Six kernels a round. The largest |cosine| is kept for every token and raised after each choice: R*N*D
    multiply-adds a row and one number a token, where a table would be quadratic."""
    nearest_EN, chosen = torch.zeros_like(unit_END[..., 0]), [start_E1]
    cosine_EN1 = torch.empty_like(nearest_EN[..., None])
    for _ in range(count - 1):
        latest_E1D = unit_END.gather(1, chosen[-1][..., None].expand(-1, -1, unit_END.shape[2]))
        torch.bmm(unit_END, latest_E1D.mT, out=cosine_EN1)
        torch.maximum(nearest_EN, cosine_EN1.squeeze(-1).abs_(), out=nearest_EN)
        nearest_EN.scatter_(1, chosen[-1], torch.inf)
        chosen.append(nearest_EN.argmin(dim=-1, keepdim=True))
    return chosen


@torch.library.custom_op("slowfast_ext::orthogonal_tokens", mutates_args=())
def _search_operator(x_BhND: Tensor, count: int, start_Bh: Tensor) -> Tensor:
    return _search(x_BhND, count, start_Bh)


@_search_operator.register_fake
def _(x_BhND: Tensor, count: int, start_Bh: Tensor) -> Tensor:
    return start_Bh.new_empty((*start_Bh.shape, count))


@torch.no_grad()
def orthogonal_tokens_reference(x_BhND: Tensor, count: int, start_Bh: Tensor) -> Tensor:
    """orthogonal_tokens, a row at a time from the table of all cosines: the reference implementation."""
    rows = x_BhND.flatten(0, 1).double()
    chosen = [
        _orthogonal_row(x, count, int(i)) for x, i in zip(rows, start_Bh.flatten(), strict=True)
    ]
    return torch.tensor(chosen, device=x_BhND.device).view(*x_BhND.shape[:2], count)


def _orthogonal_row(x_ND: Tensor, count: int, start: int) -> list[int]:
    unit_ND = normalize(x_ND, dim=-1)
    cosine_NN = (unit_ND @ unit_ND.T).abs()
    chosen = [start]
    while len(chosen) < count:
        nearest_N = cosine_NN[chosen].amax(0)
        nearest_N[chosen] = torch.inf
        chosen.append(int(nearest_N.argmin()))
    return chosen
