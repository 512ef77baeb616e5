"""The picture of docs/attention.md: which tokens change the output of one token, in one block of each variant.

    python docs/pictures/who_meets_whom.py

Each block has random weights; the colour is the size of the gradient of the marked token's output by each input token.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import torch

import slowfast_ext
from slowfast_ext.models.attention import Grid

VARIANTS = ("joint", "space", "window", "mixing", "divided", "factorized", "split", "timesformer", "trajectory", "emim", "struct")  # fmt: skip
FRAMES, SIDE, QUERY = 5, 7, (2, 3, 2)
SIZES = {
    "VIT.DEPTH": 1, "VIT.EMBED_DIM": 32, "VIT.NUM_HEADS": 2, "VIT.PATCH_SIZE": [1, 8, 8], "ATTENTION.EMIM.WINDOW": [3, 3],
    "MODEL.INIT_STD": 0.2,
}  # fmt: skip


def influence(variant: str) -> torch.Tensor:
    """[T, H, W]: how much each token's input changes the marked token's output, the largest 1."""
    torch.manual_seed(0)
    model = slowfast_ext.create_model(
        "joint_b", 10, num_frames=FRAMES, img_size=8 * SIDE, settings={**SIZES, "ATTENTION.CYCLE": [variant]}
    ).eval()  # fmt: skip
    for weight in model.parameters():
        if weight.ndim > 1 and not weight.any():  # a step that starts at zero
            torch.nn.init.normal_(weight, std=0.2)
    grid = Grid(FRAMES, SIDE, SIDE, 1)
    t, h, w = QUERY
    query = grid.prefix + (t * SIDE + h) * SIDE + w
    total = torch.zeros(grid.prefix + FRAMES * SIDE * SIDE)
    for _ in range(8):
        x_BNC = torch.randn(1, total.numel(), 32, requires_grad=True)
        y_BNC = model.backbone.blocks[0](x_BNC, grid) - x_BNC
        (y_BNC[0, query] * torch.randn(32)).sum().backward()
        total += x_BNC.grad[0].norm(dim=-1)
    seen = total[grid.prefix :].view(FRAMES, SIDE, SIDE)
    seen[t, h, w] = 0
    return seen / seen.max()


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    beside = Path(__file__).with_suffix(".png")
    parser.add_argument("--out", type=Path, default=beside, help="default: beside this file")
    out = parser.parse_args().out
    figure, axes = plt.subplots(len(VARIANTS), FRAMES, figsize=(6.4, 12.6))
    for row, variant in zip(axes, VARIANTS, strict=True):
        seen = influence(variant)
        for t, cell in enumerate(row):
            cell.imshow(seen[t].sqrt(), vmin=0, vmax=1, cmap="viridis")
            cell.set_xticks([])
            cell.set_yticks([])
            if t == QUERY[0]:
                cell.plot(QUERY[2], QUERY[1], "s", color="red", markersize=6)
        row[0].set_ylabel(variant, rotation=0, ha="right", va="center")
    for t, cell in enumerate(axes[0]):
        cell.set_title(f"frame {t}", fontsize=9)
    figure.tight_layout(pad=0.6)
    figure.savefig(out, dpi=90)


if __name__ == "__main__":
    main()
