"""The masked autoencoder (VideoMAE): a ViT on the visible tokens, and a small decoder that predicts the hidden tubelets.

Shapes: B batch, C channels (D in the decoder), T frames, H W pixels, t h w tokens along each axis, N tokens, V visible
ones, U hidden ones, L pixels of a tubelet, P = 3 * L.
"""

from collections.abc import Iterable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from yacs.config import CfgNode

from slowfast_ext.config import options_of
from slowfast_ext.models.attention import AttentionSpec, Grid
from slowfast_ext.models.attention.fixation import FixationOptions
from slowfast_ext.models.attention.neighbour import NeighbourOptions
from slowfast_ext.models.backbones import Backbone
from slowfast_ext.models.backbones.vit import VisionTransformer
from slowfast_ext.models.backbones.vit_embed import Patch
from slowfast_ext.models.backbones.vit_positions import sine_cosine
from slowfast_ext.models.blocks import BlockSpec, build_block
from slowfast_ext.models.build import MODELS, VideoModel
from slowfast_ext.models.layers import run_blocks
from slowfast_ext.options import Problem
from slowfast_ext.tasks import Task
from slowfast_ext.tasks.masked import MaskedOptions, Reconstruction, split_tokens


class PixelDecoder(nn.Module):
    """Visible tokens [B, V, C] and where they and the hidden ones are -> pixels of the hidden tubelets [B, U, P].

    Cost: V*C*D, U*D*P, and the blocks' on all N tokens.
    """

    def __init__(self, dim: int, pixels: int, options: MaskedOptions) -> None:
        super().__init__()
        width = options.decoder_dim
        spec = BlockSpec(
            AttentionSpec(width, options.decoder_heads, Grid.placeless()), options.decoder_mlp_ratio
        )
        self.encoder_to_decoder = nn.Linear(dim, width, bias=False)
        self.mask_token = nn.Parameter(torch.empty(1, 1, width))
        self.decoder = nn.ModuleDict(
            {
                "blocks": nn.ModuleList(
                    build_block("joint", spec) for _ in range(options.decoder_depth)
                ),
                "norm": spec.build_norm(),
                "head": nn.Linear(width, pixels),
            }
        )
        nn.init.trunc_normal_(self.mask_token, std=0.02)

    def forward(self, x_BVC: Tensor, visible_BV: Tensor, hidden_BU: Tensor, grid: Grid) -> Tensor:
        """The tokens are those of `grid`."""
        x_BVD = self.encoder_to_decoder(x_BVC)
        width = x_BVD.shape[-1]
        positions_1ND = sine_cosine(grid, width, x_BVC.device, self.mask_token.dtype)
        x_BVD = x_BVD + taken(positions_1ND, visible_BV)
        masked_BUD = self.mask_token + taken(positions_1ND, hidden_BU)
        x_BND = torch.cat([x_BVD, masked_BUD], dim=1)
        blocks = cast(nn.ModuleList, self.decoder["blocks"])
        x_BND = run_blocks(blocks, x_BND, Grid.placeless(x_BND.shape[1]))
        return self.decoder["head"](self.decoder["norm"](x_BND[:, -hidden_BU.shape[1] :]))


