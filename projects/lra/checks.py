"""What of a configuration Long Range Arena cannot be run with."""

from collections.abc import Iterable, Sequence

from yacs.config import CfgNode

from projects.lra.tasks import TASKS
from slowfast_ext.config import Problem
from slowfast_ext.engine.optim import check_solver
from slowfast_ext.errors import ConfigError
from slowfast_ext.models.attention import KERNELS
from slowfast_ext.registry import Registry


def check_lra(cfg: CfgNode) -> Iterable[Problem]:
    """Unknown names, settings that do not fit together or do not know padding."""
    yield from check_solver(cfg)
    yield from _unknown("LRA.TASK", [cfg.LRA.TASK], TASKS)
    yield from _unknown("ATTENTION.KERNEL", [cfg.ATTENTION.KERNEL], KERNELS)
    if cfg.LRA.TASK in TASKS:
        yield from TASKS.get(cfg.LRA.TASK).check(cfg)
    if cfg.LRA.DIM % cfg.LRA.NUM_HEADS:
        yield Problem("LRA.NUM_HEADS", f"does not divide LRA.DIM = {cfg.LRA.DIM}", "match them")
    if list(cfg.ATTENTION.CYCLE) != ["joint"]:
        yield Problem("ATTENTION.CYCLE", "is not [joint], the pattern of sequences", "leave it out")
    orthoformer = cfg.ATTENTION.ORTHOFORMER
    if cfg.ATTENTION.KERNEL == "orthoformer" and orthoformer.SELECTION != "orthogonal":
        yield Problem("ATTENTION.ORTHOFORMER.SELECTION", "would choose padding", "use orthogonal")
    if cfg.ATTENTION.KERNEL == "orthoformer" and orthoformer.SUBSAMPLE < 1:
        yield Problem("ATTENTION.ORTHOFORMER.SUBSAMPLE", "would draw padding", "use 1.0")


def _unknown(key: str, names: Sequence[str], registry: Registry) -> Iterable[Problem]:
    for name in names:
        try:
            registry.get(name)
        except ConfigError as error:
            yield Problem(key, str(error), "see docs/lra.md")
