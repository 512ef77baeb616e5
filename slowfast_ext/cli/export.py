"""Export a model to ONNX or torch.export: slowfast-ext export --weights CHECKPOINT | --model NAME [--format pt2|onnx] [--out FILE].

The file is checked against the model on clips of the configuration's test set, or rendered ones, and only written where
they agree. ONNX needs: pip install 'slowfast_ext[export]'.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from slowfast_ext.cli import reported
from slowfast_ext.config.load import split_pairs
from slowfast_ext.config.schema import import_files
from slowfast_ext.export_formats import FORMATS, TOLERANCE, format_of

if TYPE_CHECKING:
    from slowfast_ext.models import VideoModel


@reported
def main(argv: Sequence[str] | None = None) -> int:
    """Write the file and say how it compares; 2 for what cannot be exported or differs too much."""
    args = _parse(argv)
    # Only what a wrong command line needs is imported before it is answered.
    from slowfast_ext.export import export_model

    out = args.out or _default_path(args)
    format_of(out, args.format)
    import_files(args.imports)
    exported = export_model(
        _model(args),
        out,
        format=args.format,
        preprocess=args.preprocess,
        views=args.views,
        tolerance=args.tolerance,
    )
    print(exported)
    return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--weights",
        metavar="CHECKPOINT",
        help="a checkpoint that was trained here, or the folder of its run; with --model also weights of other programs",
    )
    parser.add_argument(
        "--model",
        default="",
        metavar="NAME",
        help="a named model, or a YAML file; without --weights untrained, to try whether it exports",
    )
    parser.add_argument("--format", default="", choices=("", *FORMATS), metavar="|".join(FORMATS))
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="the suffix .pt2 or .onnx also sets the format"
    )
    parser.add_argument(
        "--preprocess",
        action="store_true",
        help="the program takes RGB bytes [B, T, H, W, 3] and normalises them",
    )
    parser.add_argument(
        "--views",
        default="",
        metavar="CLIPSxCROPS",
        help="the program takes all views of a video, [B, V, ...], and gives their mean scores",
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        default=TOLERANCE,
        help="largest error allowed, as a share of the largest output; default: %(default)g",
    )
    parser.add_argument(
        "--class-names",
        nargs="+",
        default=[],
        metavar="FILE",
        help="a file with one name per line, one file per head",
    )
    parser.add_argument(
        "--opts", nargs="*", default=[], metavar="KEY VALUE", help="further settings of --model"
    )
    parser.add_argument(
        "--import",
        dest="imports",
        nargs="+",
        default=[],
        metavar="FILE.py",
        help="Python files of yours that register parts of the model",
    )
    args = parser.parse_args(argv)
    if not (args.weights or args.model):
        parser.error("give --weights CHECKPOINT, --model NAME, or both")
    return args


def _default_path(args: argparse.Namespace) -> Path:
    """Beside the checkpoint; of a model of the zoo, where one stands."""
    from slowfast_ext.predict.load import checkpoint_in

    end = f".{args.format or next(iter(FORMATS))}"
    if not args.weights:
        return Path(Path(args.model).stem + end)
    return checkpoint_in(args.weights).with_suffix(end)


def _model(args: argparse.Namespace) -> "VideoModel":
    from slowfast_ext.hub import create_model
    from slowfast_ext.predict.load import model_of

    settings = dict(split_pairs(args.opts))
    if args.weights:
        return model_of(args.weights, args.model, args.class_names, settings)
    return create_model(args.model, settings=settings)
