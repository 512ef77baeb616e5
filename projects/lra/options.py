"""The sections LRA, LRA.LISTOPS and LRA.PATHFINDER of the configuration."""

from dataclasses import dataclass

from slowfast_ext.options import Options, option, section


@section("LRA", "Long Range Arena: a small encoder of long sequences (projects/lra/run.py)")
@dataclass(frozen=True)
class LraOptions(Options):
    """What every task of Long Range Arena shares."""

    task: str = option("listops", "name in the TASKS registry")
    data_dir: str = option("datasets/lra", "folder of the official files and of the generated sets")
    seed: int = option(0, "seed of the generated sets; same settings, same set", low=0)
    num_train: int = option(96000, "generated training sequences", unit="sequences", low=1)
    num_val: int = option(2000, "generated validation sequences", unit="sequences", low=1)
    num_test: int = option(2000, "generated test sequences", unit="sequences", low=1)
    workers: int = option(1, "processes that generate a set; the set is the same", low=1)
    dim: int = option(64, "width of the encoder", unit="channels", low=1)
    depth: int = option(2, "layers of the encoder", low=1)
    num_heads: int = option(2, "heads of each layer", low=1)
    hidden: int = option(128, "hidden width of the MLPs and of the head", unit="channels", low=1)
    dropout: float = option(0.1, "dropout of the embedding and in the MLPs", low=0, high=1)
    eval_period: int = option(
        50,
        "evaluate on the validation set every so many steps; the best weights are tested",
        unit="steps",
        low=1,
    )

    def check(self) -> None:
        """Heads of whole channels."""
        if self.dim % self.num_heads:
            raise self.error("num_heads", f"does not divide DIM = {self.dim}", "match them")


@section("LRA.LISTOPS", "Generated expressions of the task listops")
@dataclass(frozen=True)
class ListopsOptions(Options):
    """Generated expressions of the task listops."""

    min_length: int = option(500, "expressions are longer", unit="tokens", low=1)
    max_length: int = option(2000, "expressions are shorter", unit="tokens", low=4)

    def check(self) -> None:
        """The bounds admit an expression."""
        if self.max_length - self.min_length < 2:
            raise self.error(
                "max_length",
                f"leaves no length above MIN_LENGTH = {self.min_length}",
                "widen the bounds, both are exclusive",
            )


@section("LRA.PATHFINDER", "Generated images of the task pathfinder")
@dataclass(frozen=True)
class PathfinderOptions(Options):
    """Generated images of the task pathfinder."""

    contour: int = option(14, "dashes of each of the two curves", unit="dashes", low=3)
