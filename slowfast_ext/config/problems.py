"""A thing wrong with a configuration, and the one message that lists them all."""

from collections.abc import Callable, Iterable

from yacs.config import CfgNode

from slowfast_ext.config.yaml_file import Origin
from slowfast_ext.errors import ConfigError
from slowfast_ext.options import Problem, shortened

Check = Callable[[CfgNode], Iterable[Problem]]


def raise_problems(problems: Iterable[Problem], origins: dict[str, Origin]) -> None:
    """Raise one ConfigError that lists every problem with its place, or do nothing."""
    lines = [_line(problem, origins.get(problem.key)) for problem in problems]
    if lines:
        count = f"{len(lines)} problem{'s' if len(lines) > 1 else ''} in the configuration"
        raise ConfigError("\n".join([count, *(f"  {line}" for line in lines)]))


def _line(problem: Problem, origin: Origin | None) -> str:
    place = origin.place if origin else "default"
    value = f" = {shortened(origin.value)}" if origin else ""
    remedy = f"; {problem.remedy}" if problem.remedy else ""
    return f"{place}: {problem.key}{value}: {problem.message}{remedy}"
