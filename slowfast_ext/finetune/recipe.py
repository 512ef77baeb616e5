"""The settings of a training, chosen by the number of videos, their form, and the weights that there are."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from slowfast_ext.config import load_config
from slowfast_ext.config.explain import changed_keys
from slowfast_ext.data.curation.health import Verdict
from slowfast_ext.finetune.clips import Clip, class_names
from slowfast_ext.finetune.start import Settings, Start
from slowfast_ext.hub import ZOO

SCRATCH = ZOO.parent / "recipes" / "own_videos.yaml"
TRAINED = ("auto", "head", "last", "all")

FEW, SOME = 10, 50
"""Training videos a class: below FEW the head alone is trained, below SOME the last blocks too."""

LAST_BLOCKS = 2
BATCH = 8
CLIPS_FROM_NOTHING, CLIPS_FROM_WEIGHTS = 15_000, 4_000
LONG_SECONDS = 15.0
CLIP_SECONDS = 4.0
UNEQUAL = 1.5
_MOST_ASPECT = 2.0
_SIDE_STEP = 16
_DIRECTIONS = re.compile(r"(^|[^a-z])(left|right)([^a-z]|$)", re.IGNORECASE)


@dataclass(frozen=True)
class Choice:
    """Settings that belong together, and why they are what they are."""

    what: str
    why: str
    settings: Settings


@dataclass(frozen=True)
class Material:
    """What is known of the videos: those of each class in training, and the usual picture and length."""

    classes: tuple[str, ...]
    training: tuple[int, ...]
    validation: int
    height: int
    width: int
    seconds: float

    @classmethod
    def of(cls, clips: Sequence[Clip], verdicts: Sequence[Verdict]) -> "Material":
        """The facts of clips with a split and of what was found in their files."""
        names = class_names(clips)
        sizes = Counter(clip.label for clip in clips if clip.split == "train")
        return cls(
            names,
            tuple(sizes[name] for name in names),
            sum(clip.split == "val" for clip in clips),
            int(median(found.height for found in verdicts)),
            int(median(found.width for found in verdicts)),
            median(found.seconds for found in verdicts),
        )

    @property
    def videos(self) -> int:
        """Training videos."""
        return sum(self.training)

    @property
    def per_class(self) -> float:
        """Training videos of a class on average."""
        return self.videos / len(self.classes)


@dataclass(frozen=True)
class Wishes:
    """What the command line says of the training: "" and 0 leave it to the recipe."""

    trained: str = "auto"
    epochs: int = 0
    on_gpu: bool = False


def choose(material: Material, start: Start, wishes: Wishes) -> list[Choice]:
    """All choices but those that need the model: which parameters are frozen, how the weights load."""
    inputs = _scratch_input(material) if not start.settings else _given_input(start, wishes)
    return [
        inputs,
        _schedule(material, start, wishes),
        *_balance(material),
        *_flip(material.classes),
    ]


def trained_part(material: Material, start: Start, wishes: Wishes) -> tuple[str, str]:
    """What is trained, head, last or all, and why."""
    if start.from_nothing:
        return "all", "there are no weights to keep"
    if wishes.trained != "auto":
        return wishes.trained, "as asked for"
    few = material.per_class
    part = "head" if few < FEW else "last" if few < SOME else "all"
    return part, f"{few:.0f} training videos a class"


def training(part: str, why: str, start: Start, frozen: Sequence[str]) -> Choice:
    """The rates of what is trained; `frozen` are patterns of the parameters that are not."""
    words = {
        "head": "the classifier alone, the backbone is frozen",
        "last": f"the last {LAST_BLOCKS} blocks and the classifier",
        "all": "everything",
    }
    freeze: Settings = {"TRAIN.FREEZE": list(frozen)} if frozen else {}
    return Choice(f"trains {words[part]}", why, _solver(part, start) | freeze)


def _solver(part: str, start: Start) -> Settings:
    if start.from_nothing and not start.settings:
        return {}  # as in the YAML file of the recipe
    common: Settings = {"SOLVER.CLIP_GRAD_L2NORM": 1.0, "SOLVER.COSINE_END_LR": 1e-6}
    common |= {"MIXUP.LABEL_SMOOTH_VALUE": 0.1, "TRAIN.EMA_DECAY": 0.99}
    if start.from_nothing:
        return common | {"SOLVER.BASE_LR": 5e-4, "AUG.COLOR_JITTER": 0.4, "MODEL.DROP_PATH": 0.1}
    rates: dict[str, Settings] = {
        "head": {"SOLVER.BASE_LR": 2e-3, "SOLVER.WEIGHT_DECAY": 0.0},
        "last": {"SOLVER.BASE_LR": 5e-4, "SOLVER.LAYER_DECAY": 0.75},
        "all": {"SOLVER.BASE_LR": 3e-4, "SOLVER.LAYER_DECAY": 0.75, "MODEL.DROP_PATH": 0.1},
    }
    return common | rates[part] | {"AUG.COLOR_JITTER": 0.4}


def base_settings(start: Start) -> Settings:
    """Where the choices start: the model of the weights, or the small UniFormer of the YAML file."""
    return dict(start.settings) or changed_keys(load_config(SCRATCH))


def _scratch_input(material: Material) -> Choice:
    """Pictures of the form that the videos have, in as many pixels as the YAML file has."""
    base: dict[str, Any] = changed_keys(load_config(SCRATCH))
    height, width = base["DATA.TRAIN_CROP_SIZE"]
    frames = base["DATA.NUM_FRAMES"]
    aspect = material.width / max(material.height, 1)
    aspect = min(max(aspect, 1 / _MOST_ASPECT), _MOST_ASPECT)
    sides = [
        _rounded(side)
        for side in ((height * width / aspect) ** 0.5, (height * width * aspect) ** 0.5)
    ]
    settings: Settings = {"DATA.TRAIN_CROP_SIZE": sides, "DATA.TEST_CROP_SIZE": sides}
    spread = "spread over the video"
    if material.seconds > LONG_SECONDS:
        settings |= {"DATA.SAMPLING": "dense", "DATA.TARGET_FPS": 30.0}
        settings |= {"DATA.SAMPLING_RATE": round(30 * CLIP_SECONDS / frames)}
        settings |= {"TEST.NUM_ENSEMBLE_VIEWS": 4}
        spread = f"from {CLIP_SECONDS:g} s of the video"
    what = f"sees {frames} frames {spread}, {sides[0]} x {sides[1]} px"
    why = f"videos are {material.height} x {material.width} px and {material.seconds:.1f} s long"
    return Choice(what, why, settings)


def _rounded(side: float) -> int:
    return max(2 * _SIDE_STEP, round(side / _SIDE_STEP) * _SIDE_STEP)


def _given_input(start: Start, wishes: Wishes) -> Choice:
    """The inputs of the weights; without a GPU fewer views are tested."""
    own = start.settings
    size, frames = own.get("DATA.TRAIN_CROP_SIZE", 224), own.get("DATA.NUM_FRAMES", 8)
    views, crops = own.get("TEST.NUM_ENSEMBLE_VIEWS", 10), own.get("TEST.NUM_SPATIAL_CROPS", 3)
    settings: Settings = {} if wishes.on_gpu else {"TEST.NUM_ENSEMBLE_VIEWS": min(views, 2)}
    sides = f"{size[0]} x {size[1]}" if isinstance(size, (list, tuple)) else f"{size} x {size}"
    tested = settings.get("TEST.NUM_ENSEMBLE_VIEWS", views) * crops
    return Choice(
        f"sees {frames} frames, {sides} px, tested on {tested} views", "as the model does", settings
    )


def _schedule(material: Material, start: Start, wishes: Wishes) -> Choice:
    videos = material.videos
    clips = CLIPS_FROM_NOTHING if start.from_nothing else CLIPS_FROM_WEIGHTS
    least, most = (30, 100) if start.from_nothing else (10, 40)
    epochs = wishes.epochs or min(max(round(clips / max(videos, 1)), least), most)
    why = "as asked for" if wishes.epochs else f"about {clips:,} clips, {least} to {most} epochs"
    batch, passes = min(BATCH, videos), 1
    if start.settings and not wishes.on_gpu and videos >= BATCH:
        batch, passes = BATCH // 2, 2  # models of the zoo need gigabytes for a few clips
    settings = timing(epochs) | {
        "TRAIN.BATCH_SIZE": batch,
        "TRAIN.ACCUMULATE": passes,
        "LOG_PERIOD": max(1, min(10, videos // (batch * passes))),
    }
    return Choice(f"{epochs} epochs of {videos} videos, {batch * passes} a step", why, settings)


def timing(epochs: int) -> Settings:
    """What follows from the number of epochs."""
    return {
        "SOLVER.MAX_EPOCH": epochs,
        "SOLVER.WARMUP_EPOCHS": round(min(3.0, 0.1 * epochs), 2),
        "TRAIN.EVAL_PERIOD": max(1, round(epochs / 6)),
        "TRAIN.CHECKPOINT_PERIOD": max(1, round(epochs / 12)),
        "TRAIN.CHECKPOINT_MINUTES": 2.0,
    }


def _balance(material: Material) -> Iterator[Choice]:
    least, most = min(material.training), max(material.training)
    is_unequal = most > UNEQUAL * least
    if is_unequal:
        why = f"the largest has {most} training videos, the smallest {least}"
        yield Choice("draws all classes equally often", why, {"TRAIN.BALANCED_SAMPLING": True})
    else:
        yield Choice(
            "draws every video once an epoch",
            "classes are of similar size",
            {"TRAIN.BALANCED_SAMPLING": False},
        )


def _flip(classes: Sequence[str]) -> Iterator[Choice]:
    named = [name for name in classes if _DIRECTIONS.search(name)]
    if named:
        yield Choice(
            "does not mirror clips",
            f"class {named[0]} has a direction",
            {"DATA.RANDOM_FLIP": False},
        )


def plain(value: Any) -> Any:
    """Lists for tuples, as YAML has them."""
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value
