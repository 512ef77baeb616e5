"""What depends on what a label is."""

from dataclasses import dataclass

from yacs.config import CfgNode

from slowfast_ext.options import Options, option, section


@section("", "The run as a whole")
@dataclass(frozen=True)
class TaskOptions(Options):
    """What a label is."""

    task: str = option(
        "auto",
        "name in the TASKS registry; auto: multi_label with DATA.MULTI_LABEL, verb_noun where MODEL.NUM_CLASSES "
        "has several values, else single_label",
    )


@section("MODEL", "Backbone, head and regularisation")
@dataclass(frozen=True)
class HeadOptions(Options):
    """Backbone, head and regularisation: the section MODEL."""

    num_classes: int | tuple[int, ...] = option(
        400, "classes of each head; two values: verb and noun", low=1, types=(int, list, tuple)
    )
    dropout_rate: float = option(0.0, "dropout before the classifier", low=0, high=1)


@section("DATA", "Videos, clips and views")
@dataclass(frozen=True)
class LabelOptions(Options):
    """Videos, clips and views: the section DATA."""

    multi_label: bool = option(False, "a video has several labels; scores are sigmoids, metric mAP")


@section("TEST", "Multi-view testing")
@dataclass(frozen=True)
class ScoreOptions(Options):
    """Multi-view testing: the section TEST."""

    ensemble: str = option(
        "probs",
        "what is averaged over views: softmax probabilities or logits",
        choices=("probs", "logits"),
    )
    metric: str = option(
        "top1_acc",
        "validation figure that chooses the best checkpoint; map: mean average precision of multi-label sets",
        choices=("top1_acc", "mean_class_acc", "map"),
    )
    on_decode_error: str = option(
        "wrong",
        "a video that cannot be decoded: stop, leave it out, or count it as wrong",
        choices=("error", "skip", "wrong"),
    )


@section("MIXUP", "Mixing of a training batch, and label smoothing")
@dataclass(frozen=True)
class SmoothingOptions(Options):
    """Mixing of a training batch, and label smoothing: the section MIXUP."""

    label_smooth_value: float = option(
        0.0, "label smoothing, with or without mixing", low=0, high=1
    )


def class_counts(cfg: CfgNode) -> tuple[int, ...]:
    """Classes of each head, from MODEL.NUM_CLASSES."""
    counts = cfg.MODEL.NUM_CLASSES
    return (counts,) if isinstance(counts, int) else tuple(counts)
