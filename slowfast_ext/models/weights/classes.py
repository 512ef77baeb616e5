"""The order of classes: checkpoints of one data set may number its classes differently, or hold those of several.

A Kinetics-710 head has the classes of Kinetics-400, 600 and 700, one row for each name; 400 rows of it are a head for
Kinetics-400. Read in the wrong order a head gives chance accuracy, silently: names decide, not numbers.
"""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from slowfast_ext.errors import CheckpointError
from slowfast_ext.models.build import VideoModel
from slowfast_ext.models.weights.base import TOKEN_HEAD, WEIGHTS, Importer, State, recognise
from slowfast_ext.registry import unknown_name

_KEY = "TRAIN.CHECKPOINT_CLASSES"
_FILE = Path(__file__).with_name("kinetics_classes.json")

Names = tuple[str, ...]


@cache
def known_orders() -> dict[str, Names]:
    """Published orders: k400 (alphabetical), k400_uniformer, k600 and k700 (UniFormer's), k710."""
    table = json.loads(_FILE.read_text())
    names = table["k710"]
    rows = {key: table[key] for key in ("k400", "k600", "k700")}
    orders = {key: tuple(names[row] for row in own) for key, own in rows.items()}
    return orders | {"k400_uniformer": tuple(names[:400]), "k710": tuple(names)}


def class_order(name: str) -> Names:
    """A published order by its name, or a file with the name of a class a line. Raises CheckpointError."""
    if name in known_orders():
        return known_orders()[name]
    if not Path(name).is_file():
        raise CheckpointError(
            f"no class order '{name}' and no such file: {unknown_name(name, sorted(known_orders()))}"
        )
    return tuple(line.strip() for line in Path(name).read_text().splitlines() if line.strip())


def class_rows(have: Sequence[str], wanted: Sequence[str]) -> Tensor:
    """Index into `have` for each name of `wanted`. Raises CheckpointError for a name that is not in `have`, or twice."""
    index = {_plain(name): position for position, name in enumerate(have)}
    plain = [_plain(name) for name in wanted]
    odd = sorted(set(plain) - set(index))
    if odd or len(index) != len(have) or len(set(plain)) != len(plain):
        some = ", ".join(odd[:5]) or "some are named twice"
        raise CheckpointError(
            f"class lists of {len(have)} and {len(wanted)} names differ ({some}): both must name each class once"
        )
    return torch.tensor([index[name] for name in plain])


def class_permutation(have: Sequence[str], wanted: Sequence[str]) -> Tensor:
    """The same for lists that name the same classes. Raises CheckpointError unless they do."""
    order = class_rows(have, wanted)
    if len(order) < len(have):
        raise CheckpointError(f"{len(wanted)} of {len(have)} classes are named")
    return order


def reorder_classes(
    state: State, have: Sequence[str], wanted: Sequence[str], head: str = "head"
) -> State:
    """Our state with the rows of a classifier, trained for classes `have`, for those of `wanted`, in their order."""
    order = class_rows(have, wanted)
    prefix = f"{head}."
    rows = {name for name in state if name.startswith(prefix)}
    wrong = [name for name in rows if len(state[name]) != len(have)]
    if not rows or wrong:
        raise CheckpointError(
            f"{head} of the checkpoint does not have the {len(have)} classes listed"
        )
    return {name: tensor[order] if name in rows else tensor for name, tensor in state.items()}


def in_class_order(
    state: State, model: VideoModel, importer: type[Importer], named: Sequence[str]
) -> State:
    """Our state with a head for the classes of the model, `named` as in TRAIN.CHECKPOINT_CLASSES.

    Raises CheckpointError where it is known that the orders differ and nothing is said of them.
    """
    (names,) = model.class_names if len(model.class_names) == 1 else ((),)
    if not named:
        _require_same(state, names, importer)
        return state
    have, *wanted = map(class_order, named)
    if wanted and names and not same_order(wanted[0], names):
        raise CheckpointError(
            f"the data's classes are not in the order {named[1]} that {_KEY} says; leave it out: they have names"
        )
    if not wanted and not names:
        raise CheckpointError(
            f"the data's classes have no names; name their order too, e.g. {_KEY} [{named[0]}, k400]"
        )
    return reorder_classes(state, have, names or wanted[0])


def _require_same(state: State, names: Sequence[str], importer: type[Importer]) -> None:
    head = state.get("head.weight")
    order = importer.orders.get(len(head)) if head is not None else None
    have = class_order(order) if order else ()
    same_classes = {*map(_plain, names)} == {*map(_plain, have)}
    if same_classes and not same_order(have, names):
        raise CheckpointError(
            f"the head's classes are in the order {order}, the data's in another; set {_KEY} [{order}]"
        )


def head_classes(state: State, model: VideoModel) -> tuple[tuple[int, ...], str]:
    """Classes of each head in a published state (none: only a backbone), and the name of their order where it is known.

    `model` is one of its family; its own classes do not matter.
    """
    importer: type[Importer] = WEIGHTS.get(recognise(state))
    ours = importer.to_ours(state, model)
    heads = {key: x for key, x in ours.items() if key.startswith("head.") and x.ndim == 2}
    counts = tuple(len(x) for key, x in heads.items() if not key.startswith(TOKEN_HEAD))
    return counts, importer.orders.get(*counts, "") if len(counts) == 1 else ""


def same_order(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether two lists name the same classes in the same order."""
    return [*map(_plain, one)] == [*map(_plain, other)]


def _plain(name: str) -> str:
    """Names of the same class in different lists differ in case, underscores and quotes."""
    return " ".join(name.replace("_", " ").replace('"', "").lower().split())
