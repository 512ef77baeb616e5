"""UniFormerV2's parts: embedding of frames, attention within frames and over neighbouring ones, the global block.

Facts: Li et al., "UniFormerV2: Spatiotemporal Learning by Arming Image ViTs with Video UniFormer".
The stream is [B, T, F, C], so that frames are rows of attention, and their patches a grid, without a copy.

Shapes: B batch, T frames, F tokens of a frame (its class token, then H*W patches), C channels, M hidden channels,
h heads, D head dim, N tokens of all frames.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from slowfast_ext.errors import ConfigError
from slowfast_ext.models.activations import QuickGELU
from slowfast_ext.models.attention import Grid
from slowfast_ext.models.attention.frames import by_frame, prefix_first
from slowfast_ext.models.attention.softmax import explicit_softmax
from slowfast_ext.models.attention.space import Space
from slowfast_ext.models.backbones.uniformer_blocks import norm_linear
from slowfast_ext.models.blocks import Block, BlockSpec, build_block
from slowfast_ext.models.depthwise import DepthwiseConv3d
from slowfast_ext.models.layers import DropPath, Mlp


class FrameEmbed(nn.Module):
    """Patches of each frame, or (stride 2) of each second one with its neighbours; without bias, as CLIP's.

    Cost: 3 * (2*stride - 1) * patch^2 * C multiply-adds a token.
    """

    def __init__(self, patch: int, dim: int, stride: int) -> None:
        """`patch` in pixels, `stride` in frames."""
        super().__init__()
        self.patch = patch
        kernel = 2 * stride - 1
        size, step = (kernel, patch, patch), (stride, patch, patch)
        self.proj = nn.Conv3d(3, dim, size, step, padding=(kernel // 2, 0, 0), bias=False)

    def forward(self, clip_BCTHW: Tensor) -> Tensor:
        """[B, 3, T, H, W] -> [B, C, t, h, w]. Raises ConfigError for sizes that the patches do not divide."""
        height, width = clip_BCTHW.shape[-2:]
        if height % self.patch or width % self.patch:
            raise ConfigError(
                f"a clip of {height}x{width} px cannot be cut into patches of {self.patch} px; "
                "change UNIFORMERV2.PATCH_SIZE or the crop size"
            )
        return self.proj(clip_BCTHW)


class LocalAttention(nn.Module):
    """The local MHRA: each patch with itself in the neighbouring frames, in fewer channels; starts at zero.

    Cost: 2*C*M + 3*M multiply-adds a patch.
    """

    def __init__(self, dim: int, reduction: float) -> None:
        """`reduction` is C / M."""
        super().__init__()
        hidden = int(dim // reduction)
        self.norm = nn.BatchNorm1d(dim)
        self.fc1 = nn.Linear(dim, hidden)
        self.conv = DepthwiseConv3d(hidden, (3, 1, 1))
        self.fc2 = nn.Linear(hidden, dim)
        for parameter in self.fc2.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x_BTHWC: Tensor) -> Tensor:
        """[B, T, H, W, C] -> [B, T, H, W, C]."""
        y_NM = norm_linear(self.norm, self.fc1, x_BTHWC.flatten(0, 3))
        return self.fc2(self.conv(y_NM.unflatten(0, x_BTHWC.shape[:4])))


class SpaceBlock(nn.Module):
    """A block of the image transformer, with a local attention before its attention and before its MLP, or without."""

    def __init__(self, name: str, spec: BlockSpec, num_local: int, reduction: float) -> None:
        """`name` as in ATTENTION.CYCLE; `num_local` 0, 1 or 2, `reduction` of their channels."""
        super().__init__()
        dim = spec.attention.dim
        self.local1 = LocalAttention(dim, reduction) if num_local > 0 else None
        self.local2 = LocalAttention(dim, reduction) if num_local > 1 else None
        self.local_drop_path = DropPath(spec.drop_path)
        self.block = build_block(name, spec)

    def forward(self, x_BTFC: Tensor, grid: Grid) -> Tensor:
        """[B, T, F, C] -> [B, T, F, C]; `grid` is framewise, with a class token a frame."""
        x_BTFC = self._over_time(self.local1, x_BTFC, grid)
        x_BTFC = self._attend(x_BTFC, grid)
        x_BTFC = self._over_time(self.local2, x_BTFC, grid)
        return self.block.feed_forward(x_BTFC)

    def _over_time(self, local: LocalAttention | None, x_BTFC: Tensor, grid: Grid) -> Tensor:
        if local is None:
            return x_BTFC
        cls_BT1C, patches = x_BTFC.split([1, grid.space], dim=2)
        y_BTHWC = local(patches.unflatten(2, (grid.h, grid.w)))
        return torch.cat([cls_BT1C, patches + self.local_drop_path(y_BTHWC.flatten(2, 3))], dim=2)

    def _attend(self, x_BTFC: Tensor, grid: Grid) -> Tensor:
        """Attention within frames has them as rows, uncopied; any other gets the sequence that it is made for."""
        block, attn = self.block, self.block.attn
        if type(block) is Block and isinstance(attn, Space) and not attn.qkv_steps:
            y_RFC = attn(block.norm1(x_BTFC).flatten(0, 1), grid.frame(prefix=1))
            return x_BTFC + block.drop_path1(block.ls1(y_RFC.view_as(x_BTFC)))
        return by_frame(block.attend(prefix_first(x_BTFC), grid), grid)


class GlobalAttention(nn.Module):
    """One query a clip over the tokens of all frames.

    As there is one query, keys and values need not be formed: q.(K y + b) is (q K).y up to a constant, to which
    softmax is blind, and the weights sum to 1, so that the mean of V y + b is V (mean of y) + b.
    Cost: 4*C^2 + 2*N*h*C; in the reference form 2*C^2 + 2*N*C^2 + 2*N*C.
    """

    def __init__(self, dim: int, num_heads: int, reference: bool = False) -> None:
        """`reference`: form keys and values of all tokens."""
        super().__init__()
        self.num_heads = num_heads
        self.reference = reference
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x_BC: Tensor, y_BNC: Tensor) -> Tensor:
        """The query's token [B, C], normalised, and the tokens [B, N, C] that it reads -> [B, C]."""
        (q_CC, k_CC, v_CC), (q_C, k_C, v_C) = self.qkv.weight.chunk(3), self.qkv.bias.chunk(3)
        q_BhD = linear(x_BC, q_CC, q_C).unflatten(-1, (self.num_heads, -1))
        if self.reference:
            k_BNC, v_BNC = linear(y_BNC, k_CC, k_C), linear(y_BNC, v_CC, v_C)
            k, v = (x.unflatten(-1, q_BhD.shape[1:]).transpose(1, 2) for x in (k_BNC, v_BNC))
            return self.proj(explicit_softmax(q_BhD[:, :, None], k, v).flatten(1))
        k_hDC, v_hDC = (x.unflatten(0, q_BhD.shape[1:]) for x in (k_CC, v_CC))
        q_BhC = torch.einsum("bhd,hdc->bhc", q_BhD * q_BhD.shape[-1] ** -0.5, k_hDC)
        mean_BhC = (q_BhC @ y_BNC.mT).softmax(-1) @ y_BNC
        return self.proj(torch.einsum("bhc,hdc->bhd", mean_BhC, v_hDC).flatten(1) + v_C)