@MODELS.register("masked_autoencoder")
class MaskedAutoencoder(VideoModel):
    """Normalised clip [B, 3, T, H, W] and the numbers of its visible and hidden tokens -> Reconstruction.

    The backbone is that of a classifier, the decoder is its `head`: a classifier starts from `backbone` alone. As
    published, linear weights start Xavier-uniform, whatever MODEL.INIT_STD.
    """

    def __init__(
        self,
        backbone: VisionTransformer,
        options: MaskedOptions = MaskedOptions(),
        mean: Sequence[float] = (0.0, 0.0, 0.0),
        std: Sequence[float] = (1.0, 1.0, 1.0),
    ) -> None:
        """`mean` and `std` are what the clip was normalised with."""
        patch = backbone.patch_embed.patch
        pixels = 3 * patch[0] * patch[1] * patch[2]
        super().__init__(backbone, PixelDecoder(backbone.feature_dim, pixels, options))
        self.options, self.patch = options, patch
        self.apply(_xavier)
        self.mean_3111: Tensor
        self.std_3111: Tensor
        for name, levels in (("mean_3111", mean), ("std_3111", std)):
            self.register_buffer(name, torch.tensor(levels).view(-1, 1, 1, 1), persistent=False)

    @classmethod
    def from_cfg(cls, cfg: CfgNode, backbone: Backbone, task: Task) -> "MaskedAutoencoder":
        """On the ViT of `cfg`, with the section MASKED."""
        assert isinstance(backbone, VisionTransformer)
        return cls(backbone, options_of(cfg, MaskedOptions), cfg.DATA.MEAN, cfg.DATA.STD)

    @classmethod
    def check(cls, cfg: CfgNode) -> Iterable[Problem]:
        """Backbones that cannot leave tokens out."""
        if cfg.MODEL.BACKBONE != "vit":
            yield Problem("MODEL.BACKBONE", "cannot leave tokens out", "set it to vit")
        if (cfg.VIT.POOL, cfg.VIT.PRE_LOGITS) != ("mean", "none"):
            remedy = "set it to mean, and VIT.PRE_LOGITS to none"
            yield Problem("VIT.POOL", "has no meaning before finetuning", remedy)
        neighbour, fixation = options_of(cfg, NeighbourOptions), options_of(cfg, FixationOptions)
        asks = neighbour.temporal or neighbour.spatial or fixation.mode != "none"
        attention = (list(cfg.ATTENTION.CYCLE), cfg.ATTENTION.KERNEL, cfg.ATTENTION.ROTARY)
        if attention != (["joint"], "softmax", False) or asks:
            message = "asks where tokens are, or wants all of them"
            yield Problem("ATTENTION", message, "set CYCLE [joint], KERNEL softmax, nothing else")

    def forward(
        self,
        clip_BCTHW: Tensor,
        visible_BV: Tensor | None = None,
        hidden_BU: Tensor | None = None,
    ) -> Reconstruction:
        """Without numbers of tokens the last tubes are hidden: for counting costs."""
        vit = cast(VisionTransformer, self.backbone)
        x_BNC, grid = vit.embed(clip_BCTHW)
        if visible_BV is None or hidden_BU is None:
            hidden = self.options.hidden_of(grid.space)
            masks = [torch.arange(grid.space, device="cpu").numpy() >= grid.space - hidden]
            split = split_tokens(masks * len(clip_BCTHW), grid.t)
            visible_BV, hidden_BU = (x.to(clip_BCTHW.device) for x in split)
        x_BVC = vit.encode(taken(x_BNC, visible_BV), Grid.placeless(visible_BV.shape[1]))
        predicted_BUP = self.head(x_BVC, visible_BV, hidden_BU, grid)
        return Reconstruction(predicted_BUP, self.wanted(clip_BCTHW, hidden_BU))

    @torch.no_grad()
    def wanted(self, clip_BCTHW: Tensor, hidden_BU: Tensor) -> Tensor:
        """Pixels of the hidden tubelets, [B, U, P] in the order pixel, colour; normalised where that is asked for."""
        pixels_BCTHW = clip_BCTHW * self.std_3111 + self.mean_3111
        x_BULC = taken(tubelets(pixels_BCTHW, self.patch).flatten(2), hidden_BU).unflatten(
            -1, (-1, 3)
        )
        if self.options.normalize_targets:
            centred = x_BULC - x_BULC.mean(2, keepdim=True)
            x_BULC = centred / (x_BULC.var(2, keepdim=True).sqrt() + 1e-6)
        return x_BULC.flatten(2)


def taken(x_BNC: Tensor, index_BV: Tensor) -> Tensor:
    """The tokens of `index_BV`, [B, V, C]; `x_BNC` may have one row for all clips."""
    rows = x_BNC.expand(len(index_BV), -1, -1)
    return rows.gather(1, index_BV[..., None].expand(-1, -1, rows.shape[-1]))


def tubelets(clip_BCTHW: Tensor, patch: Patch) -> Tensor:
    """The pixels of each tubelet, [B, N, L, 3]."""
    T, H, W = patch
    x = clip_BCTHW.unflatten(4, (-1, W)).unflatten(3, (-1, H)).unflatten(2, (-1, T))
    return x.permute(0, 2, 4, 6, 3, 5, 7, 1).flatten(4, 6).flatten(1, 3)


def _xavier(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
