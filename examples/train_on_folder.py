"""Train a model on a folder of videos, FOLDER/train/<class>/*.mp4 and FOLDER/val/<class>/*.mp4, in plain PyTorch.

    python examples/train_on_folder.py FOLDER --weights uniformer_small_in1k.pth --out actions.pyth

Weights of any family are recognised (ImageNet's kernels are spread over time). Training with resuming, several GPUs,
mixup and logs is `slowfast-ext train`; this is what it comes to.
"""

import argparse
from collections.abc import Sequence

import torch
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

import slowfast_ext


def main(argv: Sequence[str] | None = None) -> None:
    """Parse, train, evaluate, save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--model", default="uniformer_s", help="one of slowfast_ext.list_models()")
    parser.add_argument("--weights", help="checkpoint to start from")
    parser.add_argument("--out", default="trained.pyth")
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--size", type=int, default=224, help="pixels")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--lr", type=float, default=1e-4)
    parser.add_argument("--workers", type=int, default=4)
    args = parser.parse_args(argv)

    device = "cuda" if torch.cuda.is_available() else "cpu"
    clips = {"num_frames": args.frames, "crop_size": args.size}
    train_set = slowfast_ext.create_dataset("class_folders", args.folder, "train", **clips)
    val_set = slowfast_ext.create_dataset("class_folders", args.folder, "val", num_clips=4, **clips)
    model = slowfast_ext.create_model(
        args.model,
        num_classes=train_set.num_classes,
        weights=args.weights,
        num_frames=args.frames,
        img_size=args.size,
    ).to(device)

    loader = DataLoader(train_set, args.batch, shuffle=True, num_workers=args.workers)
    optimizer = torch.optim.AdamW(model.parameters(), args.lr, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, args.epochs * len(loader))
    for epoch in range(args.epochs):
        train_set.set_epoch(epoch)  # other clips and augmentations of the same videos
        model.train()
        for clip_BCTHW, label_B in loader:
            loss = cross_entropy(model(clip_BCTHW.to(device)), label_B.to(device))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
        print(f"epoch {epoch}: loss {loss.item():.3f}")

    print(slowfast_ext.evaluate(model, val_set))
    torch.save({"model_state": model.state_dict()}, args.out)


if __name__ == "__main__":
    main()
