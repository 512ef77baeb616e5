"""What the whole models of all families share: build, load by importer, run, compare."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from golden.compare import Differences
from slowfast_ext.models import VideoModel
from slowfast_ext.models.attention import AttentionOptions
from slowfast_ext.models.weights import WEIGHTS, LoadOptions, Report, load_weights
from slowfast_ext.options import Options
from slowfast_ext.tasks import heads_of
from slowfast_ext.tasks.verb_noun import VerbNounHead

State = dict[str, Tensor]
LOGITS, TOKENS, DOUBLE = 1e-5, 1e-5, 1e-6
GRADIENT, DOUBLE_GRADIENT = 1e-4, 1e-5


def head_of(state: Mapping[str, Tensor], dim: int, names: Sequence[str]) -> nn.Module:
    """The classifier for the classes of a published state: one, or verbs and nouns. Unused ones are not asked for."""
    counts = [len(state[f"{name}.weight"]) for name in names if f"{name}.weight" in state]
    if len(counts) == 2:
        return VerbNounHead(dim, *counts)
    return nn.Linear(dim, counts[0])


def load(
    model: VideoModel,
    state: State,
    source: str,
    found: Differences,
    options: LoadOptions = LoadOptions(),
) -> Report:
    """The published state through the importer that recognises it; every tensor used, every parameter filled."""
    report = load_weights(model, dict(state), options)
    found.equal("family of the weights", report.source, source)
    found.equal("tensors left out", report.unused, [])
    model.eval()
    return report


def there_and_back(model: VideoModel, state: State, source: str, found: Differences) -> None:
    """The importer loses nothing of what it is given."""
    importer = WEIGHTS.get(source)
    back = importer.to_theirs(importer.to_ours(state, model), model)
    found.equal("names there and back", sorted(back), sorted(state))
    found.equal(
        "tensors there and back", [k for k in back if not torch.equal(back[k], state[k])], []
    )


def parameter_gradients(
    model: VideoModel,
    published: State,
    source: str,
    found: Differences,
    what: str,
    allowed: float = GRADIENT,
) -> None:
    """Gradients under published names, as far as the case has them."""
    if not published:
        return
    theirs = WEIGHTS.get(source).to_ours(published, model)
    ours = {
        name: p.grad
        for name, p in model.named_parameters()
        if name in theirs and p.grad is not None
    }
    is_idle = WEIGHTS.get(source).idle
    theirs = {name: x for name, x in theirs.items() if name in ours or not is_idle(name, model)}
    found.gradients(what, ours, theirs, allowed)


def answers(tensors: Mapping[str, Tensor], prefix: str) -> list[Tensor]:
    """`out/logits`, or `out/logits0` and `out/logits1`."""
    return [tensors[key] for key in sorted(tensors) if key.startswith(prefix)]


def check_outputs(
    found: Differences,
    what: str,
    output: object,
    tensors: Mapping[str, Tensor],
    allowed: float = LOGITS,
) -> None:
    """Logits and probabilities of every head."""
    heads = heads_of(output)
    logits, probs = answers(tensors, "out/logits"), answers(tensors, "out/probs")
    found.equal(f"{what} heads", len(heads), len(logits or probs))
    for index, expected in enumerate(logits):
        found.compare(f"{what} logits {index}", heads[index], expected, allowed)
    for index, expected in enumerate(probs):
        found.compare(f"{what} probabilities {index}", heads[index].softmax(-1), expected, allowed)


def check_gradients(
    found: Differences,
    what: str,
    model: VideoModel,
    clip: Tensor,
    output: object,
    tensors: Mapping[str, Tensor],
    source: str,
) -> None:
    """Of sum(logits * grad_out), where the case has them."""
    towards = [tensors[key] for key in sorted(tensors) if key.startswith("in/grad")]
    theirs = {key[len("grad/") :]: tensors[key] for key in tensors if key.startswith("grad/")}
    if not towards or not theirs:
        return
    model.zero_grad()
    sum(
        (y * g.to(y.dtype)).sum() for y, g in zip(heads_of(output), towards, strict=True)
    ).backward()
    allowed = GRADIENT if clip.dtype == torch.float32 else DOUBLE_GRADIENT
    if "x" in theirs:
        found.compare(f"{what} gradient of the clip", clip.grad, theirs.pop("x"), allowed)
    parameter_gradients(model, theirs, source, found, what, allowed)


def attention(
    cycle: Sequence[object], *parts: Options, kernel: str = "softmax", reference: bool = False
) -> AttentionOptions:
    """Options of a model's attention."""
    return AttentionOptions(tuple(cycle), kernel, reference, parts=parts)
