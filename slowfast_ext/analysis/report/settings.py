"""Which settings of runs differ from the defaults, or from a base configuration, and from each other."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from slowfast_ext.analysis.report.groups import of_a_run
from slowfast_ext.analysis.report.runs import Run
from slowfast_ext.config import get_cfg, load_config
from slowfast_ext.config.schema import get_dotted, schema

_MISSING = object()


def differences(runs: Sequence[Run], base: Path | None = None) -> dict[str, Any]:
    """Rows of key, help, base value, value of each run, for every key that any run has another way than the base.

    Raises ConfigError where `base` cannot be read.
    """
    tree = load_config([base]) if base else get_cfg()
    keys = schema()
    names = list(dict.fromkeys([*keys, *(key for run in runs for key in run.settings)]))
    rows = []
    for name in names:
        before = get_dotted(tree, name) if name in keys else _MISSING
        values = [run.settings.get(name, _MISSING) for run in runs]
        told = [value for value in values if value is not _MISSING]
        unknown_and_alike = before is _MISSING and all(_same(value, told[0]) for value in told)
        if unknown_and_alike or all(_same(value, before) for value in told):
            continue
        help_text = _help(keys[name]) if name in keys else "no setting of this version"
        rows.append(
            {
                "key": name,
                "help": help_text,
                "base": _text(before),
                "values": [_text(v) for v in values],
            }
        )
    rows.sort(key=lambda row: of_a_run(str(row["key"])))
    return {"base": str(base) if base else "the defaults", "rows": rows}


def _help(key: Any) -> str:
    return f"{key.help} ({key.unit})" if key.unit else key.help


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def _text(value: Any) -> str | None:
    return None if value is _MISSING else str(list(value) if isinstance(value, tuple) else value)
