"""Representatives of a row of queries or keys: means of segments, random ones, or nearly orthogonal ones.

Shapes: B batch, N tokens (prefix first, then time-major), R landmarks, h heads, D head dim.
"""

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import normalize

from slowfast_ext.models.attention.base import Grid, fp32, without_autocast


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
    fixed = torch.tensor(_fixed_order(N)[:count], device=x_BhND.device)
    return fixed.expand(B, h, -1)


@lru_cache(maxsize=16)
def _fixed_order(count: int) -> tuple[int, ...]:
    """A permutation as plain numbers: constants of a program that is traced, once the model has been called."""
    return tuple(torch.randperm(count, generator=torch.Generator().manual_seed(0)).tolist())


def gather_tokens(x_BhND: Tensor, index_BhR: Tensor) -> Tensor:
    """The tokens at `index_BhR`, [B, h, R, D]."""
    return x_BhND.gather(2, index_BhR[..., None].expand(-1, -1, -1, x_BhND.shape[-1]))


@torch.no_grad()
def orthogonal_tokens(x_BhND: Tensor, count: int, start_Bh: Tensor) -> Tensor:
    """Indices [B, h, count] of tokens that are as orthogonal as can be (Orthoformer, Sec. 3.2.1, Alg. 1).

    From `start_Bh` on, the token whose largest |cosine| to those chosen is least is chosen next. That
    largest value is kept for every token and raised after each choice: R*N*D multiply-adds a row and one
    number a token, where a table of all cosines would be quadratic. All rows step together.
    """
    (x_BhND,) = fp32(x_BhND)
    unit_BhND = normalize(x_BhND, dim=-1)
    nearest_BhN = torch.zeros_like(unit_BhND[..., 0])
    chosen = [start_Bh]
    with without_autocast(x_BhND):
        for _ in range(count - 1):
            latest_BhD1 = gather_tokens(unit_BhND, chosen[-1][..., None]).mT
            cosine_BhN = (unit_BhND @ latest_BhD1).squeeze(-1).abs()
            nearest_BhN = torch.maximum(nearest_BhN, cosine_BhN)
            nearest_BhN.scatter_(2, chosen[-1][..., None], torch.inf)
            chosen.append(nearest_BhN.argmin(dim=-1))
    return torch.stack(chosen, dim=-1)


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
