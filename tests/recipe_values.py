"""What an experiment resolves to, key by key."""

from pathlib import Path
from typing import Any

from slowfast_ext.config import load_config
from slowfast_ext.config.schema import get_dotted

EXP = Path(__file__).resolve().parents[1] / "exp"


def values(name: str, keys: Any) -> dict[str, Any]:
    """The values of `keys` in the experiment `name`, sequences as lists."""
    cfg = load_config([EXP / name / "config.yaml"])
    found = {key: get_dotted(cfg, key) for key in keys}
    return {key: list(v) if isinstance(v, tuple) else v for key, v in found.items()}
