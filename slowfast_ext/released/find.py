"""The file that a name of weights means: a path, published weights, a link, or what another experiment has trained."""

import hashlib
import os
import re
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import unquote, urlsplit

from iopath.common.file_io import g_pathmgr

from slowfast_ext.errors import CheckpointError
from slowfast_ext.released.download import download
from slowfast_ext.released.registry import Released, cache_folder, released

EXPERIMENT = "exp:"
_SCHEME = re.compile(r"\w+://")
_STEPS = re.compile(r"checkpoint_epoch_(\d+)(?:_step_(\d+))?\.pyth")


def find_weights(name: str | Path, output_dir: str | Path = "") -> Path:
    """The file of `name`, fetched first where it has to be.

    `name` is a path, which comes first; a registered name (`slowfast-ext weights`), fetched once; a link (http, or whatever
    iopath opens); or exp:NAME, the best, else the newest checkpoint of an experiment whose output lies beside `output_dir`,
    in OUTPUT_ROOT or in output/. A path that is not there is given back as it is. Raises CheckpointError saying where the
    weights come from.
    """
    text = str(name)
    if Path(name).exists():
        return Path(name)
    if text.startswith(EXPERIMENT):
        return _of_experiment(text.removeprefix(EXPERIMENT), output_dir)
    if text in released():
        return _of_release(released()[text])
    if _SCHEME.match(text):
        return _of_link(text)
    if not Path(text).suffix and os.sep not in text and text != "":
        close = get_close_matches(text, released(), 1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise CheckpointError(
            f"{text}: neither a file nor the name of known published weights (slowfast-ext weights){hint}"
        )
    return Path(name)


def _of_release(weights: Released) -> Path:
    if weights.path.is_file():
        return weights.path
    if weights.browser:
        raise CheckpointError(
            f"{weights.name} ({weights.source}: {weights.what}) cannot be fetched by a program: open {weights.link} in a browser "
            f"and save the file as {weights.path}, or give the path of your copy"
        )
    return download(weights.link, weights.path, weights.sha256, weights.size)


def _of_link(link: str) -> Path:
    parts = urlsplit(link)
    if parts.scheme in ("http", "https"):
        own = hashlib.sha256(link.encode()).hexdigest()[:12]
        return download(link, cache_folder() / own / (Path(unquote(parts.path)).name or "weights"))
    try:
        path = Path(g_pathmgr.get_local_path(link))
    except Exception as error:
        raise CheckpointError(f"{link}: cannot be opened by iopath ({error})") from error
    if not path.is_file():
        raise CheckpointError(f"{link}: iopath has no handler for {parts.scheme}:// here")
    return path


def output_roots(output_dir: str | Path = "") -> Iterator[Path]:
    """Where outputs of experiments may lie, as absolute paths: OUTPUT_ROOT, beside OUTPUT_DIR, output/."""
    root = os.environ.get("OUTPUT_ROOT")
    if root:
        yield Path(root).resolve()
    if output_dir:
        yield Path(output_dir).resolve().parent
    yield Path("output").resolve()


def _of_experiment(name: str, output_dir: str | Path) -> Path:
    folders = list(dict.fromkeys(root / name / "checkpoints" for root in output_roots(output_dir)))
    for folder in folders:
        best = folder / "checkpoint_best.pyth"
        if best.is_file():
            return best
        steps = {
            path: found for path in folder.glob("*.pyth") if (found := _STEPS.fullmatch(path.name))
        }
        if steps:
            return max(steps, key=lambda path: [int(n or 0) for n in steps[path].groups()])
    raise CheckpointError(
        f"exp:{name} has no checkpoint in {', '.join(map(str, folders))}: train it first (bash exp/{name}/run.sh ...), or give the "
        "path of a file"
    )
