"""--explain KEY and --print-cfg: the tree in words."""

from collections.abc import Iterable

from yacs.config import CfgNode

from slowfast_ext.config.schema import get_dotted, known_keys, schema
from slowfast_ext.errors import ConfigError
from slowfast_ext.options import Key
from slowfast_ext.registry import nearest


def explain(name: str) -> str:
    """Meaning, unit, default and allowed values of a key, or of all keys of a section."""
    keys = known_keys()
    matches = [dotted for dotted in keys if dotted == name or dotted.startswith(f"{name}.")]
    if not matches:
        close = nearest(name, [*keys, *_sections(keys)])
        hint = f"did you mean {' or '.join(close)}?" if close else "try a section: DATA"
        raise ConfigError(f"no key or section '{name}': {hint}")
    return "\n".join(_explain_key(dotted, keys[dotted]) for dotted in matches)


def _sections(keys: Iterable[str]) -> list[str]:
    """Names of the sections that hold the keys, each once."""
    return list(dict.fromkeys(name.rpartition(".")[0] for name in keys if "." in name))


def _explain_key(dotted: str, key: Key) -> str:
    unit = f" [{key.unit}]" if key.unit else ""
    return (
        f"{dotted}{unit}: {key.help}\n    default {_plain(key.default)!r}; allowed: {key.allowed()}"
    )


def changed_keys(cfg: CfgNode) -> dict[str, object]:
    """Dotted keys whose value is not the default, with the value."""
    keys = schema()
    values = {dotted: get_dotted(cfg, dotted) for dotted in keys}
    return {
        dotted: value
        for dotted, value in values.items()
        if _plain(value) != _plain(keys[dotted].default)
    }


def _plain(value: object) -> object:
    """Lists for tuples."""
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def describe(cfg: CfgNode) -> str:
    """The merged tree as YAML, then what differs from the defaults."""
    keys = schema()
    differing = [
        f"#   {dotted}: {value!r}  (default {_plain(keys[dotted].default)!r})"
        for dotted, value in changed_keys(cfg).items()
    ]
    heading = "# differs from the defaults:" if differing else "# all keys are at their defaults"
    return "\n".join([cfg.dump(sort_keys=False), heading, *differing])
