"""What an importer is: pure functions between the names of a published family and ours.

An importer renames and reshapes, without loss; what the model then lacks or has too much of (classes, frames,
resolution, 2-D kernels) is the business of fit.py.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from slowfast_ext.errors import CheckpointError
from slowfast_ext.models.build import VideoModel
from slowfast_ext.registry import Registry

WEIGHTS = Registry("WEIGHTS")
TOKEN_HEAD = "head.tokens."
"""The classifier of tokens: what a plain classifier leaves of a model that was trained with token labels."""

State = dict[str, Tensor]
Shapes = Mapping[str, tuple[int, ...]]

_WRAPPERS = ("model_state", "state_dict", "model", "module", "target_encoder", "encoder")
_PREFIXES = ("module.", "model.")


@dataclass(frozen=True)
class Resized:
    """A tensor made to fit, and why it had to be: `change` is "time" or "space"."""

    tensor: Tensor
    change: str


KINETICS_400 = {400: "k400"}
KINETICS = KINETICS_400 | {600: "k600", 700: "k700", 710: "k710"}
KINETICS_UNIFORMER = KINETICS | {400: "k400_uniformer"}
"""Orders of the classes of TimeSformer and ViViT; of VideoMAE (V2); of UniFormerV2 and InternVideo2."""

Rules = Iterable[tuple[str, str]]
"""Regular expressions and what takes their place in a key, each in turn."""


class Importer:
    """Base class; register with `@WEIGHTS.register("family")`. All methods are pure functions.

    `to_theirs(to_ours(state, model), model)` is `state` again for a complete state of the model's family. `orders` names
    the order of the classes (classes.py) of published heads with so many.
    """

    orders: ClassVar[Mapping[int, str]] = {}

    @staticmethod
    def recognise(shapes: Shapes) -> bool:
        """Whether keys and shapes are those of this family, and of no other."""
        raise NotImplementedError

    @staticmethod
    def to_ours(state: State, model: VideoModel) -> State:
        """Our names. A key this family does not know keeps its name, so that it is reported."""
        raise NotImplementedError

    @staticmethod
    def to_theirs(state: State, model: VideoModel) -> State:
        """Their names, for the state of the model."""
        raise NotImplementedError

    @staticmethod
    def idle(name: str, model: VideoModel) -> bool:
        """Whether the published model holds the tensor `name` (after to_ours) but never uses it."""
        return False

    @staticmethod
    def resize(
        name: str, tensor: Tensor, shape: tuple[int, ...], model: VideoModel
    ) -> Resized | None:
        """A position table (our name) for another grid; None where the family has no way to resize it."""
        return None


def shapes_of(state: State) -> Shapes:
    """Shape of each tensor."""
    return {key: tuple(tensor.shape) for key, tensor in state.items()}


def recognise(state: State) -> str:
    """Name of the one family whose keys these are. Raises CheckpointError for none or several."""
    shapes = shapes_of(state)
    names = [name for name, importer in WEIGHTS if importer.recognise(shapes)]
    if len(names) == 1:
        return names[0]
    some = ", ".join(list(state)[:5])
    found = f"fits {' and '.join(names)}" if names else "is of no family known here"
    raise CheckpointError(
        f"the checkpoint {found} (keys: {some}, ...); name its source in TRAIN.CHECKPOINT_SOURCE, "
        f"one of {', '.join(WEIGHTS.names())}"
    )


def unwrap(checkpoint: Mapping[str, Any]) -> State:
    """The state dict in a checkpoint, however it is wrapped: raw, `model_state`, `state_dict`, `model`, `module`
    (deepspeed), `target_encoder` before `encoder` (V-JEPA 2), beside it the one probe in `classifiers`.

    Prefixes of wrapping modules (`module.`, `model.`, `_orig_mod.`) are dropped. Raises CheckpointError when there are
    no tensors.
    """
    probes = checkpoint.get("classifiers")
    if isinstance(probes, (list, tuple)):
        if len(probes) != 1:
            raise CheckpointError(f"it holds {len(probes)} probes; write a file with one of them")
        rest = {key: value for key, value in checkpoint.items() if key != "classifiers"}
        probe = {f"classifiers.0.{key}": value for key, value in unwrap(probes[0]).items()}
        return probe | (unwrap(rest) if any(name in rest for name in _WRAPPERS) else {})
    for wrapper in _WRAPPERS:
        if isinstance(checkpoint.get(wrapper), Mapping):
            return unwrap(checkpoint[wrapper])
    state = {key: value for key, value in checkpoint.items() if isinstance(value, Tensor)}
    if not state:
        raise CheckpointError(
            f"no tensors in it; it has {', '.join(map(str, checkpoint)) or 'nothing'}"
        )
    return _bare(state)


def _bare(state: State) -> State:
    """Keys without the prefixes of wrapping modules, in whatever order these stand."""
    state = {key.replace("_orig_mod.", ""): value for key, value in state.items()}
    for prefix in _PREFIXES:
        if all(key.startswith(prefix) for key in state):
            return _bare({key.removeprefix(prefix): value for key, value in state.items()})
    return state


def rename(state: State, rules: Rules) -> State:
    """Keys with the rules applied; raises CheckpointError where two become one."""
    compiled = [(re.compile(pattern), new) for pattern, new in rules]
    renamed: State = {}
    for key, tensor in state.items():
        name = key
        for pattern, new in compiled:
            name = pattern.sub(new, name)
        if name in renamed:
            raise CheckpointError(
                f"two tensors of the checkpoint would be called {name}, one is {key}"
            )
        renamed[name] = tensor
    return renamed
