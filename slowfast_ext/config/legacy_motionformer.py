"""What the keys of Motionformer's YAML files mean in today's tree."""

from collections.abc import Callable, Mapping
from typing import Any

from slowfast_ext.errors import ConfigError

Mapped = dict[str, Any]
Values = Mapping[str, Any]

_MARKS = ("VIT.ATTN_LAYER", "VIT.PATCH_SIZE_TEMP", "VIT.TEMPORAL_RESOLUTION", "VIT.VIDEO_INPUT")
_DATASETS = {"Kinetics": "kinetics", "Ssv2": "ssv2", "Epickitchens": "epic"}
_IMAGE_WEIGHTS = {"vit_1k": "vit_base_patch16_224", "vit_1k_large": "vit_large_patch16_224"}
_KERNELS = {"none": "softmax"}

OVERRULES = frozenset({"MODEL.NUM_CLASSES"})
"""What the code did whatever the file says: EPIC-Kitchens has two heads."""

NO_EFFECT = {
    *(
        "VIT.TEMPORAL_RESOLUTION",
        "VIT.PATCH_SIZE_TEMP",
        "VIT.VIDEO_INPUT",
        "VIT.PRETRAINED_WEIGHTS",
    ),
    *("VIT.USE_MLP", "VIT.USE_ORIGINAL_TRAJ_ATTN_CODE", "DATA.RE_PROB", "DATA.USE_RANDOM_CROP"),
    *("EPICKITCHENS.TRAIN_LIST", "EPICKITCHENS.VAL_LIST", "EPICKITCHENS.TEST_LIST"),
    *("EPICKITCHENS.TEST_SPLIT", "EPICKITCHENS.TRAIN_PLUS_VAL"),
}
"""Keys of its files that say nothing of their own: read by no line, or together with another key below."""


def is_motionformer(values: Values) -> bool:
    """Whether a file is Motionformer's."""
    named = values.get("MODEL.MODEL_NAME") == "VisionTransformer"
    return named or any(mark in values for mark in _MARKS)


def without_effect(values: Values) -> set[str]:
    """Keys of a file that need no translation."""
    if not is_motionformer(values):
        return set()
    slowfast = {key for key in values if key.startswith("SLOWFAST.")}
    return slowfast | ({*NO_EFFECT, "MODEL.ARCH"} & set(values))


def implied(values: Values) -> Mapped:
    """What Motionformer's code and its defaults did without a key in the file."""
    if not is_motionformer(values):
        return {}
    mapped: Mapped = {
        "MODEL.BACKBONE": "vit",
        "VIT.POS_EMBED": "separate",
        "VIT.POS_CROP_SIZE": 224,
        "VIT.PRE_LOGITS": values.get("VIT.HEAD_ACT", "tanh")
        if values.get("VIT.USE_MLP")
        else "none",
        "ATTENTION.TRAJECTORY.VALUES": _trajectory_values(values),
        "DATA.FRAME_SPACING": "linspace",
        "DATA.TARGET_FPS": 30.0,
        "DATA.USE_OFFSET_SAMPLING": False,
        "DATA.ANTIALIAS": False,
        "SOLVER.ZERO_WD_1D_PARAM": False,
        "TEST.ENSEMBLE": "probs",
    }
    dataset = _dataset(values)
    if dataset == "ssv2":
        mapped["DATA.SAMPLING"] = "segment"
    if dataset == "epic":
        mapped |= {"MODEL.NUM_CLASSES": [97, 300], "DATA.CHANNEL_ORDER": "bgr"}
        mapped["DATA.IMAGE_TEMPLATE"] = "frame_{:010d}.jpg"
    if "TRAIN.CHECKPOINT_FILE_PATH" in values:
        mapped["TRAIN.CHECKPOINT_CHANGED"] = ["head", "new"] if dataset == "epic" else ["head"]
    return mapped


def _trajectory_values(values: Values) -> str:
    return "original" if values.get("VIT.USE_ORIGINAL_TRAJ_ATTN_CODE", True) else "projected"


def dataset(name: Any) -> Any:
    """Today's name of a data set."""
    return _DATASETS.get(name, name) if isinstance(name, str) else name


def _dataset(values: Values) -> str:
    return str(dataset(values.get("TRAIN.DATASET", values.get("TEST.DATASET", "")))).lower()


def _patch_size(size: Any, values: Values) -> Mapped:
    """One number is the side; the frames have a key of their own."""
    if not isinstance(size, int):
        return {"VIT.PATCH_SIZE": size}
    return {"VIT.PATCH_SIZE": [values.get("VIT.PATCH_SIZE_TEMP", 2), size, size]}


