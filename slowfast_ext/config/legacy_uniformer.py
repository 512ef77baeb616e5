"""What the keys of UniFormer's and EMIM's YAML files mean in today's tree."""

from collections.abc import Callable, Mapping
from typing import Any

from slowfast_ext.errors import ConfigError

Mapped = dict[str, Any]
Values = Mapping[str, Any]

_EMIM_TYPES = ("extra_attn64", "extra_attn128")
_FRAME_LISTS = {"sth": "segment", "hmdb": "dense"}

OVERRULES: frozenset[str] = frozenset()
"""What the code did whatever the file says."""

NO_EFFECT = {
    *("MODEL.MODEL_NAME", "MODEL.SINGLE_PATHWAY_ARCH", "MODEL.MULTI_PATHWAY_ARCH"),
    *("DATA.INPUT_CHANNEL_NUM", "DATA.MC", "DATA.THREAD", "AUG.RE_SPLIT", "TRAIN.SAVE_LATEST"),
    *("UNIFORMER.STAGE_TYPE", "UNIFORMER.PRUNE_RATIO", "UNIFORMER.TRADE_OFF"),
    *("UNIFORMER.TEMPORAL_ATTN", "UNIFORMER.ATTN_DROP_PATH", "UNIFORMER.CONSENSUS"),
    "UNIFORMER.HEAD_DROPOUT_RATE",
    *("UNIFORMER.SPECIAL_INIT", "UNIFORMER.LAYERNORM_INITIALIZATION"),
}
_NO_EFFECT_ON_UNIFORMER = {"MODEL.DROPOUT_RATE", "AUG.COLOR_JITTER"}


def without_effect(values: Values) -> set[str]:
    """Keys of a file that its own code never used; head dropout and colour jitter among them, if it is UniFormer's."""
    ignored = NO_EFFECT | (_NO_EFFECT_ON_UNIFORMER if _is_uniformer(values) else set())
    extra = {key for key in values if key.startswith("UNIFORMER.EXTRA_")}
    return (ignored | extra) & set(values)


def implied(values: Values) -> Mapped:
    """What UniFormer's code did without a key for it."""
    mapped: Mapped = {}
    if _is_uniformer(values):
        mapped |= {"DATA.FRAME_SPACING": "linspace", "DATA.ANTIALIAS": False}
        mapped |= {
            "TEST.ENSEMBLE": "logits",
            "TRAIN.PRECISION": "fp16",
            "SOLVER.CLIP_GRAD_L2NORM": 20.0,
        }
    if values.get("TRAIN.DATASET", values.get("TEST.DATASET")) in _FRAME_LISTS:
        sampling = _FRAME_LISTS[values.get("TRAIN.DATASET", values.get("TEST.DATASET"))]
        mapped |= {"DATA.SAMPLING": sampling, "DATA.CHANNEL_ORDER": "bgr"}
    return mapped


def _is_uniformer(values: Values) -> bool:
    return str(values.get("MODEL.ARCH")).lower() == "uniformer"


def _attention_types(types: Any, values: Values) -> Mapped:
    """EMIM in the blocks with even number of stages 3 and 4, or of one of them."""
    known = [None if name in (None, "None", "") else name for name in types or ()]
    if not any(known):
        return {"UNIFORMER.TEMPORAL_STRIDE": 1}
    if any(name not in (None, *_EMIM_TYPES) for name in known):
        raise ConfigError(f"EMIM's are {' and '.join(_EMIM_TYPES)}, or None for a stage without")
    if str(values.get("UNIFORMER.CONTINUOUS_ATTN", "lg")).lower() != "lg":
        raise ConfigError("only with CONTINUOUS_ATTN: lg does EMIM's code build these blocks")
    cycles = [["emim", "joint"] if name else ["joint"] for name in known]
    same = all(cycle == cycles[0] for cycle in cycles)
    return {"ATTENTION.CYCLE": cycles[0] if same else cycles, "UNIFORMER.TEMPORAL_STRIDE": 1}


def _max_disp(sides: Any, values: Values) -> Mapped:
    """Despite its name the side of the window, one for each stage."""
    windows = [[side, side] for side in sides]
    same = all(window == windows[0] for window in windows)
    return {"ATTENTION.EMIM.WINDOW": windows[0] if same else windows}


def _pretrained(name: Any, values: Values) -> Mapped:
    """The published loader: <root>/<name>.pth, 2-D kernels spread over time, another head starts anew."""
    if name in (None, "", "None"):
        return {}
    extended = values.get("UNIFORMER.SPLIT") or values.get("UNIFORMER.ATTN_TYPE")
    return {
        "TRAIN.CHECKPOINT_FILE_PATH": f"path_to_models/{name}.pth",
        "TRAIN.CHECKPOINT_INFLATE": "mean",
        "TRAIN.CHECKPOINT_CHANGED": ["head", "new"] if extended else ["head"],
    }


def _must_be_unset(value: Any, values: Values) -> Mapped:
    if value not in (None, "None"):
        raise ConfigError("is not supported; no published model sets it")
    return {}


def _recomputed(blocks: Any, values: Values) -> Mapped:
    return {"MODEL.CHECKPOINT_BLOCKS": blocks if values.get("MODEL.USE_CHECKPOINT", True) else [0]}


def dataset(name: Any) -> Any:
    """Today's name of a data set."""
    return "frames" if name in _FRAME_LISTS else name


def _mlp_ratio(ratio: Any, values: Values) -> Mapped:
    """A list has one value for each stage; here all stages have the same."""
    if isinstance(ratio, list):
        if len(set(ratio)) != 1:
            raise ConfigError(
                "stages of different ratios are not supported; no published model has them"
            )
        ratio = ratio[0]
    return {"UNIFORMER.MLP_RATIO": ratio}


REWRITTEN: dict[str, Callable[[Any, Values], Mapped]] = {
    "MODEL.ARCH": lambda name, values: {"MODEL.BACKBONE": str(name).lower()},
    "MODEL.USE_CHECKPOINT": lambda on, values: {},
    "MODEL.CHECKPOINT_NUM": _recomputed,
    "UNIFORMER.SPLIT": lambda on, values: {"ATTENTION.CYCLE": ["split"]} if on else {},
    "UNIFORMER.ATTN_TYPE": _attention_types,
    "UNIFORMER.ATTN_MAX_DISP": _max_disp,
    "UNIFORMER.CONTINUOUS_ATTN": lambda name, values: {},
    "UNIFORMER.LAYER_SCALE": lambda init, values: {"UNIFORMER.LAYER_SCALE": float(init)},
    "UNIFORMER.PRETRAIN_NAME": _pretrained,
    "UNIFORMER.QKV_SCALE": _must_be_unset,
    "UNIFORMER.REPRESENTATION_SIZE": _must_be_unset,
    "UNIFORMER.MLP_RATIO": _mlp_ratio,
    "TEST.TEST_BEST": lambda on, values: {"TEST.CHECKPOINT_FILE_PATH": "best"} if on else {},
    "TEST.ADD_SOFTMAX": lambda on, values: {"TEST.ENSEMBLE": "probs" if on else "logits"},
}
