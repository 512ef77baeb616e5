"""Each video shows an action: a verb and a noun (Epic-Kitchens).

Shapes: B clips, C channels, K classes of a head.
"""

from typing import NamedTuple

from torch import Tensor, nn

from slowfast_ext.tasks.base import TASKS
from slowfast_ext.tasks.metrics import METRICS, Compute, Evaluation, metric
from slowfast_ext.tasks.single_label import SingleLabel


class VerbNoun(NamedTuple):
    """Logits [B, K] of both heads."""

    verb: Tensor
    noun: Tensor


class VerbNounHead(nn.Module):
    """Two linear classifiers on the same features."""

    def __init__(self, dim: int, verbs: int, nouns: int) -> None:
        super().__init__()
        self.verb = nn.Linear(dim, verbs)
        self.noun = nn.Linear(dim, nouns)

    def forward(self, feature_BC: Tensor) -> VerbNoun:
        """Features [B, C] -> logits of both."""
        return VerbNoun(self.verb(feature_BC), self.noun(feature_BC))


def _of_head(head: int, name: str) -> Compute:
    def compute(evaluation: Evaluation) -> float:
        return METRICS.get(name)(evaluation.of_head(head))

    return compute


for _head, _name in enumerate(VerbNoun._fields):
    for _metric in SingleLabel.metrics:
        metric(f"{_name}_{_metric}")(_of_head(_head, _metric))


@TASKS.register("verb_noun")
class VerbNounTask(SingleLabel):
    """Two softmax classifications; top1_acc and top5_acc are of the action, right where verb and noun are."""

    head_names = VerbNoun._fields
    metrics = (
        "top1_acc",
        "top5_acc",
        *(f"{head}_{name}" for head in VerbNoun._fields for name in SingleLabel.metrics),
    )

    def head(self, dim: int) -> VerbNounHead:
        """One linear classifier for verbs, one for nouns."""
        return VerbNounHead(dim, *self.num_classes)
