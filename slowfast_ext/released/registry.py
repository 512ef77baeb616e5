"""Names of published weights: configs/weights.yaml, and where their files are kept."""

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

REGISTRY = Path(__file__).parents[1] / "configs" / "weights.yaml"
CACHE_VARIABLE = "SLOWFAST_EXT_CACHE"


@dataclass(frozen=True)
class Released:
    """A published file: its name here, whose it is, its name in the cache, where it is, and what it is for.

    `browser` marks a link that a program cannot fetch. `sha256` is the sum or its beginning, `size` is in bytes; both may be
    unknown.
    """

    name: str
    source: str
    file: str
    link: str
    licence: str
    what: str
    browser: bool = False
    sha256: str = ""
    size: int | None = None

    @property
    def path(self) -> Path:
        """Where the file is, or will be, in the cache."""
        return cache_folder() / self.file


@cache
def released() -> dict[str, Released]:
    """Name -> published weights."""
    listed = yaml.safe_load(REGISTRY.read_text(encoding="utf-8"))
    return {name: Released(name, **facts) for name, facts in listed.items()}


def cache_folder() -> Path:
    """Folder of fetched weights: SLOWFAST_EXT_CACHE, else slowfast_ext/weights in the user's cache."""
    own = os.environ.get(CACHE_VARIABLE)
    if own:
        return Path(own).expanduser()
    users = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(users).expanduser() / "slowfast_ext" / "weights"
