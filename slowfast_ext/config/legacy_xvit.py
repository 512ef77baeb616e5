"""What the keys of XViT's YAML files mean in today's tree."""

from collections.abc import Callable, Mapping
from typing import Any

from slowfast_ext.errors import ConfigError

Mapped = dict[str, Any]
Values = Mapping[str, Any]

_SMOOTHING = 0.3
"""Of its smooth_cross_entropy."""

OVERRULES: frozenset[str] = frozenset()
"""What the code did whatever the file says."""

NO_EFFECT = {"DATA.COLORAUGMENT", "DATA.RANDAUGMENT", "SOLVER.WARMUP_FACTOR", "XVIT.LOCATIONS_LIST"}


def is_xvit(values: Values) -> bool:
    """Whether a file is XViT's."""
    return str(values.get("MODEL.ARCH")).lower() == "xvit" or "XVIT.BASE_MODEL" in values


def without_effect(values: Values) -> set[str]:
    """Keys of a file that need no translation."""
    return NO_EFFECT & set(values) if is_xvit(values) else set()


def implied(values: Values) -> Mapped:
    """What XViT's code did without a key for it."""
    if not is_xvit(values):
        return {}
    dropout = values.get("MODEL.DROPOUT_RATE", 0.5)
    return {
        "ATTENTION.CYCLE": ["mixing"],
        "VIT.PATCH_SIZE": [1, 16, 16],
        "XVIT.TIME_ROWS": 8,
        "XVIT.FRAME_DROPOUT": dropout,
        "DATA.FRAME_SPACING": "linspace",
        "DATA.USE_OFFSET_SAMPLING": False,
        "DATA.ANTIALIAS": False,
        "SOLVER.NESTEROV": True,
        "SOLVER.ZERO_WD_1D_PARAM": False,
        "SOLVER.ZERO_WD_HEAD_BIAS": True,
        "SOLVER.COSINE_AFTER_WARMUP": False,
        "TEST.ENSEMBLE": "logits",
        "MIXUP.LABEL_SMOOTH_VALUE": 0.0,
        **_crop(values),
    }


def _crop(values: Values) -> Mapped:
    """Crops at fixed places on Kinetics; on Something-Something, by lists of segments, the short side is jittered."""
    if "ssv" in str(values.get("TRAIN.DATASET", values.get("TEST.DATASET", ""))).lower():
        return {"DATA.SAMPLING": "segment", "DATA.TEST_CLIPS": "parts"}
    return {"DATA.TRAIN_MULTI_SCALE_CROP": [1.0, 0.875, 0.75, 0.66]}


def _start(name: Any, values: Values) -> Mapped:
    return {
        "TRAIN.CHECKPOINT_FILE_PATH": name,
        "TRAIN.CHECKPOINT_CHANGED": ["head", "new"],
    }


def _mixup(alpha: Any, values: Values) -> Mapped:
    if not alpha:
        return {"MIXUP.ENABLE": False}
    return {"MIXUP.ENABLE": True, "MIXUP.ALPHA": alpha, "MIXUP.CUTMIX_ALPHA": 0.0}


def _must_mix(on: Any, values: Values) -> Mapped:
    if not on:
        raise ConfigError(
            "without mixing it is a ViT of frames: MODEL.BACKBONE vit, ATTENTION.CYCLE [space]"
        )
    return {}


REWRITTEN: dict[str, Callable[[Any, Values], Mapped]] = {
    "XVIT.BASE_MODEL": _start,
    "XVIT.USE_XVIT": _must_mix,
    "TRAIN.MIXUP_ALPHA": _mixup,
    "DATA.AUTOAUGMENT": lambda on, values: {"AUG.AA_TYPE": "v0" if on else ""},
    "DATA.RAND_CROP": lambda share, values: {"AUG.RE_PROB": share, "AUG.RE_MODE": "const"},
}

RENAMED = {
    "XVIT.CONSENSUS_TYPE": "XVIT.CONSENSUS",
    "XVIT.SHIFT_DIV": "ATTENTION.MIXING.SHIFT_DIV",
    "XVIT.NUM_SEGMENTS": "ATTENTION.MIXING.NUM_SEGMENTS",
}


def loss(name: Any) -> Mapped | None:
    """Its own loss; None for one that is not."""
    return {"MIXUP.LABEL_SMOOTH_VALUE": _SMOOTHING} if name == "smooth_cross_entropy" else None
