"""`export_model`: a trained model as a `torch.export` program or as ONNX, checked against the model on real clips.

Shapes: B batch, V views of a video, T frames, C colours, H W pixels, K outputs of a head.
"""

import logging
import os
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from yacs.config import CfgNode

import slowfast_ext
from slowfast_ext.analysis.timing import interleaved_seconds
from slowfast_ext.config import options_of
from slowfast_ext.data.sample_clips import sample_clips
from slowfast_ext.data.sampling import SamplingOptions, ViewOptions
from slowfast_ext.data.transforms.device import PixelOptions, to_model_input
from slowfast_ext.engine.evaluate import mean_scores
from slowfast_ext.engine.options import TestOptions
from slowfast_ext.errors import ConfigError, ExportError, WriteError
from slowfast_ext.export_formats import TOLERANCE, Metadata, Program, format_of, read_metadata
from slowfast_ext.models import VideoModel
from slowfast_ext.options import pair
from slowfast_ext.predict.looks import view_options
from slowfast_ext.tasks import Task, build_task, heads_of

__all__ = ["TOLERANCE", "Exported", "export_model", "read_metadata"]

_CHECKED_BATCHES = (1, 3)
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Exported:
    """What was written, and how it compares with the eager model.

    Attributes:
        path: the file; ONNX beyond 2 GB has its weights beside it, in path + ".data".
        error: largest difference of an output, as a share of the largest output.
        clips: what it was checked on.
        runtime: what ran the file.
        seconds, eager_seconds: of one call with batch 1, medians of calls in turn, on the CPU.
        megabytes: of the file and its weights.
    """

    path: Path
    error: float
    clips: str
    runtime: str
    seconds: float
    eager_seconds: float
    megabytes: float

    def __str__(self) -> str:
        return (
            f"maximum error {self.error:.1e} of the largest output, on {self.clips}\n"
            f"{self.runtime} {1000 * self.seconds:.1f} ms, eager {1000 * self.eager_seconds:.1f} ms a call of batch 1, "
            f"{torch.get_num_threads()} threads\n"
            f"written: {self.path} ({self.megabytes:.1f} MB)"
        )