class GlobalBlock(nn.Module):
    """The clip's token reads all tokens of all frames, which get positions of their own; then an MLP.

    It starts as the identity. Nothing flows back into the stream. Cost: 27*N*C + 2*mlp_ratio*C^2 and the attention's.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        mlp_ratio: float,
        dropout: float = 0.0,
        drop_path: float = 0.0,
        reference: bool = False,
    ) -> None:
        """`dropout` of the MLP's hidden channels; `drop_path` of both steps; `reference` form of the attention."""
        super().__init__()
        self.pos_embed = DepthwiseConv3d(dim, (3, 3, 3))
        self.norm_tokens = nn.LayerNorm(dim)
        self.norm1 = nn.LayerNorm(dim)
        self.attn = GlobalAttention(dim, num_heads, reference)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, round(dim * mlp_ratio), QuickGELU)
        self.dropout = nn.Dropout(dropout)
        self.drop_path = DropPath(drop_path)
        self._init()

    def _init(self) -> None:
        for layer in (self.attn.qkv, self.mlp.fc1):
            nn.init.xavier_uniform_(layer.weight)
        for layer in (self.attn.proj, self.mlp.fc2):
            nn.init.zeros_(layer.weight)
        for bias in (
            self.pos_embed.bias,
            self.attn.qkv.bias,
            self.attn.proj.bias,
            self.mlp.fc2.bias,
        ):
            assert bias is not None
            nn.init.zeros_(bias)

    def forward(self, x_BC: Tensor, tokens_BTFC: Tensor, grid: Grid) -> Tensor:
        """The clip's token [B, C] after it has read the tokens [B, T, F, C] of its frames."""
        cls_BT1C, patches = tokens_BTFC.split([1, grid.space], dim=2)
        positions = self.pos_embed(patches.unflatten(2, (grid.h, grid.w))).flatten(2, 3)
        tokens_BTFC = self.norm_tokens(torch.cat([cls_BT1C, patches + positions], dim=2))
        x_BC = x_BC + self.drop_path(self.attn(self.norm1(x_BC), tokens_BTFC.flatten(1, 2)))
        hidden_BM = self.dropout(self.mlp.act(self.mlp.fc1(self.norm2(x_BC))))
        return x_BC + self.drop_path(self.mlp.fc2(hidden_BM))
