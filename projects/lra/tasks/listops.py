"""ListOps: the value of a nested expression over digits (Nangia & Bowman, 2018; Long Range Arena's rules).

A node is an operator with probability 1/4 and 2 to 10 arguments, else a digit; from depth 10 on a digit. The
root is an operator. Expressions whose length is out of bounds are drawn again, as are ones that came before.
"""

import random
from collections.abc import Callable
from functools import partial

import numpy as np

from projects.lra.options import ListopsOptions, LraOptions
from projects.lra.tasks.base import TASKS, Examples, Splits, Task
from projects.lra.tasks.generated import generated_splits, make_all
from slowfast_ext.errors import DataError

OPERATORS: dict[str, Callable[[list[int]], int]] = {
    "[MIN": min,
    "[MAX": max,
    "[MED": lambda values: int(np.median(values)),
    "[SM": lambda values: sum(values) % 10,
}
"""MED is the integer part of the median, SM the sum modulo 10."""

SYMBOLS = ("<pad>", *map(str, range(10)), *OPERATORS, "]")
IDS = {symbol: index for index, symbol in enumerate(SYMBOLS)}

OPERATOR_SHARE, MAX_ARGUMENTS, MAX_DEPTH = 0.25, 10, 10
REDRAWS = 100

Expression = tuple[list[int], int]
"""Ids and value."""


@TASKS.register("listops", ListopsOptions)
class ListOps(Task):
    """Ten classes: the value."""

    vocabulary, classes = 32, 10

    def __init__(self, options: LraOptions, own: ListopsOptions) -> None:
        super().__init__(options)
        self.bounds, self.length = (own.min_length, own.max_length), own.max_length

    def read(self) -> Splits:
        """Generated on first use."""
        seed, workers = self.options.seed, self.options.workers
        make = partial(unique_examples, seed=seed, bounds=self.bounds, workers=workers)
        return generated_splits(self.options, "listops-{}-{}".format(*self.bounds), make)


def unique_examples(count: int, seed: int, bounds: tuple[int, int], workers: int = 1) -> Examples:
    """`count` different expressions. Raises DataError where the bounds do not admit so many."""
    made = make_all(partial(draw, seed=seed, bounds=bounds), count, workers)
    seen: set[bytes] = set()
    for index, (ids, _) in enumerate(made):
        redraw = 0
        while bytes(ids) in seen:
            redraw += 1
            if redraw > REDRAWS:
                raise DataError(
                    f"LRA.LISTOPS: {REDRAWS} draws gave no new expression after {index} of {count}; "
                    "widen MIN_LENGTH and MAX_LENGTH or ask for fewer"
                )
            made[index] = ids, _ = draw(index, seed, bounds, redraw)
        seen.add(bytes(ids))
    sequences = [np.array(ids, dtype=np.uint8) for ids, _ in made]
    return Examples.join(sequences, [value for _, value in made])


def draw(index: int, seed: int, bounds: tuple[int, int], redraw: int = 0) -> Expression:
    """Expression `index` of a set, its length strictly within the bounds."""
    rng = random.Random(f"listops {seed} {index} {redraw}")
    while True:
        ids, value = _operation(rng, depth=1)
        if bounds[0] < len(ids) < bounds[1]:
            return ids, value


def _node(rng: random.Random, depth: int) -> Expression:
    if depth < MAX_DEPTH and rng.random() < OPERATOR_SHARE:
        return _operation(rng, depth)
    digit = rng.randrange(10)
    return [IDS[str(digit)]], digit


def _operation(rng: random.Random, depth: int) -> Expression:
    arguments = [_node(rng, depth + 1) for _ in range(rng.randint(2, MAX_ARGUMENTS))]
    operator = rng.choice(tuple(OPERATORS))
    inside = [token for ids, _ in arguments for token in ids]
    value = OPERATORS[operator]([value for _, value in arguments])
    return [IDS[operator], *inside, IDS["]"]], value
