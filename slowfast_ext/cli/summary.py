"""The first and the last lines of a run: what it runs on, what came of it, where that lies, what to do next."""

import csv
import platform
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch

import slowfast_ext
from slowfast_ext.cli import commands
from slowfast_ext.data.advice import cores
from slowfast_ext.data.decode.base import DECODERS
from slowfast_ext.engine.checkpoint import BEST, CheckpointStore
from slowfast_ext.engine.distributed import World
from slowfast_ext.engine.log import CONFIG_FILE
from slowfast_ext.errors import CheckpointError
from slowfast_ext.screen import in_words, plural


def environment(world: World) -> str:
    """Versions, device, cores and video readers in one line."""
    is_gpu = world.device.type == "cuda"
    device = torch.cuda.get_device_name(world.device) if is_gpu else f"CPU ({platform.machine()})"
    readers = [name for name, reader in DECODERS if reader.guarded and not reader.missing()]
    parts = [
        f"slowfast_ext {slowfast_ext.__version__}",
        f"python {platform.python_version()}",
        f"torch {torch.__version__}",
        f"{plural(world.size, 'process')} on {device}",
        plural(cores(), "core"),
        f"video readers: {', '.join(readers)}",
    ]
    return " | ".join(parts)


TOLERANCE = 0.5
"""Points that a repetition of a published result may well differ by: seeds and missing videos make as much."""


def published_of(files: Sequence[str | Path]) -> str:
    """What the paper of the last file that is exp/NAME/config.yaml prints: "top-1 79.7, top-5 94.2 (source)", or empty.

    From the first row of that experiment in paper_tables/published.csv of the same checkout.
    """
    found = ""
    for file in files:
        folder = Path(file).resolve().parent
        table = folder.parent.parent / "paper_tables/published.csv"
        if folder.parent.name != "exp" or not table.is_file():
            continue
        with table.open(encoding="utf-8", newline="") as lines:
            rows = csv.DictReader(line for line in lines if not line.startswith("#"))
            row = next((r for r in rows if r["exp"] == folder.name and r["metric"] == "top"), None)
        if row and row["top1"] != "-":
            top5 = f", top-5 {row['top5']}" if row["top5"] != "-" else ""
            found = f"top-1 {row['top1']}{top5} ({row['source']})"
    return found


def beside_published(published: str, metrics: Mapping[str, float]) -> str:
    """A line that compares the measured top-1 accuracy with that of a recipe; empty where either has none."""
    match = re.search(r"top-1 (\d+(?:\.\d+)?)", published)
    if not match or "top1_acc" not in metrics:
        return ""
    off = metrics["top1_acc"] - float(match[1])
    verdict = (
        f"within {TOLERANCE:g} points"
        if abs(off) <= TOLERANCE
        else f"{abs(off):.1f} points {'above' if off > 0 else 'below'}"
    )
    hint = (
        ""
        if off >= -TOLERANCE
        else "; look at missing videos, class order, views, and the batch that the rate is for"
    )
    return f"published: {published}; measured top-1 {metrics['top1_acc']:.1f}: {verdict}{hint}"


def ending(
    output_dir: str,
    best: str = "",
    metrics: Mapping[str, float] | None = None,
    tested: str = "",
    published: str = "",
) -> Iterator[str]:
    """The result, where it lies and the next commands.

    `best` is the best validation in words, `metrics` those of a test, `tested` its TEST.CHECKPOINT_FILE_PATH,
    `published` what the experiment's paper prints.
    """
    if best:
        yield f"best validation: {best}"
    if metrics:
        yield f"test: {', '.join(in_words(*item) for item in metrics.items())}"
        beside = beside_published(published, metrics)
        if beside:
            yield beside
    folder, store = Path(output_dir), CheckpointStore(output_dir, 0)
    made = [
        path.name
        for path in sorted(folder.iterdir())
        if not path.name.startswith((".", "video_index"))
    ]
    yield f"files in {folder}: {', '.join(made)}"
    yield from _next_commands(folder, _weights(store), bool(metrics) and _is_best(store, tested))


def _weights(store: CheckpointStore) -> Path | None:
    for choice in ("best", ""):
        try:
            return store.find(choice)
        except CheckpointError:
            continue
    return None


def _is_best(store: CheckpointStore, tested: str) -> bool:
    """Whether TEST.CHECKPOINT_FILE_PATH means the best checkpoint: by name, or as the newest, a link to the same file."""
    best = store.folder / BEST
    newest = store.newest_first()[:1] if not tested and best.exists() else []
    return tested == "best" or any(best.samefile(path) for path in newest)


def _next_commands(folder: Path, weights: Path | None, best_is_tested: bool) -> Iterator[str]:
    candidates = {"report": [str(folder)]}
    if weights is not None:
        candidates["predict"] = ["--weights", str(weights), "VIDEO"]
        if not best_is_tested:
            choice = "TEST.CHECKPOINT_FILE_PATH", "best"
            candidates["test"] = ["--cfg", str(folder / CONFIG_FILE), *choice]
    there = commands()
    lines = [
        f"  slowfast-ext {name} {shlex.join(words)}"
        for name, words in candidates.items()
        if name in there
    ]
    yield "\n".join(["next:", *lines])
