"""The first and the last lines of a run: what it runs on, what came of it, where that lies, what to do next."""

import platform
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch

import slowfast_ext
from slowfast_ext.cli import commands
from slowfast_ext.data.advice import cores
from slowfast_ext.data.decode.base import DECODERS
from slowfast_ext.engine.checkpoint import CheckpointStore
from slowfast_ext.engine.distributed import World
from slowfast_ext.engine.log import CONFIG_FILE
from slowfast_ext.errors import CheckpointError
from slowfast_ext.screen import in_words


def environment(world: World) -> str:
    """Versions, device, cores and decoders in one line."""
    device = (
        torch.cuda.get_device_name(world.device)
        if world.device.type == "cuda"
        else platform.machine()
    )
    missing = {name for name, reader in DECODERS if reader.missing()}
    decoders = [f"{name} (not installed)" if name in missing else name for name in DECODERS.names()]
    parts = [
        f"slowfast_ext {slowfast_ext.__version__}",
        f"python {platform.python_version()}",
        f"torch {torch.__version__}",
        f"{world.size} x {world.device.type} ({device})",
        f"{cores()} cores",
        f"decoders {', '.join(decoders)}",
    ]
    return " | ".join(parts)


def ending(
    output_dir: str, best: str = "", metrics: Mapping[str, float] | None = None, tested: str = ""
) -> Iterator[str]:
    """The result, where it lies and the next commands.

    `best` is the best validation in words, `metrics` those of a test, `tested` its TEST.CHECKPOINT_FILE_PATH.
    """
    if best:
        yield f"best validation: {best}"
    if metrics:
        yield f"test: {', '.join(in_words(*item) for item in metrics.items())}"
    folder, store = Path(output_dir), CheckpointStore(output_dir, 0)
    made = [
        path.name
        for path in sorted(folder.iterdir())
        if not path.name.startswith((".", "video_index"))
    ]
    yield f"in {folder}: {', '.join(made)}"
    yield from _next_commands(folder, _weights(store), bool(metrics) and tested == "best")


def _weights(store: CheckpointStore) -> Path | None:
    for choice in ("best", ""):
        try:
            return store.find(choice)
        except CheckpointError:
            continue
    return None


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
