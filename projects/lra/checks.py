"""What of a configuration Long Range Arena cannot be run with."""

from collections.abc import Iterable

from yacs.config import CfgNode

from projects.lra.options import LraOptions
from projects.lra.tasks import TASKS
from slowfast_ext.config import Problem, options_of
from slowfast_ext.engine.optim import check_solver
from slowfast_ext.models.attention import KERNELS
from slowfast_ext.options import OptionError, Options
from slowfast_ext.registry import unknown_name


def check_lra(cfg: CfgNode) -> Iterable[Problem]:
    """Unknown names, settings that do not fit together or do not know padding."""
    yield from check_solver(cfg)
    kinds: list[type[Options]] = [LraOptions]
    for key, name, registry in (
        ("LRA.TASK", cfg.LRA.TASK, TASKS),
        ("ATTENTION.KERNEL", cfg.ATTENTION.KERNEL, KERNELS),
    ):
        if name in registry:
            kinds += registry.options(name)
        else:
            said = unknown_name(name, registry.names())
            yield Problem(key, f"'{name}' is unknown: {said}", "see docs/lra.md")
    for kind in kinds:
        try:
            options_of(cfg, kind)
        except OptionError as error:
            yield Problem(error.key, error.message, error.remedy)
    if list(cfg.ATTENTION.CYCLE) != ["joint"]:
        yield Problem("ATTENTION.CYCLE", "is not [joint], the pattern of sequences", "leave it out")
    orthoformer = cfg.ATTENTION.ORTHOFORMER
    if cfg.ATTENTION.KERNEL == "orthoformer" and orthoformer.SELECTION != "orthogonal":
        yield Problem("ATTENTION.ORTHOFORMER.SELECTION", "would choose padding", "use orthogonal")
    if cfg.ATTENTION.KERNEL == "orthoformer" and orthoformer.SUBSAMPLE < 1:
        yield Problem("ATTENTION.ORTHOFORMER.SUBSAMPLE", "would draw padding", "use 1.0")