def _image_start(on: Any, values: Values) -> Mapped:
    """An image's ViT, its patch kernel that of the central frame; weights of a video take its place."""
    if not on or "TRAIN.CHECKPOINT_FILE_PATH" in values:
        return {}
    name = values.get("VIT.PRETRAINED_WEIGHTS", "vit_1k")
    if name not in _IMAGE_WEIGHTS:
        raise ConfigError(
            f"VIT.PRETRAINED_WEIGHTS {name}: the published are {', '.join(_IMAGE_WEIGHTS)}"
        )
    return {
        "TRAIN.CHECKPOINT_FILE_PATH": _IMAGE_WEIGHTS[name],
        "TRAIN.CHECKPOINT_INFLATE": "centre",
        "TRAIN.CHECKPOINT_CHANGED": ["head", "new"],
    }


def _channel_order(on: Any, values: Values) -> Mapped:
    """Frames of pictures are read as BGR there, those of videos as RGB; the key swaps either."""
    from_pictures = is_motionformer(values) and _dataset(values) in ("ssv2", "epic")
    return {"DATA.CHANNEL_ORDER": "bgr" if bool(on) != from_pictures else "rgb"}


def _rand_augment(on: Any, values: Values) -> Mapped:
    strength = 15 if _dataset(values) == "epic" else 20
    return {"AUG.AA_TYPE": f"rand-m{strength}-mstd0.5-inc1"} if on else {}


def _resized_crops(on: Any, values: Values) -> Mapped:
    if not on:
        return {}
    return {
        "DATA.TRAIN_JITTER_SCALES_RELATIVE": [0.08, 1.0],
        "DATA.TRAIN_JITTER_ASPECT_RELATIVE": [0.75, 1.3333],
    }


def _kernel(name: Any, values: Values) -> Mapped:
    return {"ATTENTION.KERNEL": _KERNELS.get(name, name)}


def _landmarks(count: Any, values: Values) -> Mapped:
    name = values.get("VIT.APPROX_ATTN_TYPE", "none")
    return {} if name == "none" else {f"ATTENTION.{str(name).upper()}.LANDMARKS": count}


def _only(allowed: Any) -> Callable[[Any, Values], Mapped]:
    def require(value: Any, values: Values) -> Mapped:
        if value != allowed:
            raise ConfigError(f"only {allowed!r} is supported; no published file has another")
        return {}

    return require


REWRITTEN: dict[str, Callable[[Any, Values], Mapped]] = {
    "VIT.PATCH_SIZE": _patch_size,
    "VIT.ATTN_LAYER": lambda name, values: {"ATTENTION.CYCLE": [name]},
    "VIT.APPROX_ATTN_TYPE": _kernel,
    "VIT.APPROX_ATTN_DIM": _landmarks,
    "VIT.IM_PRETRAINED": _image_start,
    "VIT.HEAD_ACT": lambda name, values: {},
    "VIT.CHANNELS": _only(3),
    "VIT.DROP": _only(0.0),
    "DATA.COLORJITTER": lambda on, values: {"AUG.COLOR_JITTER": 0.4 if on else 0.0},
    "DATA.GRAYSCALE": lambda on, values: {"AUG.GRAYSCALE": 0.2 if on else 0.0},
    "DATA.GAUSSIAN": _only(False),
    "DATA.USE_REPEATED_AUG": lambda on, values: {"AUG.REPEATED_DRAWS": 3} if on else {},
    "DATA.USE_RAND_AUGMENT": _rand_augment,
    "DATA.USE_RANDOM_RESIZE_CROPS": _resized_crops,
    "DATA.REVERSE_INPUT_CHANNEL": _channel_order,
    "SOLVER.USE_MIXED_PRECISION": lambda on, values: {"TRAIN.PRECISION": "fp16" if on else "fp32"},
    "SOLVER.CLIP_GRAD": lambda norm, values: {"SOLVER.CLIP_GRAD_L2NORM": norm or 0.0},
}

RENAMED = {
    "VIT.DROP_PATH": "MODEL.DROP_PATH",
    "VIT.HEAD_DROPOUT": "MODEL.DROPOUT_RATE",
    "VIT.ATTN_DROPOUT": "ATTENTION.DROPOUT",
    "SOLVER.SMOOTHING": "MIXUP.LABEL_SMOOTH_VALUE",
    "EPICKITCHENS.VISUAL_DATA_DIR": "DATA.PATH_PREFIX",
    "EPICKITCHENS.ANNOTATIONS_DIR": "DATA.PATH_TO_DATA_DIR",
}
