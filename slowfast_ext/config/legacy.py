"""Keys of PySlowFast and its descendants that have another name or form here."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from slowfast_ext.config import legacy_uniformer
from slowfast_ext.config.yaml_file import Origin
from slowfast_ext.errors import ConfigError

logger = logging.getLogger(__name__)

Mapped = dict[str, Any]

RENAMED = {
    "SOLVER.CLIP_GRADIENT": "SOLVER.CLIP_GRAD_L2NORM",
    "DATA.NUM_CLASSES": "MODEL.NUM_CLASSES",
    "DATA.LABEL_PATH_TEMPLEATE": "DATA.LABEL_PATH_TEMPLATE",
    "AUG.RE_PROBABILITY": "AUG.RE_PROB",
    "MODEL.DROP_PATH_RATE": "MODEL.DROP_PATH",
    "UNIFORMER.DROP_DEPTH_RATE": "MODEL.DROP_PATH",
    "UNIFORMER.DROPOUT_RATE": "UNIFORMER.POS_DROPOUT",
    "UNIFORMER.ATTENTION_DROPOUT_RATE": "ATTENTION.DROPOUT",
}

REWRITTEN: dict[str, Callable[[Any, Mapping[str, Any]], Mapped]] = {
    "TRAIN.MIXED_PRECISION": lambda on, values: {"TRAIN.PRECISION": "fp16" if on else "fp32"},
    "DATA.REVERSE_INPUT_CHANNEL": lambda on, values: {"DATA.CHANNEL_ORDER": "bgr" if on else "rgb"},
    "DATA.ENSEMBLE_METHOD": lambda way, values: {"TEST.ENSEMBLE": "logits"} if way == "sum" else {},
    "MODEL.LOSS_FUNC": lambda name, values: _loss(name),
    "BN.USE_PRECISE_STATS": lambda on, values: _must_be_off(on),
    "BN.NUM_BATCHES_PRECISE": lambda batches, values: {},
    "TRAIN.CHECKPOINT_EPOCH_RESET": lambda on, values: {},
    **legacy_uniformer.REWRITTEN,
}


def translate(origins: dict[str, Origin]) -> dict[str, Origin]:
    """One source's values under today's keys; a key that is set by its own name wins.

    Keys that had no effect where they come from are left out, with a note in the log.
    """
    values = {dotted: origin.value for dotted, origin in origins.items()}
    idle = legacy_uniformer.without_effect(values)
    translated: dict[str, Origin] = {}
    for dotted, origin in origins.items():
        if dotted in REWRITTEN:
            for key, value in _rewrite(dotted, origin, values).items():
                place = origin.place if key == dotted else f"{origin.place} ({dotted})"
                translated.setdefault(key, Origin(place, value))
        elif dotted in RENAMED:
            place = f"{origin.place} ({dotted})"
            translated.setdefault(RENAMED[dotted], Origin(place, origin.value))
        elif dotted not in idle:
            translated[dotted] = origin
    for key, value in legacy_uniformer.implied(values).items():
        translated.setdefault(key, Origin("as published", value))
    if idle:
        logger.warning("without effect, left out: %s", ", ".join(sorted(idle)))
    return translated


def _rewrite(dotted: str, origin: Origin, values: Mapping[str, Any]) -> Mapped:
    try:
        return REWRITTEN[dotted](origin.value, values)
    except (ConfigError, TypeError, ValueError) as error:
        raise ConfigError(f"{origin.place}: {dotted} = {origin.value!r}: {error}") from error


def _must_be_off(on: Any) -> Mapped:
    if on:
        raise ConfigError("precise BatchNorm statistics are not supported; leave the key out")
    return {}


def _loss(name: Any) -> Mapped:
    """Soft or hard targets need no key here; several labels a video are a matter of the data."""
    if name in ("bce", "bce_logit"):
        return {"DATA.MULTI_LABEL": True}
    if name not in ("cross_entropy", "soft_cross_entropy"):
        raise ConfigError("losses are cross_entropy, soft_cross_entropy and bce_logit")
    return {}
