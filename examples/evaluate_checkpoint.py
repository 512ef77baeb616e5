"""Evaluate a public checkpoint on a data set, in the names that the model has here and with its own test views.

    python examples/evaluate_checkpoint.py motionformer_b_ssv2 ssv2_motionformer_224_16x4.pyth ssv2 LISTS --media VIDEOS

Names of models: python -c "import slowfast_ext; print(slowfast_ext.list_models())".
"""

import argparse
from collections.abc import Sequence

import torch

import slowfast_ext


def main(argv: Sequence[str] | None = None) -> None:
    """Load, evaluate, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="name of a model, or a YAML file")
    parser.add_argument("weights", help="checkpoint of any family that is known here")
    parser.add_argument("dataset", help="kinetics, ssv2, class_folders, ...")
    parser.add_argument("root", help="folder of the lists")
    parser.add_argument("--media", default="", help="folder of the videos, where it is another")
    parser.add_argument("--split", default="test", help="val: the central view of each video alone")
    args = parser.parse_args(argv)

    model = slowfast_ext.create_model(
        args.model,
        weights=args.weights,
        settings={"DATA.PATH_PREFIX": args.media} if args.media else None,
        allow=(),  # every tensor has to fit
    )
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    videos = slowfast_ext.create_dataset(args.dataset, args.root, args.split, cfg=model.config)
    for name, value in slowfast_ext.evaluate(model, videos).items():
        print(f"{name}: {value:.2f}")


if __name__ == "__main__":
    main()
