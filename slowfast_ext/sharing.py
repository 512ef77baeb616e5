"""Checkpoints on the Hugging Face hub: put there with a model card, and fetched. Needs the package huggingface_hub.

The server is that of HF_ENDPOINT where it is set; the token is the one of `hf auth login` or HF_TOKEN.
"""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from slowfast_ext.config import load_text
from slowfast_ext.engine.checkpoint import FOLDER
from slowfast_ext.errors import CheckpointError, ConfigError
from slowfast_ext.files import read_weights
from slowfast_ext.model_card import CONFIG_FILE, model_card
from slowfast_ext.models.weights import unwrap

if TYPE_CHECKING:
    from huggingface_hub import HfApi

CHECKPOINT, CARD = "checkpoint.pyth", "README.md"
_KEPT = ("cfg", "class_names")


def push(checkpoint: str | Path, repo: str, *, private: bool = False, licence: str = "") -> str:
    """Put a checkpoint of ours, without its optimizer, into a repository of the hub; gives its address.

    `repo` is OWNER/NAME and is made if it is not there. Beside the weights (averaged ones where the run has them) come the
    configuration and a card, with the results of the run's test where the checkpoint lies in its OUTPUT_DIR.
    Raises CheckpointError for another file, ConfigError where the package, the name or the rights are wrong.
    """
    state = read_weights(checkpoint)
    if not isinstance(state.get("cfg"), str):
        raise CheckpointError(
            f"{checkpoint}: holds no configuration of ours; only checkpoints that were trained here are pushed"
        )
    path = Path(checkpoint).absolute()
    run = path.parent.parent if path.parent.name == FOLDER else None
    names = tuple(tuple(head) for head in state.get("class_names") or ())
    card = model_card(load_text(state["cfg"], str(checkpoint)), names, run, repo, CHECKPOINT, licence)  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        torch.save(weights_alone(state), Path(folder) / CHECKPOINT)
        (Path(folder) / CONFIG_FILE).write_text(state["cfg"], encoding="utf-8")
        (Path(folder) / CARD).write_text(card, encoding="utf-8")
        return _upload(Path(folder), repo, private)


def pull(repo: str, folder: str | Path = "", *, revision: str | None = None) -> Path:
    """Fetch what `push` has put there into `folder` (default: the repository's name); gives the checkpoint's path.

    A broken download goes on where it stopped. Raises ConfigError for a repository that is not there or not ours.
    """
    target = Path(folder or repo.split("/")[-1])
    api = _api()
    from huggingface_hub.errors import EntryNotFoundError

    try:
        for name in (CARD, CONFIG_FILE, CHECKPOINT):
            api.hf_hub_download(repo, name, local_dir=target, revision=revision)
    except EntryNotFoundError as error:
        raise ConfigError(f"{repo}: has no {name}; `slowfast-ext push` puts it there") from error
    except Exception as error:  # the hub's own, its HTTP library's, the disk's
        raise ConfigError(f"{repo}: not fetched: {_in_one_line(error)}") from error
    read_weights(target / CHECKPOINT)
    return target / CHECKPOINT


def weights_alone(state: Mapping[str, Any]) -> dict[str, Any]:
    """What using the model takes: weights (averaged where the run has them), configuration, names of the classes."""
    average = state.get("ema_state")
    weights = unwrap(average if isinstance(average, Mapping) else state)
    return {"model_state": dict(weights)} | {key: state[key] for key in _KEPT if key in state}


def _upload(folder: Path, repo: str, private: bool) -> str:
    api = _api()
    from huggingface_hub import CommitOperationAdd

    files = [CommitOperationAdd(path.name, str(path)) for path in sorted(folder.iterdir())]
    try:
        address = api.create_repo(repo, private=private, exist_ok=True)
        api.create_commit(repo, files, commit_message="Checkpoint, configuration and card")
    except Exception as error:  # the hub's own, its HTTP library's, the disk's
        raise ConfigError(
            f"{repo}: not uploaded: {_in_one_line(error)} (log in with `hf auth login`, or set HF_TOKEN)"
        ) from error
    return str(address)


def _api() -> "HfApi":
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise ConfigError(
            "the hub needs the package huggingface_hub: pip install 'slowfast_ext[hub]'"
        ) from error
    return HfApi(endpoint=os.environ.get("HF_ENDPOINT"), library_name="slowfast_ext")


def _in_one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