def export_model(
    model: VideoModel,
    path: str | Path,
    *,
    format: str = "",
    preprocess: bool = False,
    views: str | ViewOptions = "",
    tolerance: float = TOLERANCE,
    clips: Tensor | None = None,
) -> Exported:
    """Write `model` in evaluation mode as a program for batches of any size, and check the file.

    The program takes normalised clips float32 [B, 3, T, H, W] in the sizes of its configuration and gives logits [B, K],
    one tensor a head. The file holds class names, input, normalisation, views and configuration: `read_metadata`.

    Args:
        model: as `create_model` or `load_model` give it.
        path: ending in .pt2 or .onnx.
        format: pt2 or onnx, where `path` ends otherwise.
        preprocess: the program takes RGB bytes uint8 [B, T, H, W, 3], cropped, and normalises them.
        views: "10x3": it takes all views of a video, [B, V, ...], and gives their mean scores, as a test does.
        tolerance: most that an output may differ from the eager model's, as a share of the largest output.
        clips: uint8 RGB [N, T, H, W, 3] to check with; default: test videos of the configuration, else MotionShapes.

    Raises:
        ConfigError: a model without configuration, a format that there is not, packages that are missing.
        ExportError: a model that cannot be exported, or whose program gives other results; no file is left.
        WriteError: a file that cannot be written.
    """
    path, cfg = Path(path), model.config
    kind = format_of(path, format)
    if cfg is None:
        raise ConfigError("the model has no configuration; make it with create_model or load_model")
    looks = view_options(views) if views else None
    V = looks.num_ensemble_views * looks.num_spatial_crops if looks else 0
    pixels, task = options_of(cfg, PixelOptions), build_task(cfg)
    if task.model != Task.model:
        raise ExportError(f"{path}: not written: the model of {task.name} is only for training")
    model = deepcopy(model).cpu().eval()
    form = ExportForm(model, pixels if preprocess else None, task if looks else None, V)
    bytes_NTHWC, source = _clips(cfg, looks, V, clips)
    bytes_B = bytes_NTHWC.unflatten(0, (-1, V)) if looks else bytes_NTHWC
    inputs = bytes_B if preprocess else _normalised(bytes_B, pixels)
    facts = metadata(model, cfg, task, inputs, preprocess, looks)
    with _beside(path) as temporary, torch.no_grad(), _quiet():
        # Before tracing: what a model computes once and keeps must not be computed in a trace.
        if looks:
            wanted = mean_scores(model, task, bytes_B.movedim(-1, -3), pixels, TestOptions(), _CPU)
        else:
            wanted = [torch.cat(head) for head in zip(*_eager(model, bytes_B, pixels), strict=True)]
        try:
            kind.write(_traced(form, inputs), temporary, facts)
        except (OSError, WriteError):
            raise
        except Exception as cause:  # torch has a dozen kinds for what it cannot trace or translate
            raise ExportError(f"{path}: not written: {_reason(cause)}") from cause
        run = kind.open(temporary)
        error = _largest_error(run, inputs, wanted)
        if not error <= tolerance:  # NaN is none too
            raise ExportError(
                f"{path}: not written: on {source} its outputs differ from the model's by {error:.1e} of the "
                f"largest, more than {tolerance:.1e} (--tolerance)"
            )
        one, files = inputs[:1], temporary.parent.iterdir()
        megabytes = sum(file.stat().st_size for file in files) / 1e6
        seconds, eager = interleaved_seconds([lambda: run(one), lambda: form(one)], _CPU)
    return Exported(path, error, source, kind.runtime, seconds, eager, megabytes)


