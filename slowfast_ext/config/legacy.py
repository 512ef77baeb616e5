"""Keys of PySlowFast and its descendants that have another name or form here."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from slowfast_ext.config import legacy_motionformer, legacy_uniformer, legacy_xvit
from slowfast_ext.config.yaml_file import Origin
from slowfast_ext.errors import ConfigError
from slowfast_ext.launched import speaks_for_all

logger = logging.getLogger(__name__)

Mapped = dict[str, Any]

FAMILIES = (legacy_uniformer, legacy_motionformer, legacy_xvit)

RENAMED = {
    **legacy_motionformer.RENAMED,
    **legacy_xvit.RENAMED,
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
    "SOLVER.CLIP_GRADIENT": lambda norm, values: {"SOLVER.CLIP_GRAD_L2NORM": max(norm, 0.0)},
    "TRAIN.CHECKPOINT_INFLATE": lambda how, values: {"TRAIN.CHECKPOINT_INFLATE": _inflation(how)},
    "TRAIN.DATASET": lambda name, values: {"TRAIN.DATASET": _dataset(name)},
    "TEST.DATASET": lambda name, values: {"TEST.DATASET": _dataset(name)},
    "DATA.ENSEMBLE_METHOD": lambda way, values: {"TEST.ENSEMBLE": "logits"} if way == "sum" else {},
    "MODEL.LOSS_FUNC": lambda name, values: _loss(name),
    "BN.USE_PRECISE_STATS": lambda on, values: _must_be_off(on),
    "BN.NUM_BATCHES_PRECISE": lambda batches, values: {},
    "TRAIN.CHECKPOINT_EPOCH_RESET": lambda on, values: {},
    **legacy_uniformer.REWRITTEN,
    **legacy_motionformer.REWRITTEN,
    **legacy_xvit.REWRITTEN,
}

BACKBONES = ("uniformer", "uniformerv2", "vit", "xvit")
"""Architectures of published files that are here; a backbone of your own is named by MODEL.BACKBONE."""


def translate(origins: dict[str, Origin], told: bool = True) -> dict[str, Origin]:
    """One source's values under today's keys; a key that is set by its own name wins.

    Keys that had no effect where they come from are left out, with a note in the log where `told`.
    """
    values = {dotted: origin.value for dotted, origin in origins.items()}
    _refuse_foreign(origins)
    idle = set().union(*(family.without_effect(values) for family in FAMILIES))
    translated: dict[str, Origin] = {}
    for dotted, origin in origins.items():
        if dotted in idle:
            continue
        if dotted in REWRITTEN:
            for key, value in _rewrite(dotted, origin, values).items():
                place = origin.place if key == dotted else f"{origin.place} ({dotted})"
                translated.setdefault(key, Origin(place, value))
        elif dotted in RENAMED:
            place = f"{origin.place} ({dotted})"
            translated.setdefault(RENAMED[dotted], Origin(place, origin.value))
        else:
            translated[dotted] = origin
    for family in FAMILIES:
        for key, value in family.implied(values).items():
            if key in family.OVERRULES or key not in translated:
                translated[key] = Origin("as published", value)
    if idle and told and speaks_for_all():
        logger.warning("without effect, left out: %s", ", ".join(sorted(idle)))
    return translated


def _rewrite(dotted: str, origin: Origin, values: Mapping[str, Any]) -> Mapped:
    try:
        return REWRITTEN[dotted](origin.value, values)
    except (ConfigError, TypeError, ValueError) as error:
        raise ConfigError(f"{origin.place}: {dotted} = {origin.value!r}: {error}") from error


def _refuse_foreign(origins: Mapping[str, Origin]) -> None:
    """One line for a whole file of an architecture that is not here, instead of one for each of its keys."""
    arch, name = (origins.get(key) for key in ("MODEL.ARCH", "MODEL.MODEL_NAME"))
    if name and str(name.value).startswith("Uniformer_light"):
        raise ConfigError(
            f"{name.place}: MODEL.MODEL_NAME = {name.value!r}: UniFormer's light models (XXS, XS) leave out tokens by the "
            "weights of a class token, a backbone that is not here; uniformer (S, B, L) is"
        )
    is_vit = name and name.value == "VisionTransformer"
    if arch and not is_vit and str(arch.value).lower() not in BACKBONES:
        raise ConfigError(
            f"{arch.place}: MODEL.ARCH = {arch.value!r}: an architecture that is not here; there is {', '.join(BACKBONES)} "
            "(docs/migration.md). A backbone of your own: MODEL.BACKBONE and IMPORT (docs/extending)"
        )


def _dataset(name: Any) -> Any:
    """Today's name of a data set: UniFormer's lists of frames, Motionformer's capitals."""
    return legacy_uniformer.dataset(legacy_motionformer.dataset(name))


def _inflation(how: Any) -> Any:
    """PySlowFast has a switch; a word says how."""
    return {True: "mean", False: ""}.get(how, how) if isinstance(how, bool) else how


def _must_be_off(on: Any) -> Mapped:
    if on:
        raise ConfigError("precise BatchNorm statistics are not supported; leave the key out")
    return {}


def _loss(name: Any) -> Mapped:
    """Soft or hard targets need no key here; several labels a video are a matter of the data."""
    if legacy_xvit.loss(name) is not None:
        return legacy_xvit.loss(name) or {}
    if name in ("bce", "bce_logit"):
        return {"DATA.MULTI_LABEL": True}
    if name not in ("cross_entropy", "soft_cross_entropy"):
        raise ConfigError("losses are cross_entropy, soft_cross_entropy and bce_logit")
    return {}
