"""Differences between our numbers and those of a case."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Difference:
    """The largest difference as a share of the largest expected value (or of another scale), and what is allowed."""

    what: str
    error: float
    allowed: float

    @property
    def is_wrong(self) -> bool:
        """Whether it is more than is allowed; not-a-number is."""
        return not self.error <= self.allowed

    def __str__(self) -> str:
        return f"{self.what}: {self.error:.2e} (allowed {self.allowed:.0e})"


class Differences(list[Difference]):
    """All comparisons of a case."""

    def compare(
        self, what: str, found: Tensor, expected: Tensor, allowed: float, scale: float | None = None
    ) -> None:
        """Two tensors of the same shape."""
        if found.shape != expected.shape:
            self.append(
                Difference(
                    f"{what} {tuple(found.shape)}, expected {tuple(expected.shape)}",
                    math.inf,
                    allowed,
                )
            )
            return
        scale = expected.abs().max().item() if scale is None else scale
        error = (found.detach().double() - expected.double()).abs().max().item()
        self.append(Difference(what, error / scale if scale else error, allowed))

    def equal(self, what: str, found: object, expected: object) -> None:
        """Two values that must be the same."""
        error = 0.0 if found == expected else math.inf
        self.append(
            Difference(
                what if found == expected else f"{what} {found!r}, expected {expected!r}", error, 0
            )
        )

    def gradients(
        self, what: str, found: dict[str, Tensor], expected: dict[str, Tensor], allowed: float
    ) -> None:
        """Gradients by name. That of a bias is measured by its weight's: where it is zero, it is rounding noise."""
        self.equal(f"{what}: parameters with a gradient", sorted(found), sorted(expected))
        for name in found.keys() & expected.keys():
            weight = (
                expected.get(name.removesuffix("bias") + "weight")
                if name.endswith("bias")
                else None
            )
            largest = max(x.abs().max().item() for x in (expected[name], weight) if x is not None)
            self.compare(f"{what}: {name}", found[name], expected[name], allowed, largest)

    @property
    def wrong(self) -> list[Difference]:
        """Those that are more than allowed."""
        return [item for item in self if item.is_wrong]

    @property
    def worst(self) -> float:
        """The largest error as a share of what is allowed."""
        return max((d.error / d.allowed if d.allowed else d.error for d in self), default=math.inf)


def first_that_fits(attempts: Iterable[tuple[str, Callable[[], Differences]]]) -> Differences:
    """What a case does not state can be tried: the differences of the first attempt without any that is wrong.

    Else those of the attempt that came nearest; where none could be computed, the first error is raised.
    """
    nearest, errors = None, []
    for label, attempt in attempts:
        try:
            found = attempt()
        except (RuntimeError, ValueError, TypeError) as error:
            errors.append((label, error))
            continue
        if not found.wrong:
            return found
        if nearest is None or found.worst < nearest.worst:
            nearest = found
    if nearest is not None:
        return nearest
    if errors:
        raise AssertionError(f"{errors[0][0]}: {errors[0][1]}") from errors[0][1]
    raise AssertionError("the description leaves nothing to try")
