"""What the model says of the clip.

Shapes: K classes of a head.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from slowfast_ext.tasks import heads_of

SHOWN = 5


@dataclass(frozen=True)
class Prediction:
    """The best classes of one head of the model, with their probabilities."""

    head: str
    best: tuple[tuple[str, float], ...]


def predictions(
    model: nn.Module,
    clip_BCTHW: Tensor,
    multi_label: bool,
    class_names: Sequence[Sequence[str]] = (),
) -> list[Prediction]:
    """The five best classes of each head; numbers where a head's classes have no names."""
    with torch.no_grad():
        logits = heads_of(model.eval()(clip_BCTHW))
    titles = (
        ("",) if len(logits) == 1 else ("verb", "noun") if len(logits) == 2 else range(len(logits))
    )
    found = []
    for head, (title, logits_BK) in enumerate(zip(titles, logits, strict=True)):
        logits_K = logits_BK[0].float()
        probs_K = logits_K.sigmoid() if multi_label else logits_K.softmax(-1)
        names = class_names[head] if head < len(class_names) else ()
        if len(names) != len(probs_K):
            names = [f"class {index}" for index in range(len(probs_K))]
        best = probs_K.topk(min(SHOWN, len(probs_K)))
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        found.append(Prediction(str(title), tuple((names[index], prob) for index, prob in pairs)))
    return found
