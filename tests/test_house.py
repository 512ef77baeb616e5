"""Rules of the house that reading alone would not keep: where the configuration ends, who imports whom, how long files get."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "slowfast_ext"
FILES = sorted(PACKAGE.rglob("*.py"))

FLOORS = (
    {
        "errors",
        "options",
        "registry",
        "files",
        "safe_text",
        "screen",
        "released",
        "processes",
        "lock",
        "launched",
    },
    {"config"},
    {"tasks", "loggers"},
    {"data", "models"},
    {"engine"},
    {"analysis", "hub", "export", "export_formats", "predict", "finetune", "model_card", "sharing"},
    {"cli"},
)
"""From the ground up. A module imports its own floor (data and models not each other) and those below."""

DOORS = (
    "from_cfg",
    "of_cfg",
    "_from",
    "build_",
    "check_",
    "_check",
    "read_",
    "options_of",
    "create_",
    "model_config",
)
PLAIN = (
    "models/attention",
    "models/backbones",
    "models/blocks",
    "models/weights",
    "data/curation",
    "data/motion",
    "data/transforms",
    "data/decode",
)
"""Folders whose functions take plain arguments, doors aside."""


def name_of(path):
    return path.relative_to(PACKAGE).as_posix()


def imported(tree):
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.ImportFrom)
            and node.module
            and node.module.startswith("slowfast_ext.")
        ):
            yield node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (
                a.name.split(".")[1] for a in node.names if a.name.startswith("slowfast_ext.")
            )


def floor(part):
    return next(level for level, parts in enumerate(FLOORS) if part in parts)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_go_downwards(path):
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if own in ("__init__", "__main__") or name_of(path) == "config/schema.py":
        return  # the face of the package; the tree asks every component for its options, lazily
    for part in imported(ast.parse(path.read_text())):
        assert floor(part) <= floor(own), f"{name_of(path)} imports {part}"
        assert {own, part} != {"data", "models"}, f"{name_of(path)} imports {part}"


@pytest.mark.parametrize("folder", PLAIN)
def test_the_configuration_stops_at_the_door(folder):
    """Only functions that build, check or read a configuration have one among their arguments."""
    for path in sorted((PACKAGE / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                every = [*node.args.args, *node.args.kwonlyargs]
                sees = any(a.annotation and "CfgNode" in ast.unparse(a.annotation) for a in every)
                is_door = any(word in node.name for word in DOORS)
                assert not sees or is_door, f"{name_of(path)}: {node.name} takes a CfgNode"


def test_the_engine_has_at_most_eighteen_modules():
    modules = [path for path in (PACKAGE / "engine").glob("*.py") if path.name != "__init__.py"]
    assert len(modules) <= 18


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_files_can_be_read_in_one_sitting(path):
    assert len(path.read_text().splitlines()) <= 310
