"""`Recognizer`: trained weights that name what a video shows.

Shapes: P videos or windows, V views, T frames, C colours, H W pixels, K outputs of a head.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, overload

import torch
from torch import Tensor

from slowfast_ext.config import options_of
from slowfast_ext.data.dataset import TestViews
from slowfast_ext.data.decode.source import DecodeOptions, VideoSource
from slowfast_ext.data.loader import videos_at_a_time
from slowfast_ext.data.records import VideoRecord, VideoSet
from slowfast_ext.data.sampling import SamplingOptions, ViewOptions, views
from slowfast_ext.data.transforms.device import PixelOptions
from slowfast_ext.data.transforms.resize_crop import CropOptions
from slowfast_ext.engine.evaluate import mean_scores
from slowfast_ext.engine.options import TestOptions
from slowfast_ext.errors import ConfigError, DataError
from slowfast_ext.models import VideoModel
from slowfast_ext.predict.clips import ClipBatch, Unit, clip_batches, sliding, whole_videos
from slowfast_ext.predict.features import Features, features_of, module_of, view_features
from slowfast_ext.predict.inputs import Inputs, Video
from slowfast_ext.predict.load import model_of
from slowfast_ext.predict.looks import device_of, reader_options, span_frames, view_options
from slowfast_ext.predict.prediction import Classes, Prediction
from slowfast_ext.predict.timeline import Timeline
from slowfast_ext.predict.windows import Plan, Window, by_frames, by_seconds
from slowfast_ext.tasks import build_task

Videos = list[Video] | tuple[Video, ...]
Wanted = Callable[[VideoRecord, Window], bool]


class Recognizer:
    """Names what videos show: `Recognizer("checkpoint.pyth")("video.mp4").top(5)`.

    A video is a path, the bytes of a file, an open file, or RGB frames uint8 [T, H, W, 3] as an array or tensor; a list
    of videos gives a list of predictions. Scores are those of `slowfast-ext test` on the same files, views and batches.

    Attributes:
        model: in evaluation mode, on `device`; `model.config` is its configuration.
        task: what a label is.
        classes: names of heads and classes.
        views: how many clips and crops of a video are averaged.
    """

    def __init__(
        self,
        weights: str | Path | VideoModel,
        device: str | torch.device = "auto",
        *,
        model: str | Path = "",
        class_names: str | Path | Sequence[str] | Sequence[Sequence[str]] = (),
        views: str | ViewOptions = "",
        view_batch: int | None = None,
        precision: str = "",
        image_template: str = "",
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """A checkpoint alone is enough.

        Args:
            weights: a checkpoint that was trained here, the folder of its run, or a model that `load_model` gave;
                with `model` a file of any family of weights.
            device: cpu, cuda, cuda:1; auto takes a GPU if there is one.
            model: name in `list_models()`, for weights that do not hold their configuration.
            class_names: instead of those in the checkpoint; names, a file with one a line, or a published order (k400);
                for several heads a list of lists.
            views: "10x3" is 10 clips in time x 3 crops; default: those of the checkpoint's test.
            view_batch: views computed at a time; default: as in the checkpoint's test.
            precision: fp32, bf16 or fp16; default: as in the checkpoint's test.
            image_template: names in folders of images, "img_{:05d}.jpg"; default: as in the checkpoint's data.
            settings: further settings of `model`, {"DATA.NUM_FRAMES": 32}.

        Raises:
            CheckpointError: weights that are missing, damaged or of another model.
            ConfigError: a name or value that is not allowed, class names that are not as many as the classes.
        """
        if not isinstance(weights, VideoModel):
            weights = model_of(weights, model, _by_head(class_names), settings)
        cfg = weights.config
        if cfg is None:
            raise ConfigError(
                "the model has no configuration; make it with create_model or load_model"
            )
        self.device = device_of(device)
        self.model = weights.to(self.device).eval()
        self.task = build_task(cfg)
        self.classes = Classes.of(self.task, weights.class_names)
        self.views = view_options(views) if views else options_of(cfg, ViewOptions)
        self.sampling, self._crop = options_of(cfg, SamplingOptions), options_of(cfg, CropOptions)
        self._pixels, options = options_of(cfg, PixelOptions), options_of(cfg, TestOptions)
        self._options = replace(
            options,
            view_batch=view_batch or options.view_batch,
            precision=precision or options.precision,
        )
        decode = reader_options(options_of(cfg, DecodeOptions), image_template)
        self._source = VideoSource(decode)

    @overload
    def __call__(
        self, video: Video, *, views: str | ViewOptions = ..., fps: float = ...
    ) -> Prediction: ...
    @overload
    def __call__(
        self, video: Videos, *, views: str | ViewOptions = ..., fps: float = ...
    ) -> list[Prediction]: ...
    def __call__(
        self, video: Video | Videos, *, views: str | ViewOptions = "", fps: float = 0.0
    ) -> Prediction | list[Prediction]:
        """What a video shows, or each of a list; `fps` is the rate of frames that are given as an array.

        Raises DataError for one video that cannot be read; in a list its prediction has an `error` instead.
        """
        if isinstance(video, (list, tuple)):
            return list(self.predict(video, views=views, fps=fps))
        (prediction,) = self.predict([video], views=views, fps=fps)
        return _sound(prediction)

    def predict(
        self,
        videos: Iterable[Video],
        *,
        views: str | ViewOptions = "",
        workers: int = 0,
        fps: float = 0.0,
    ) -> Iterator[Prediction]:
        """Predictions of many videos, one after the other, read by `workers` processes."""
        with self._inputs(videos, fps) as (inputs, records):
            yield from self.predict_records(records, inputs, views=views, workers=workers)

    def timeline(
        self,
        video: Video,
        window: float,
        stride: float = 0.0,
        *,
        views: str | ViewOptions = "1x1",
        workers: int = 0,
        fps: float = 0.0,
    ) -> Timeline:
        """What a long video shows when: predictions of windows of `window` seconds every `stride` (half of it).

        Raises DataError where it cannot be read.
        """
        with self._inputs([video], fps) as (inputs, records):
            plan = by_seconds(window, stride or window / 2)
            found = self.predict_records(records, inputs, plan, views=views, workers=workers)
            predictions = [_sound(prediction) for prediction in found]
            return Timeline(predictions, inputs.index(records[0]).duration)

    def features(
        self,
        video: Video,
        *,
        block: str = "",
        window: int = 0,
        stride: int = 0,
        views: str | ViewOptions = "1x1",
        workers: int = 0,
        fps: float = 0.0,
    ) -> Features:
        """What the classifier sees of a video, or the tokens behind a named block (`blocks.11`).

        With `stride` (and `window`, else the stretch of a clip), in frames, for each window: features for localisation
        in time. Raises DataError where the video cannot be read, ConfigError for a block that is not there.
        """
        with self._inputs([video], fps) as (inputs, records):
            found = self.extract(
                records,
                inputs,
                block=block,
                window=window,
                stride=stride,
                views=views,
                workers=workers,
            )
            (features,) = found
        if features.error:
            raise DataError(f"{features.video}: {features.error}")
        return features

    def predict_records(
        self,
        records: Iterable[VideoRecord],
        inputs: Inputs,
        plan: Plan | None = None,
        *,
        wanted: Wanted = lambda record, window: True,
        views: str | ViewOptions = "",
        workers: int = 0,
    ) -> Iterator[Prediction]:
        """Predictions in the order of the records; with a `plan`, of each of their windows that is `wanted`."""
        for batch in self._batches(records, inputs, plan, wanted, views, workers):
            rows: Iterator[tuple[Tensor, ...]] = iter(())
            if batch.clip_PVTCHW is not None:
                with torch.inference_mode():
                    heads = mean_scores(
                        self.model,
                        self.task,
                        batch.clip_PVTCHW,
                        self._pixels,
                        self._options,
                        self.device,
                    )
                rows = zip(*(head_PK.clone() for head_PK in heads), strict=True)
            for item in batch.items:
                yield from self._predictions(item.unit, rows)

    def extract(
        self,
        records: Iterable[VideoRecord],
        inputs: Inputs,
        *,
        block: str = "",
        window: int = 0,
        stride: int = 0,
        views: str | ViewOptions = "1x1",
        workers: int = 0,
    ) -> Iterator[Features]:
        """Features of each record, in order; one that cannot be read has an `error` instead."""
        plan = (
            by_frames(window or span_frames(self.sampling), stride or window)
            if window or stride
            else None
        )
        call = view_features(self.model, block, self._options.precision, self.device)
        batches = self._batches(records, inputs, plan, lambda record, window: True, views, workers)
        yield from features_of(batches, call, self._pixels, self._options.view_batch, self.device)

    def check_block(self, block: str) -> None:
        """Raises ConfigError for a block that the model does not have."""
        module_of(self.model, block)

    def open(self, fps: float = 0.0) -> Inputs:
        """What reads videos in any form, as this model wants them."""
        return Inputs(self._source, fps)

    def _batches(
        self,
        records: Iterable[VideoRecord],
        inputs: Inputs,
        plan: Plan | None,
        wanted: Wanted,
        asked: str | ViewOptions,
        workers: int,
    ) -> Iterator[ClipBatch]:
        looks = views(view_options(asked) if asked else self.views)
        reader = TestViews(VideoSet("", "test", ()), inputs, self.sampling, self._crop, looks)
        batch = self._options.view_batch
        if plan is None:
            units = whole_videos(
                records, videos_at_a_time(len(looks), batch, self._options.batch_size)
            )
        else:
            units = sliding(records, inputs, plan, max(1, batch // len(looks)), wanted)
        return clip_batches(reader, units, workers)

    def _predictions(self, unit: Unit, rows: Iterator[tuple[Tensor, ...]]) -> Iterator[Prediction]:
        """One for each window; `rows` gives the next scores of those that could be read."""
        spans: list[tuple[float, float] | None]
        spans = [(window.start, window.end) for window in unit.windows]
        for window in spans or [None]:
            base = Prediction(unit.record.name, self.classes, window=window, error=unit.error)
            if unit.error:
                yield base
                continue
            scores = next(rows)
            yield replace(base, raw=scores, probabilities=self.task.probabilities(scores))

    @contextmanager
    def _inputs(
        self, videos: Iterable[Video], fps: float
    ) -> Iterator[tuple[Inputs, list[VideoRecord]]]:
        if isinstance(videos, (str, bytes)):
            videos = [videos]
        with self.open(fps) as inputs:
            yield inputs, [inputs.add(video) for video in videos]


def _by_head(names: Any) -> Sequence[Any]:
    """Names of each head: one list or file is for one head."""
    if isinstance(names, (str, Path)):
        return (names,) if str(names) else ()
    return (names,) if names and all(isinstance(name, str) for name in names) else tuple(names)


def _sound(prediction: Prediction) -> Prediction:
    if prediction.error:
        raise DataError(f"{prediction.video}: {prediction.error}")
    return prediction
