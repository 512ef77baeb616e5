"""The paragraph "Published: ..." in the header of each exp/<name>/config.yaml, from published.csv."""

import textwrap
from collections.abc import Iterable
from pathlib import Path

from paper_tables.table import NOTHING, Published
from slowfast_ext.config import load_config

MARK = "# Published: "
WIDTH = 118
ACCURACIES = {
    "top": ("top-1", "top-5"),
    "mean_class": ("mean class accuracy", ""),
    "map": ("mAP", ""),
}


def with_published(file: Path, rows: Iterable[Published]) -> str:
    """The text of a configuration file with its paragraph as the rows of published.csv have it.

    A file without such a paragraph (an experiment of our own) stays as it is.
    """
    text = file.read_text(encoding="utf-8")
    lines = text.splitlines()
    first = next((n for n, line in enumerate(lines) if line.startswith(MARK)), None)
    if first is None:
        return text
    after = next(n for n in range(first + 1, len(lines)) if _ends_paragraph(lines[n]))
    size = load_config([file]).DATA.TEST_CROP_SIZE
    said = "; ".join(_published(row, size) for row in rows) or "no numbers"
    paragraph = textwrap.wrap(
        f"{MARK}{said}.",
        WIDTH,
        subsequent_indent="# ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join([*lines[:first], *paragraph, *lines[after:]]) + "\n"


def _ends_paragraph(line: str) -> bool:
    return line.startswith(("# Published batch", "# bash ")) or not line.startswith("# ")


def _published(row: Published, size: int) -> str:
    cost = [] if row.gflops == NOTHING else [f"{row.gflops} GFLOPs {_views(row)}"]
    if row.params_m != NOTHING:
        cost.append(f"{row.params_m} M parameters")
    numbers = "; ".join(filter(None, (_accuracy(row), *cost))) or "no numbers"
    at = "" if row.size in (str(size), NOTHING) else f" at {row.size} px"
    labelling = " with token labelling" if "token-labelling" in row.variant else ""
    return f"{numbers}{at}{labelling} ({row.source})"


def _views(row: Published) -> str:
    return f"({row.clips} x {row.crops} views)" if row.per == "total" else "a view"


def _accuracy(row: Published) -> str:
    """'top-1 80.8, top-5 94.7'; the metric's parenthesis names verbs and nouns, or memory, which is no accuracy."""
    kind, _, aside = row.metric.removesuffix(")").partition(" (")
    if kind == "action":
        verb, noun = aside.split()[1::2]
        return f"action {row.top1}, verb {verb}, noun {noun}"
    names = zip(ACCURACIES[kind], (row.top1, row.top5), strict=True)
    return ", ".join(f"{name} {value}" for name, value in names if value != NOTHING)
