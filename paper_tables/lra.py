"""Long Range Arena beside Motionformer's Table 5: the part of the pages that projects/lra answers for."""

import csv
from pathlib import Path

from paper_tables.table import GFLOPS_TOLERANCE, NOTHING, line
from projects.lra.training import example_macs
from slowfast_ext.config import load_config

LRA = Path(__file__).resolve().parents[1] / "projects" / "lra"
TASKS = ("listops", "text", "retrieval", "image", "pathfinder")
COLUMNS = (
    "kernel",
    *TASKS,
    "average",
    "GFLOPs printed",
    "counted",
    "off",
    "memory printed, MB",
    "note",
)
HEADER = """\
## Motionformer Table 5: Long Range Arena

Accuracies as printed. Each column is one command, a kernel a row, full recipes: [docs/lra.md](../docs/lra.md).

    python projects/lra/run.py --task listops --kernels {kernels}

"""


def rows() -> list[dict[str, str]]:
    """Rows of table5.csv; lines that begin with # are comments."""
    with (LRA / "table5.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(text for text in file if not text.startswith("#")))


def counted(kernel: str) -> float:
    """GFLOPs of a ListOps sequence."""
    cfg = load_config([LRA / "configs/listops.yaml"], ["ATTENTION.KERNEL", kernel])
    return example_macs(cfg) / 1e9


def section() -> str:
    """The table, printed beside counted."""
    lines = [line(COLUMNS), line("---" for _ in COLUMNS)]
    for row in rows():
        gflops = counted(row["kernel"])
        off = gflops / float(row["gflops"]) - 1
        note = row["reason"] if abs(off) > GFLOPS_TOLERANCE or row["reason"] != NOTHING else ""
        cells = (
            *(row[task] for task in TASKS),
            row["average"],
            row["gflops"],
            f"{gflops:.3f}",
            f"{off:+.1%}",
        )
        lines.append(line((row["kernel"], *cells, row["memory"], note)))
    kernels = " ".join(row["kernel"] for row in rows())
    return HEADER.format(kernels=kernels) + "\n".join([*lines, ""])
