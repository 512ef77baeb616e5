"""Keys of PySlowFast and its descendants that have another name or form here."""

from collections.abc import Callable
from typing import Any

from slowfast_ext.config.problems import Origin

Mapped = dict[str, Any]

RENAMED = {
    "SOLVER.CLIP_GRADIENT": "SOLVER.CLIP_GRAD_L2NORM",
    "DATA.NUM_CLASSES": "MODEL.NUM_CLASSES",
    "DATA.LABEL_PATH_TEMPLEATE": "DATA.LABEL_PATH_TEMPLATE",
    "AUG.RE_PROBABILITY": "AUG.RE_PROB",
    "MODEL.DROP_PATH_RATE": "MODEL.DROP_PATH",
    "UNIFORMER.DROP_DEPTH_RATE": "MODEL.DROP_PATH",
}

REWRITTEN: dict[str, Callable[[Any], Mapped]] = {
    "TRAIN.MIXED_PRECISION": lambda on: {"TRAIN.PRECISION": "fp16" if on else "fp32"},
    "DATA.REVERSE_INPUT_CHANNEL": lambda on: {"DATA.CHANNEL_ORDER": "bgr" if on else "rgb"},
    "DATA.ENSEMBLE_METHOD": lambda method: {"TEST.ENSEMBLE": "logits"} if method == "sum" else {},
}


def translate(origins: dict[str, Origin]) -> dict[str, Origin]:
    """The same values under today's keys; a key that is set by its own name wins."""
    translated: dict[str, Origin] = {}
    for dotted, origin in origins.items():
        place = f"{origin.place} ({dotted})"
        if dotted in RENAMED:
            translated.setdefault(RENAMED[dotted], Origin(place, origin.value))
        elif dotted in REWRITTEN:
            for key, value in REWRITTEN[dotted](origin.value).items():
                translated.setdefault(key, Origin(place, value))
        else:
            translated[dotted] = origin
    return translated
