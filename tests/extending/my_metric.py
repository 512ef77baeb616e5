"""A metric: one function with a decorator."""

from slowfast_ext.tasks import Evaluation, metric


@metric("top2_acc", tasks=("single_label",))
def top2_acc(evaluation: Evaluation) -> float:
    """Videos whose class is among the two best, percent."""
    best_M2 = evaluation.scores[0].topk(2).indices
    return 100.0 * (best_M2 == evaluation.labels).any(1).double().mean().item()