class ExportForm(nn.Module):
    """What is exported: a model with normalisation before it and the mean over views behind it, each where asked for."""

    levels: Tensor

    def __init__(
        self, model: nn.Module, pixels: PixelOptions | None, task: Task | None, views: int
    ) -> None:
        super().__init__()
        self.model, self.task, self.views = model, task, views
        self.has_pixels = pixels is not None
        self.flips = pixels is not None and pixels.channel_order == "bgr"
        if pixels is not None:
            levels = 255 * torch.tensor([pixels.mean, pixels.std]).view(2, -1, 1, 1, 1)
            self.register_buffer("levels", levels)

    def forward(self, clips: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Clips [B, ...] or [B, V, ...] -> [B, K], a tuple of them where there are several heads."""
        if self.views:
            clips = clips.flatten(0, 1)
        if self.has_pixels:
            clips_BCTHW = clips.permute(0, 4, 1, 2, 3)
            clips_BCTHW = clips_BCTHW.flip(1) if self.flips else clips_BCTHW
            clips = (clips_BCTHW.contiguous().float() - self.levels[0]) / self.levels[1]
        output = self.model(clips)
        if self.task is None:
            outputs = heads_of(output)
        else:
            scores = self.task.scores(output)
            outputs = tuple(x.unflatten(0, (-1, self.views)).mean(1) for x in scores)
        return outputs[0] if len(outputs) == 1 else outputs


def metadata(
    model: VideoModel,
    cfg: CfgNode,
    task: Task,
    inputs: Tensor,
    preprocess: bool,
    looks: ViewOptions | None,
) -> Metadata:
    """What the file says of itself."""
    axes = ("B V " if looks else "B ") + ("T H W C" if preprocess else "C T H W")
    pixels, tested = options_of(cfg, PixelOptions), looks or options_of(cfg, ViewOptions)
    names = [*model.class_names, *([()] * len(task.head_names))]
    return {
        "program": f"slowfast_ext {slowfast_ext.__version__}",
        "input": {
            "name": "clips",
            "dtype": str(inputs.dtype).removeprefix("torch."),
            "axes": axes,
            "shape": ["batch", *inputs.shape[1:]],
            "colours": "rgb" if preprocess else pixels.channel_order,
        },
        "outputs": [
            {"name": name, "size": size, "classes": list(own)}
            for name, size, own in zip(
                _output_names(task, looks), task.output_sizes, names, strict=False
            )
        ],
        "normalisation": {"inside": preprocess, **asdict(pixels)},
        "views": {
            "inside": looks is not None,
            "clips": tested.num_ensemble_views,
            "crops": tested.num_spatial_crops,
            "averaged": task.ensemble,
        },
        "sampling": asdict(options_of(cfg, SamplingOptions)),
        "config": cfg.dump(),
    }


def _output_names(task: Task, looks: ViewOptions | None) -> list[str]:
    return [name or ("scores" if looks else "logits") for name in task.head_names]


def _clips(
    cfg: CfgNode, looks: ViewOptions | None, views: int, given: Tensor | None
) -> tuple[Tensor, str]:
    """Clips uint8 [N, T, H, W, 3] of as many videos as are checked, all views of each, and what they are."""
    count = sum(_CHECKED_BATCHES)
    if given is None:
        return sample_clips(cfg, count, looks)
    shape = (cfg.DATA.NUM_FRAMES, *pair(cfg.DATA.TEST_CROP_SIZE), 3)
    if given.dtype != torch.uint8 or given.shape[1:] != shape or not len(given):
        raise ConfigError(
            f"clips: {given.dtype} {list(given.shape)}; give uint8 [N, {str(shape)[1:-1]}]"
        )
    wanted = count * (views or 1)
    return given.repeat(-(-wanted // len(given)), 1, 1, 1, 1)[:wanted], f"{len(given)} clips given"


def _normalised(bytes_B: Tensor, pixels: PixelOptions) -> Tensor:
    """[B, (V,) T, H, W, C] -> what the model takes, [B, (V,) C, T, H, W], by the code of training and test."""
    clips = to_model_input(bytes_B.flatten(0, -5).movedim(-1, 2), pixels)
    return clips.unflatten(0, bytes_B.shape[:-4])


def _eager(
    model: VideoModel, bytes_BTHWC: Tensor, pixels: PixelOptions
) -> Iterator[tuple[Tensor, ...]]:
    """What the model gives, a clip at a time."""
    return (heads_of(model(_normalised(clip, pixels))) for clip in bytes_BTHWC.split(1))


def _largest_error(run: Program, inputs: Tensor, expected: Sequence[Tensor]) -> float:
    """Over batches of different sizes, as a share of the largest output of a head."""
    batches = [run(x) for x in inputs.split(_CHECKED_BATCHES)]
    found = [torch.cat(head) for head in zip(*batches, strict=True)]
    shares = [
        (have - want).abs().max() / (want.abs().max() or 1)
        for have, want in zip(found, expected, strict=True)
    ]
    return float(torch.stack(shares).max())


def _traced(form: ExportForm, inputs: Tensor) -> torch.export.ExportedProgram:
    """The program, for any number of clips of the size of the inputs."""
    shapes = ({0: torch.export.Dim("batch")},)
    return torch.export.export(form, (inputs[:2],), dynamic_shapes=shapes, strict=False)


def _reason(error: BaseException) -> str:
    """The first line of what torch said first."""
    while error.__cause__:
        error = error.__cause__
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A file in a folder of its own next to `path`; what is there at the end replaces `path`, on an error nothing does."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".export-", dir=path.parent) as folder:
            yield Path(folder, path.name)
            for file in sorted(Path(folder).iterdir(), reverse=True):
                os.replace(file, path.parent / file.name)
    except (OSError, WriteError) as error:
        raise WriteError(
            f"{path}: not written ({error.__cause__ or error}); free space or take another"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporters say of their own work."""
    before = logging.root.manager.disable
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(before)
